/**
 * Arithmetic of bash: a variable's value is read as an expression again, and a subscript in it is expanded, so that a value
 * `a[$(cmd)]` runs cmd. Values are therefore followed as far as the line shows them. dash and ash expand nothing there.
 */
import type { Command, Script, Word, WordPart } from 'unbash'
import type { Arg } from './words.js'

/** Set by the shell itself, always numbers. */
const SHELL_NUMBERS: ReadonlySet<string> = new Set(
  'RANDOM SRANDOM SECONDS EPOCHSECONDS COLUMNS LINES UID EUID PPID BASHPID OPTIND SHLVL LINENO HISTCMD BASH_SUBSHELL'.split(' '),
)
/** Names in arithmetic text, hexadecimal and base#number left out. */
const NAMES = /(?<![\w#.$])[A-Za-z_]\w*/g

export function isShellNumber(name: string): boolean {
  return SHELL_NUMBERS.has(name)
}
export function namesIn(expression: string): string[] {
  return expression.match(NAMES) ?? []
}
/** True for a value that arithmetic can only read as a number. */
export function isNumeric(value: Arg): boolean {
  return value.kind === 'constant' && /^\s*[-+]?(?:\d+|0[xX][0-9a-fA-F]+|\d+#\w+)?\s*$/.test(value.text)
}

/** Commands that print numbers; `loose` ones print what they are fed, which only a black list believes. */
const NUMBER_PRINTERS: ReadonlyMap<string, 'strict' | 'loose'> = new Map([
  ...['wc', 'nproc', 'seq', 'pgrep'].map((name) => [name, 'strict'] as const),
  ...['date', 'expr', 'id', 'stat', 'bc', 'awk', 'cut', 'tr', 'sed', 'du', 'df', 'free', 'ps', 'getconf', 'grep', 'head', 'tail', 'sort'].map(
    (name) => [name, 'loose'] as const,
  ),
])
export type NumberSource = 'strict' | 'loose' | 'other'

/** What can be said about the value of a whole word in arithmetic: `$((..))`, `${#x}`, `$(wc -l)`, `$?`. */
export function numberSource(word: Word): NumberSource {
  const parts = word.parts ?? []
  if (parts.length === 0) return /^\d*$/.test(word.value) ? 'strict' : 'other'
  return parts.map(partSource).reduce((worst, source) => (worst === 'other' || source === 'other' ? 'other' : worst === 'loose' ? 'loose' : source))
}
function partSource(part: WordPart): NumberSource {
  if (part.type === 'ArithmeticExpansion') return 'strict'
  if (part.type === 'Literal' || part.type === 'SingleQuoted') return /^\d*$/.test(part.value) ? 'strict' : 'other'
  if (part.type === 'DoubleQuoted') return part.parts.map(partSource).find((source) => source !== 'strict') ?? 'strict'
  if (part.type === 'SimpleExpansion') return /^\$[#?$!]$/.test(part.text) || SHELL_NUMBERS.has(part.text.slice(1)) ? 'strict' : 'other'
  if (part.type === 'ParameterExpansion') return part.prefix === '#' ? 'strict' : 'other'
  if (part.type === 'CommandExpansion') return scriptSource(part.script)
  return 'other'
}
/** By the last command of the last pipeline: `ps aux | wc -l`. */
export function scriptSource(script: Script | undefined): NumberSource {
  const only = script?.commands.length === 1 ? script.commands[0]?.command : undefined
  const last = only?.type === 'Pipeline' ? only.commands.at(-1) : only
  if (last?.type !== 'Command') return 'other'
  if (readsKernel(last)) return 'strict'
  return NUMBER_PRINTERS.get(last.name?.value ?? '') ?? 'other'
}

/** `cat /sys/..`, `</proc/uptime`: numbers of the kernel's own, which no line can have written. */
const KERNEL = /^\/(?:sys|proc\/sys)\/[\w./-]+$|^\/proc\/(?:uptime|loadavg|meminfo|stat)$/
function readsKernel(command: Command): boolean {
  if (command.prefix.some((each) => each.type === 'Assignment')) return false
  const words = command.args.map((arg) => (arg.type === 'Word' && !arg.parts ? arg.value : '?'))
  if (command.name) return command.name.value === 'cat' && words.length > 0 && words.every((word) => KERNEL.test(word) && !word.includes('..'))
  const [only, ...more] = command.redirects
  return (
    more.length === 0 &&
    only?.type === 'Redirect' &&
    only.operator === '<' &&
    !only.target?.parts &&
    KERNEL.test(only.target?.value ?? '') &&
    !only.target?.value.includes('..')
  )
}

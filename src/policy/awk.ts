/**
 * awk: harmless when its program is written in the line and starts no command, loads nothing and writes no file but those
 * that a redirection might. Reads tokens, not grammar: where a token could be the start of a command, the program is opaque.
 */
import { readOptions } from './options.js'
import type { Call, Scope } from './scope.js'
import { constant } from './words.js'

const OPTIONS = {
  flags: '',
  valued: 'vFe',
  long: ['posix', 'traditional', 're-interval', 'characters-as-bytes', 'version'],
  longValued: ['assign', 'field-separator', 'source'],
}
const TOKEN =
  /(?<space>(?:[ \t]|\\\n)+)|(?<end>[\n;{}])|(?<comment>#[^\n]*)|(?<string>"(?:[^"\\\n]|\\[\s\S])*")|(?<name>[A-Za-z_]\w*)|(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?<operator>\|\||&&|>>|[-+*/%^<>=!]=|\+\+|--|\|&|[^\s\w])/y

export function vetAwk({ name, args }: Call, scope: Scope): void {
  if (args.length === 1 && args[0]?.text === '--version') return
  const read = readOptions(args, OPTIONS)
  if ('unread' in read) {
    scope.find('opaque', name, `has ${read.unread}, so its program is not known`)
    return
  }
  const sources = read.options.filter((option) => option.name === 'e' || option.name === 'source')
  const program = sources.length > 0 ? sources.map((option) => option.value) : read.operands.slice(0, 1)
  for (const text of program) {
    if (text?.kind !== 'constant') {
      scope.find('opaque', name, 'has a program that only the shell knows')
      return
    }
    vetProgram(text.text, name, scope)
  }
}

function vetProgram(program: string, name: string, scope: Scope): void {
  const say = (found: string): void => scope.find('opaque', name, `has a program that ${found}`)
  let printing = false
  let depth = 0
  // A slash starts a regular expression unless something that has a value stands before it.
  let valueBefore = false
  // After `)` or getline only the grammar knows; then nothing that could be a command may stand anywhere.
  let unsure = false
  let before: 'unsure' | undefined
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < program.length) {
    const at = TOKEN.lastIndex
    unsure ||= program[at] === '/' && before !== undefined
    if (program[at] === '/' && !valueBefore) {
      const end = endOfRegex(program, at)
      if (end < 0) {
        say('cannot be read')
        return
      }
      TOKEN.lastIndex = end
      valueBefore = true
      continue
    }
    const match = TOKEN.exec(program)
    if (!match?.groups) {
      say('cannot be read')
      return
    }
    const { end, string, name: word, number, operator } = match.groups
    if (match.groups.space !== undefined || match.groups.comment !== undefined) continue
    if (end !== undefined) {
      printing = false
      depth = 0
    } else if (word === 'print' || word === 'printf') printing = true
    else if (word === 'system' || word === 'extension') {
      say(`calls ${word}`)
      return
    } else if (operator === '|' || operator === '|&') {
      say('pipes into or out of a command')
      return
    } else if (operator === '@') {
      say('loads or calls what is not named')
      return
    } else if (operator === '(' || operator === '[') depth++
    else if (operator === ')' || operator === ']') depth--
    else if ((operator === '>' || operator === '>>') && printing && depth <= 0) {
      const target = /^\s*"([^"\\]*)"\s*(?=[;}\n]|$)/.exec(program.slice(TOKEN.lastIndex))
      if (!target) {
        say('writes to a file that is not named')
        return
      }
      if (!/^\/dev\/std(?:out|err)$/.test(target[1] ?? '')) scope.write(constant(target[1] ?? ''), name)
    }
    if (string?.includes('/inet')) {
      say('opens a connection')
      return
    }
    before = operator === ')' || word === 'getline' ? 'unsure' : undefined
    valueBefore =
      number !== undefined || string !== undefined || (word !== undefined && !KEYWORDS.has(word)) || [')', ']', '$', '++', '--'].includes(operator ?? '')
  }
  if (unsure && /system|extension|@|\|/.test(program)) say('cannot be read without doubt')
}
const KEYWORDS: ReadonlySet<string> = new Set(['print', 'printf', 'return', 'in', 'if', 'while', 'for', 'do', 'else', 'case', 'exit', 'delete', 'BEGIN', 'END'])

/** Index after a regular expression that starts at `start`; -1 when it is not closed on its line. */
function endOfRegex(program: string, start: number): number {
  let inSet = false
  for (let i = start + 1; i < program.length; i++) {
    const char = program[i]
    if (char === '\n') return -1
    if (char === '\\') i++
    else if (char === '[' && !inSet) {
      inSet = true
      // `[]a]`, `[^]a]`: a bracket right after the opening is a member.
      if (program[i + 1] === '^') i++
      if (program[i + 1] === ']') i++
    } else if (char === ']') inSet = false
    else if (char === '/') return inSet ? -1 : i + 1
  }
  return -1
}

/** Options of commands: read strictly where a command hides behind them, searched generously where a rule forbids some. */
import { type Arg, several } from './words.js'

/** The options of one program. One character each in the short lists. */
export interface OptionTable {
  /** Without a value. */
  readonly flags?: string
  /** With a value, attached or the next argument. */
  readonly valued?: string
  /** With a value that may only be attached (`-e5`). */
  readonly optional?: string
  readonly long?: readonly string[]
  readonly longValued?: readonly string[]
  /** `--name[=value]`. */
  readonly longOptional?: readonly string[]
  /** `-10` is an option (nice). */
  readonly numeric?: boolean
  /** A lone `-` is an option (env). */
  readonly dash?: boolean
}
export interface ReadOption {
  /** Without dashes, long names in full. */
  readonly name: string
  readonly value?: Arg
}
export type OptionsRead = { readonly options: readonly ReadOption[]; readonly operands: readonly Arg[] } | { readonly unread: string }

/**
 * Reads options up to the first operand (POSIX guideline 9), as every wrapper does: what follows is another command's.
 * Anything that is not in the table, or that only the shell knows, is `unread`: the reader could not say where the command begins.
 */
export function readOptions(args: readonly Arg[], table: OptionTable): OptionsRead {
  const options: ReadOption[] = []
  let index = 0
  while (index < args.length) {
    const arg = args[index] as Arg
    if (arg.kind !== 'constant' && !isSurelyOperand(arg)) return { unread: `an argument that only the shell knows (${arg.text})` }
    const { text } = arg
    if (text === '--') return { options, operands: args.slice(index + 1) }
    if (!text.startsWith('-') || (text === '-' && !table.dash)) break
    index++
    if (text === '-') options.push({ name: '-' })
    else if (table.numeric && /^-[-+]?\d+$/.test(text)) options.push({ name: 'number' })
    else {
      const read = text.startsWith('--') ? readLong(text, args[index], table) : readCluster(arg, args[index], table)
      if (!read) return { unread: `the option ${text}` }
      options.push(...read.options)
      if (read.usedNext) index++
    }
  }
  return { options, operands: args.slice(index) }
}

interface Step {
  readonly options: readonly ReadOption[]
  readonly usedNext: boolean
}
function isSurelyOperand(arg: Arg): boolean {
  return !several(arg) && arg.prefix !== '' && !arg.prefix.startsWith('-')
}
/** GNU: a long option may be cut short as long as it is unambiguous. */
function readLong(text: string, next: Arg | undefined, table: OptionTable): Step | undefined {
  const [given = '', ...rest] = text.slice(2).split('=')
  const attached: Arg | undefined = text.includes('=') ? { kind: 'constant', text: rest.join('='), prefix: rest.join('='), splits: false } : undefined
  const kinds = [
    { names: table.long ?? [], value: 'none' },
    { names: table.longValued ?? [], value: 'needed' },
    { names: table.longOptional ?? [], value: 'optional' },
  ].flatMap(({ names, value }) => names.map((name) => ({ name, value })))
  const close = kinds.filter(({ name }) => name.startsWith(given))
  const match = close.find(({ name }) => name === given) ?? (close.length === 1 ? close[0] : undefined)
  if (!match || (match.value === 'none' && attached)) return undefined
  if (match.value === 'needed' && !attached) return next && !several(next) ? { options: [{ name: match.name, value: next }], usedNext: true } : undefined
  return { options: [attached ? { name: match.name, value: attached } : { name: match.name }], usedNext: false }
}
function readCluster(arg: Arg, next: Arg | undefined, table: OptionTable): Step | undefined {
  const options: ReadOption[] = []
  for (let i = 1; i < arg.text.length; i++) {
    const name = arg.text[i] as string
    const rest = arg.text.slice(i + 1)
    const value: Arg = { ...arg, text: rest, prefix: rest }
    if (table.flags?.includes(name)) options.push({ name })
    else if (table.optional?.includes(name)) return { options: [...options, rest === '' ? { name } : { name, value }], usedNext: false }
    else if (!table.valued?.includes(name)) return undefined
    else if (rest !== '') return { options: [...options, { name, value }], usedNext: false }
    else return next && !several(next) ? { options: [...options, { name, value: next }], usedNext: true } : undefined
  }
  return { options, usedNext: false }
}

/** `maybe`: only the shell knows; a rule that forbids must take it for yes, a rule that allows for no. */
export type Presence = 'yes' | 'no' | 'maybe'

/** True when an argument that only the shell knows might turn out to be, or to hold, an option. */
export function mayBeOption(arg: Arg): boolean {
  return arg.kind !== 'constant' && (arg.splits || arg.prefix === '' || arg.prefix.startsWith('-'))
}

/**
 * Whether `args` hold one of `spellings` of a flag (contract.md, `flags`): a character anywhere in a cluster, `--name` or a
 * GNU prefix of it, `-name`, or an operand `name=` as dd writes it. Options may follow operands; `--` ends them.
 * @param keyed the command has operands `name=value` (dd), so what only the shell knows may be one even behind `--`
 */
export function findFlag(args: readonly Arg[], spellings: readonly string[], keyed = false): Presence {
  let maybe = false
  let ended = false
  for (const arg of args) {
    if (spellings.some((spelling) => spelling.length > 1 && arg.text.startsWith(`${spelling}=`))) return 'yes'
    if (ended) {
      if (keyed && mayBeOption(arg)) maybe = true
      continue
    }
    if (mayBeOption(arg)) maybe = true
    if (arg.text === '--' && arg.kind === 'constant') ended = true
    else if (arg.kind === 'constant' && arg.text.startsWith('-') && spellings.some((spelling) => spells(arg.text, spelling))) return 'yes'
  }
  return maybe ? 'maybe' : 'no'
}
function spells(text: string, spelling: string): boolean {
  if (text.startsWith('--')) {
    const given = text.slice(2).split('=')[0] ?? ''
    return given !== '' && spelling.length > 1 && spelling.startsWith(given)
  }
  return spelling.length === 1 ? text.slice(1).includes(spelling) : text === `-${spelling}` || text.startsWith(`-${spelling}=`)
}

/** What may stand next on a command line, read off the commander tree. Pure but for `names`, which asks the gateway. */
import type { Argument, Command, Option } from 'commander'

/** Kinds of names that only a gateway or a file knows. */
export type NameKind = 'target' | 'session' | 'context' | 'approval' | 'rule' | 'batch' | 'name'
/** @param before the words before it: `describe rule …` asks for rules */
export type Names = (kind: NameKind, before: readonly string[]) => Promise<readonly string[]>

/** Names of arguments in the tree -> what they hold. */
const ARGUMENT_KINDS: Readonly<Record<string, NameKind>> = {
  target: 'target',
  session: 'session',
  selector: 'target',
  id: 'approval',
  name: 'name',
  what: 'target',
}
const OPTION_KINDS: Readonly<Record<string, NameKind>> = { '--context': 'context', '--session': 'session', '--resume': 'batch' }

/**
 * @param words those before the cursor, the one at the cursor last ("" when it is new)
 * @returns candidates that begin with the last word, sorted
 */
export async function candidates(program: Command, words: readonly string[], names: Names): Promise<string[]> {
  const last = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  if (before.includes('--')) return []
  const { command, operands, pending } = walk(program, before)
  const found = pending ? await valuesOf(pending, before, names) : last.startsWith('-') ? optionsOf(command) : await wordsOf(command, operands, before, names)
  return [...new Set(found)].filter((one) => one.startsWith(last)).sort()
}

interface Place {
  readonly command: Command
  readonly operands: number
  /** The option whose value stands at the cursor. */
  readonly pending: Option | undefined
}

function walk(program: Command, words: readonly string[]): Place {
  let command = program
  let operands = 0
  let pending: Option | undefined
  for (const word of words) {
    if (pending) {
      pending = undefined
    } else if (word.startsWith('-')) {
      const option = command.options.find((one) => one.long === word || one.short === word)
      pending = option && (option.required || option.optional) ? option : undefined
    } else {
      const inner: Command | undefined = operands === 0 ? command.commands.find((one) => one.name() === word || one.aliases().includes(word)) : undefined
      if (inner) command = inner
      else operands++
    }
  }
  return { command, operands, pending }
}

function optionsOf(command: Command): string[] {
  return [...command.options.filter((option) => !option.hidden).flatMap((option) => (option.long ? [option.long] : [])), '--help']
}

async function valuesOf(option: Option, before: readonly string[], names: Names): Promise<readonly string[]> {
  if (option.argChoices) return option.argChoices
  const kind = OPTION_KINDS[option.long ?? '']
  return kind ? names(kind, before) : []
}

async function wordsOf(command: Command, operands: number, before: readonly string[], names: Names): Promise<readonly string[]> {
  const shown = command.commands.filter((one) => !isHidden(one))
  if (shown.length > 0) return shown.map((one) => one.name())
  const args: readonly Argument[] = command.registeredArguments
  const argument = args[operands] ?? (args.at(-1)?.variadic ? args.at(-1) : undefined)
  if (!argument) return []
  const choices = argument.argChoices ?? listed(argument)
  if (choices.length > 0) return choices
  const kind = ARGUMENT_KINDS[argument.name()]
  return kind ? names(kind, before) : []
}

/** "pods, nodes, clusters" as a description is a list of what may stand there. */
function listed({ description }: Argument): readonly string[] {
  return /^[a-z]+(, [a-z]+)+$/.test(description) ? description.split(', ') : []
}

/** commander keeps `hidden` to itself. */
export function isHidden(command: Command): boolean {
  return Reflect.get(command, '_hidden') === true
}

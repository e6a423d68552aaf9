/** find: an expression in which commands, deletions and files to write may stand. */
import { compileGlob } from './globs.js'
import type { Call, Scope } from './scope.js'
import { type Arg, constant, unknownArg } from './words.js'

type Kind = 'flag' | 'value' | 'run' | 'delete' | 'write' | 'writeFormat'
const KINDS: ReadonlyMap<string, Kind> = new Map([
  ...['-exec', '-execdir', '-ok', '-okdir'].map((name) => [name, 'run'] as const),
  ['-delete', 'delete'],
  ...['-fprint', '-fprint0', '-fls'].map((name) => [name, 'write'] as const),
  ['-fprintf', 'writeFormat'],
  ...(
    '-amin -anewer -atime -cmin -cnewer -context -ctime -fstype -gid -group -ilname -iname -inum -ipath -iregex -iwholename ' +
    '-links -lname -maxdepth -mindepth -mmin -mtime -name -newer -path -perm -printf -regex -regextype -samefile -size -type -uid ' +
    '-used -user -wholename -xtype -D -files0-from'
  )
    .split(' ')
    .map((name) => [name, 'value'] as const),
])

/** Vets the expression of find: what -exec and its like run, -delete as the removal that it is, files that it writes. */
export function vetFind({ name, args }: Call, scope: Scope): void {
  let index = 0
  let dynamic: Arg | undefined
  const starts = startsOf(args)
  const below = startsBelow(starts)
  const lead = below && starts.length < 2 ? (starts[0]?.text ?? '.') : ''
  let commands = false
  while (index < args.length) {
    const arg = args[index++] as Arg
    if (isAimed(arg)) scope.find('dynamic-name', name, `has a pattern that may become an action (${arg.text})`)
    if (arg.kind !== 'constant') {
      if (couldBeExpression(arg)) dynamic ??= arg
      continue
    }
    const kind = /^-newer[aBcmt][aBcmt]$/.test(arg.text) ? 'value' : (KINDS.get(arg.text) ?? 'flag')
    if (kind === 'value') {
      const given = args[index]
      if (given?.splits) dynamic ??= given
      if (given && isAimed(given)) scope.find('dynamic-name', name, `has a pattern that may become an action (${given.text})`)
      index++
    } else if (kind === 'run') {
      const end = endOfCommand(args, index)
      const words = args.slice(index, end)
      commands = true
      scope.run(words.length > 0 ? words.map((word) => fillBraces(word, below, arg.text.endsWith('dir') ? '' : lead)) : [unknownArg(true)], name)
      index = end + 1
    } else if (kind === 'delete') scope.run([constant('rm'), constant('-rf'), unknownArg(false)], name)
    else if (kind !== 'flag') {
      scope.write(args[index] ?? unknownArg(false), name)
      index += kind === 'write' ? 1 : 2
    }
  }
  if (dynamic && (commands || args.some((arg) => arg.text === ';' || arg.text === '+'))) {
    scope.find('dynamic-name', name, `has an argument that may become -exec (${dynamic.text})`)
  } else if (dynamic) vetLater(dynamic, name, scope)
}

/** A dynamic argument may turn out to be -delete or, split, a whole -exec. What this line gives its variable tells. */
function vetLater(arg: Arg, name: string, scope: Scope): void {
  scope.later(() => {
    const values = arg.variable === undefined ? undefined : scope.valuesOf(arg.variable)
    const harmless = values ? values.every((value) => value.prefix !== '' && !/^-|\s/.test(value.text)) : !arg.splits
    if (!harmless) scope.find('unread-option', name, `has an argument that may become -exec or -delete (${arg.text})`)
    else if (!values) scope.find('unproven', name, `has an argument that may become -delete (${arg.text})`)
  })
}
/** True when all that find can find lies in folders that the line names, none of them where the kernel shows its processes. */
function startsBelow(starts: readonly Arg[]): boolean {
  return starts.every(({ kind, text }) => kind === 'constant' && !/^\/+(?:\.\/*)*(?:$|proc|dev)|\.\./.test(text))
}
/** The folders that find begins at; none means `.`. */
function startsOf(args: readonly Arg[]): readonly Arg[] {
  const end = args.findIndex((arg) => /^[-(!]/.test(arg.text) && !/^-[HLPDO]/.test(arg.text))
  return (end < 0 ? args : args.slice(0, end)).filter((arg) => !/^-[HLP]$/.test(arg.text))
}
/** A pattern that spells part of an action, for a file of that name to make it one: `?delete`, `[-]exec`. */
function isAimed({ kind, text }: Arg): boolean {
  if (kind !== 'glob' || !/[a-z]/.test(text.replace(/\[[^\]]*\]/g, ''))) return false
  const glob = compileGlob(text)
  return [...KINDS].some(([word, what]) => what !== 'value' && glob(word))
}
function couldBeExpression(arg: Arg): boolean {
  return arg.splits || (arg.kind === 'dynamic' && arg.prefix === '') || arg.prefix.startsWith('-')
}
/** `;`, or `+` after `{}`; POSIX find. What is not closed runs to the end, and find would refuse it. */
function endOfCommand(args: readonly Arg[], start: number): number {
  for (let i = start; i < args.length; i++) {
    const { text, kind } = args[i] as Arg
    if (kind === 'constant' && (text === ';' || (text === '+' && args[i - 1]?.text === '{}'))) return i
  }
  return args.length
}
/** @param lead what every name that find finds begins with, so that none is taken for an option */
function fillBraces(arg: Arg, settled: boolean, lead: string): Arg {
  const at = arg.text.indexOf('{}')
  return at < 0
    ? arg
    : {
        kind: 'dynamic',
        text: arg.text.replaceAll('{}', '…'),
        prefix: at === 0 ? lead : arg.text.slice(0, Math.min(at, arg.prefix.length)),
        splits: false,
        ...(settled && { settled }),
      }
}

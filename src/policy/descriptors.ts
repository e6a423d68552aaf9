/**
 * Names of other processes' open files and memory: `/proc/<pid>/fd/0`, `/dev/fd/10`, `/proc/<pid>/mem`. One of them is the pipe
 * that the guarded shell reads its lines from: whoever writes there, or takes bytes from it, is no longer vetted. Looking at the
 * names (`ls -l /proc/1/fd`) is everyday work and does no harm; opening them is refused, as is every way to give them another name.
 */
import { compileGlob } from './globs.js'
import { absolute } from './paths.js'
import type { Call } from './scope.js'
import type { Arg } from './words.js'

/** Commands that print names and open nothing. */
const LOOKERS: ReadonlySet<string> = new Set('ls dir vdir stat readlink realpath test [ [[ echo printf lsof fuser tree basename dirname du pwd'.split(' '))
const FIND_ACTION = /^-(?:exec|ok|fprint|fls)/

/** Standard streams of the command itself, and those of the container's first process: its log. */
const STANDARD = /^(?:\/dev\/fd|\/proc\/(?:self|thread-self|1)\/fd)\/[012]$|^\/dev\/std(?:in|out|err)$/
/** In any text, whoever reads it: `fd/0` as part of a path, with a number or something that may become one. */
const NUMBERED = /(?:^|[^\w.-])fd\/(?:\.?\/)*(?:\d|…|[*?[]|\.\.)/
/** Entries of a process that open its descriptors or its memory. */
const ENTRIES = ['fd', 'map_files'] as const

/** True when `arg` opens, or may open, a descriptor or the memory of a process that is not the command's own. */
export function reachesDescriptor(arg: Arg, directories: readonly string[] | undefined): boolean {
  const text = arg.text.replace(/\/{2,}/g, '/').replace(/\/(?:\.\/)+/g, '/')
  const whole = text.includes('=') && !text.startsWith('/') ? text.slice(text.indexOf('=') + 1) : text
  if (arg.kind === 'constant' && (STANDARD.test(whole) || /^\/dev\/fd\/[3-9]$/.test(whole))) return false
  if (NUMBERED.test(text)) return true
  if (!/proc|fd|mem|map_files|[…*?[]/.test(text) && !directories?.some((directory) => directory.startsWith('/proc'))) return false
  const paths = whole.startsWith('/') ? [absolute(whole, '/')] : whole.startsWith('…') ? [] : (directories ?? []).map((each) => absolute(whole, each))
  return paths.some(isEntry) || /(?:^|[^\w.-])\/proc\/[^/\s]+\/(?:task\/[^/\s]+\/)?(?:mem|map_files)(?![\w.-])/.test(text)
}

/** `/proc/x/fd`, `/proc/x/task/y/fd/0`, `/dev/fd`, `/proc/x/mem`; patterns and holes count as what they may become. */
function isEntry(path: string): boolean {
  const [, root = '', ...rest] = path.split('/')
  if (couldBe(root, 'dev') && rest[0] !== undefined && couldBe(rest[0], 'fd')) return !(rest.length === 1 && /[…*?[]/.test(rest[0]))
  if (!couldBe(root, 'proc') || rest.length < 2) return false
  const inner = rest[1] !== undefined && couldBe(rest[1], 'task') && rest.length > 3 ? rest.slice(3) : rest.slice(1)
  const [entry = '', number] = inner
  // `cat /proc/1/*` finds a directory there and opens nothing.
  if (number === undefined) return couldBe(entry, 'mem') ? !/^[*?]+$/.test(entry) : ENTRIES.some((name) => couldBe(entry, name)) && !/[*?[]/.test(entry)
  return ENTRIES.some((name) => couldBe(entry, name)) && !/^[A-Za-z_-]/.test(number)
}
function couldBe(segment: string, name: string): boolean {
  return segment === name || (/[…*?[]/.test(segment) && compileGlob(segment.replaceAll('…', '*'))(name))
}

/** Commands that open no file that an argument names, besides the lookers; builtins do not come here. */
const OPEN_NOTHING: ReadonlySet<string> = new Set(
  'sleep seq expr id date which ps pgrep pkill killall pidof whoami ping dig nslookup host getent yes uname hostname nproc mkdir rmdir chmod chown man touch kubectl systemctl'.split(
    ' ',
  ),
)
/**
 * An argument that may name such a file for all that the line shows: `read x` and then `cat "$x"`.
 * @param valuesOf what the line itself gives a variable
 */
export function unprovenDescriptor(call: Call, valuesOf: (variable: string) => readonly Arg[] | undefined): Arg | undefined {
  if (LOOKERS.has(call.name) || OPEN_NOTHING.has(call.name)) return undefined
  // The first operand of grep, sed and awk is no file.
  const skipped = /^(?:[efz]?grep|rg|sed|awk|gawk|mawk|jq)$/.test(call.name) ? call.args.findIndex((arg) => !arg.text.startsWith('-')) : -1
  return call.args.find((arg, index) => {
    if (arg.kind !== 'dynamic' || arg.settled || index === skipped) return false
    if (arg.prefix !== '' || !/(?:…|\d|mem)$/.test(arg.text)) return false
    const values = arg.variable === undefined ? undefined : valuesOf(arg.variable)
    return !values?.every((value) => !reachesDescriptor(value, undefined))
  })
}

/** True for a command that prints such names, which something else may open (`ls -d /proc/1/fd/0 | xargs tee`). */
export function printsDescriptors(call: Call, directories: readonly string[] | undefined): boolean {
  return (LOOKERS.has(call.name) || call.name === 'find') && call.args.some((arg) => reachesDescriptor(arg, directories))
}
export function isLooker(name: string): boolean {
  return LOOKERS.has(name)
}

/** The argument by which a command opens what it must not; undefined when it only looks. */
export function openedDescriptor(call: Call, directories: readonly string[] | undefined): Arg | undefined {
  if (LOOKERS.has(call.name) || (call.name === 'find' && !call.args.some((arg) => FIND_ACTION.test(arg.text)))) return undefined
  return call.args.find((arg) => reachesDescriptor(arg, directories))
}

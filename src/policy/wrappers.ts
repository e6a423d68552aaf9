/**
 * Commands that run another command, which is then judged as if it had been typed. One row each; to add a wrapper, add a
 * row. Option tables are strict: with an option that is not in the table nobody can say where the command begins, so the
 * line is refused.
 */
import type { Dialect } from '../core/types.js'
import { vetFind } from './find.js'
import type { Cause } from './findings.js'
import { type OptionTable, type ReadOption, readOptions } from './options.js'
import type { Call, Scope, Vet } from './scope.js'
import { refuseExport } from './variables.js'
import { type Arg, constant, several, unknownArg } from './words.js'

export interface WrapperRow {
  /** Of the shell itself: a white list need not name it, and the audit shows only what it runs. */
  readonly builtin: boolean
  /** Changes nothing but how the command is run: the audit shows only what it runs. */
  readonly transparent: boolean
  readonly vet: Vet
}

interface Shape {
  readonly options: OptionTable
  /** Operands of its own before the command: the duration of timeout. */
  readonly operands?: number
  /** `A=1` before the command (env, sudo). */
  readonly assignments?: boolean
  /** What it means to give no command. Default: nothing runs. */
  readonly alone?: Cause
  /** Options that stand for something else than how the command is run. `query`: they run nothing at all. */
  readonly meaning?: Readonly<Record<string, Cause | 'query'>>
  readonly builtin?: boolean
  /** The option that gives the program another argv[0]: a program of many names is then another one (`exec -a rm busybox`). */
  readonly alias?: string
  /** True when the command does not get the environment of the guarded shell, which keeps pagers from being started. */
  readonly bare?: (options: readonly ReadOption[]) => boolean
}

/** A wrapper that reads its options and operands, then runs the rest as it stands. */
function plain(shape: Shape): WrapperRow {
  return { builtin: shape.builtin ?? false, transparent: true, vet: (call, scope) => unwrap(call, shape, scope) }
}
function special(vet: Vet, transparent = true, builtin = false): WrapperRow {
  return { builtin, transparent, vet }
}

const SHELL_DIALECTS: Readonly<Record<string, Dialect>> = { bash: 'bash', sh: 'posix', dash: 'posix', ash: 'posix', hush: 'posix' }
const ENV: OptionTable = {
  flags: 'i0v',
  valued: 'uCS',
  dash: true,
  long: ['ignore-environment', 'null', 'debug'],
  longValued: ['unset', 'chdir', 'split-string'],
}

export const WRAPPERS: ReadonlyMap<string, WrapperRow> = new Map(
  Object.entries({
    command: plain({ builtin: true, options: { flags: 'pvV' }, meaning: { v: 'query', V: 'query' } }),
    builtin: plain({ builtin: true, options: {} }),
    exec: plain({ builtin: true, alias: 'a', options: { flags: 'cl', valued: 'a' }, bare: (options) => options.some(({ name }) => name === 'c') }),
    eval: special(vetEval, true, true),
    env: special(vetEnv),
    nohup: plain({ options: {} }),
    nice: plain({ options: { valued: 'n', longValued: ['adjustment'], numeric: true } }),
    ionice: plain({ options: { flags: 't', valued: 'cnpPu', long: ['ignore'], longValued: ['class', 'classdata', 'pid', 'pgid', 'uid'] } }),
    chrt: plain({
      options: {
        flags: 'abdfiormRvG',
        valued: 'TPDp',
        long: ['all-tasks', 'batch', 'deadline', 'fifo', 'idle', 'other', 'rr', 'reset-on-fork', 'verbose', 'max'],
        longValued: ['pid'],
      },
      operands: 1,
      meaning: { p: 'query', pid: 'query', m: 'query', max: 'query' },
    }),
    taskset: plain({
      options: { flags: 'acp', long: ['all-tasks', 'cpu-list', 'pid'] },
      operands: 1,
      meaning: { p: 'query', pid: 'query' },
    }),
    timeout: plain({
      options: { flags: 'v', valued: 'ks', long: ['preserve-status', 'foreground', 'verbose'], longValued: ['kill-after', 'signal'] },
      operands: 1,
    }),
    stdbuf: plain({ options: { valued: 'ioe', longValued: ['input', 'output', 'error'] } }),
    setsid: plain({ options: { flags: 'cfw', long: ['ctty', 'fork', 'wait'] } }),
    time: special(vetTime),
    sudo: plain({
      options: {
        flags: 'AbEHnkKPSBislveV',
        valued: 'ugCpTrthDRU',
        long: ['non-interactive', 'preserve-env', 'set-home', 'login', 'shell', 'edit', 'list', 'validate', 'stdin', 'background', 'preserve-groups'],
        longValued: ['user', 'group', 'host', 'prompt', 'role', 'type', 'chdir', 'command-timeout', 'close-from', 'other-user'],
      },
      assignments: true,
      bare: () => true,
      meaning: { i: 'opaque', s: 'opaque', login: 'opaque', shell: 'opaque', e: 'escape', edit: 'escape', h: 'query', R: 'opaque' },
    }),
    doas: plain({ bare: () => true, options: { flags: 'nsL', valued: 'uC' }, meaning: { s: 'opaque', C: 'opaque', L: 'query' } }),
    flock: special(vetFlock),
    xargs: special(vetXargs, false),
    find: special(vetFind, false),
    watch: special(vetWatch),
    busybox: special(vetBusybox),
    toybox: special(vetBusybox),
    ...Object.fromEntries(['busybox-extras', 'busybox.nosuid', 'busybox.suid', 'busybox.static'].map((name) => [name, special(vetBusybox)])),
    ...Object.fromEntries(Object.keys(SHELL_DIALECTS).map((shell) => [shell, special(vetShell, false)])),
  } satisfies Record<string, WrapperRow>),
)

function unwrap({ name, args }: Call, shape: Shape, scope: Scope): void {
  const read = readOptions(args, shape.options)
  if ('unread' in read) {
    scope.find('unread-option', name, `has ${read.unread}, so what it runs cannot be told`)
    return
  }
  for (const option of read.options) {
    const meaning = shape.meaning?.[option.name]
    if (meaning === 'query') return
    if (meaning) scope.find(meaning, name, `-${option.name} starts a program of its own choice`)
    if (option.name === 'chdir' || (name === 'sudo' && option.name === 'D')) scope.changeDirectory(undefined)
  }
  let rest = read.operands
  for (let i = 0; i < (shape.operands ?? 0); i++) {
    if (rest[0] && several(rest[0])) {
      scope.find('dynamic-name', name, 'runs a command whose name only the shell knows')
      return
    }
    rest = rest.slice(1)
  }
  if (shape.assignments) rest = takeAssignments(rest, name, scope)
  if (shape.bare?.(read.options) === true) bareEnvironment(rest, name, scope)
  if (shape.alias !== undefined && rest[0]) runAlias(value(read.options, shape.alias), rest, name, scope)
  if (rest.length > 0) scope.run(rest, name)
  else if (shape.alone) scope.find(shape.alone, name, 'starts a shell')
}

/** Programs that look at their own name to learn what they are. */
const MANY_NAMES = /^(?:busybox|toybox|coreutils|sbase-box|ubase-box)/
function runAlias(alias: Arg | undefined, [program, ...args]: readonly Arg[], command: string, scope: Scope): void {
  if (!alias || !program || !MANY_NAMES.test(program.text.slice(program.text.lastIndexOf('/') + 1))) return
  scope.run([alias.kind === 'constant' ? constant(alias.text.replace(/^.*\/|^-/, '')) : alias, ...args], command)
}

/** `A=1 B=2 command`: the assignments are vetted; a word that may become several hides where the command begins. */
function takeAssignments(args: readonly Arg[], command: string, scope: Scope): readonly Arg[] {
  let index = 0
  for (; index < args.length; index++) {
    const arg = args[index] as Arg
    const equals = arg.prefix.indexOf('=')
    if (equals < 1) break
    if (several(arg)) scope.find('dynamic-name', command, `is given ${arg.text}, which may become several words`)
    const value = arg.text.slice(equals + 1)
    const refusal = refuseExport(arg.prefix.slice(0, equals))
    if (refusal !== undefined) scope.find('variable', command, refusal)
    scope.assign(arg.prefix.slice(0, equals), { ...arg, text: value, prefix: arg.prefix.slice(equals + 1) }, command)
  }
  return args.slice(index)
}

const value = (options: readonly ReadOption[], ...names: string[]): Arg | undefined => options.find((option) => names.includes(option.name))?.value

function vetEnv({ name, args }: Call, scope: Scope, rounds = 0): void {
  const read = readOptions(args, ENV)
  if ('unread' in read) {
    scope.find('unread-option', name, `has ${read.unread}, so what it runs cannot be told`)
    return
  }
  if (value(read.options, 'C', 'chdir')) scope.changeDirectory(undefined)
  for (const option of read.options) if (option.value && (option.name === 'u' || option.name === 'unset')) unset(option.value, name, scope)
  const split = value(read.options, 'S', 'split-string')
  if (!split) {
    const rest = takeAssignments(read.operands, name, scope)
    if (read.options.some((option) => ['i', '-', 'ignore-environment'].includes(option.name))) bareEnvironment(rest, name, scope)
    if (rest.length > 0) scope.run(rest, name)
    return
  }
  // env's own quoting, escapes and ${NAME} are a language of their own; only plain words are read.
  if (split.kind !== 'constant' || /[\\$'"#]/.test(split.text) || rounds > 2) {
    scope.find('opaque', name, 'splits a text that is not plain words (-S)')
    return
  }
  const words = split.text.split(/[ \t\n]+/).filter((word) => word !== '')
  vetEnv({ name, args: [...words.map(constant), ...read.operands] }, scope, rounds + 1)
}

/** Taking away what the guarded shell sets is setting it. */
function unset(variable: Arg, command: string, scope: Scope): void {
  if (variable.kind === 'constant') scope.assign(variable.text, undefined, command)
  else scope.find('variable', command, `unsets a variable that only the shell knows (${variable.text})`)
}
/** Programs that show what they print in a pager, when PAGER=cat is not there to stop them. */
const PAGED: ReadonlySet<string> = new Set(
  'git systemctl journalctl loginctl hostnamectl timedatectl localectl networkctl resolvectl busctl coredumpctl machinectl homectl userdbctl systemd-analyze dpkg apt apt-get aws gh bat delta nmcli pydoc'.split(
    ' ',
  ),
)
function bareEnvironment([first, ...args]: readonly Arg[], command: string, scope: Scope): void {
  const name = first?.text.slice(first.text.lastIndexOf('/') + 1) ?? ''
  if (name === 'git' || (PAGED.has(name) && !args.some((arg) => arg.kind === 'constant' && /^--no-pager$/.test(arg.text))))
    scope.find('escape', name, `may start a pager, because ${command} takes away the environment that keeps it from that; write --no-pager`)
}

const TIME: OptionTable = { flags: 'pqvaV', valued: 'fo', long: ['portability', 'verbose', 'quiet', 'append', 'version'], longValued: ['format', 'output'] }
function vetTime(call: Call, scope: Scope): void {
  const read = readOptions(call.args, TIME)
  const output = 'unread' in read ? undefined : value(read.options, 'o', 'output')
  if (output) scope.write(output, call.name)
  unwrap(call, { options: TIME }, scope)
}

function vetEval({ name, args }: Call, scope: Scope): void {
  const words = args[0]?.text === '--' ? args.slice(1) : args
  if (words.some((arg) => arg.kind !== 'constant')) {
    scope.find('dynamic-name', name, 'runs a text that only the shell knows')
    return
  }
  if (words.length > 0) scope.script(words.map((arg) => arg.text).join(' '), scope.dialect, name)
}

const WATCH: OptionTable = {
  flags: 'bcCegrtwxp',
  valued: 'nq',
  optional: 'd',
  long: ['beep', 'color', 'no-color', 'errexit', 'chgexit', 'precise', 'no-rerun', 'no-title', 'no-wrap', 'exec'],
  longValued: ['interval', 'equexit'],
  longOptional: ['differences'],
}
/** `watch a b` is `sh -c 'a b'`; with -x it runs the words themselves. */
function vetWatch({ name, args }: Call, scope: Scope): void {
  const read = readOptions(args, WATCH)
  if ('unread' in read) {
    scope.find('unread-option', name, `has ${read.unread}, so what it runs cannot be told`)
    return
  }
  if (read.operands.length === 0) return
  if (read.options.some((option) => option.name === 'x' || option.name === 'exec')) {
    scope.run(read.operands, name)
    return
  }
  runJoined(read.operands, name, scope)
}
function runJoined(words: readonly Arg[], name: string, scope: Scope): void {
  if (words.some((arg) => arg.kind !== 'constant')) {
    scope.find('dynamic-name', name, 'runs a text that only the shell knows')
    return
  }
  scope.script(words.map((arg) => arg.text).join(' '), 'posix', name)
}

const FLOCK: OptionTable = {
  flags: 'suxenoFv',
  valued: 'wE',
  long: ['shared', 'exclusive', 'unlock', 'nonblock', 'nb', 'close', 'no-fork', 'verbose'],
  longValued: ['timeout', 'wait', 'conflict-exit-code'],
}
/** `flock FILE command args` or `flock FILE -c 'text'`; with a descriptor's number nothing runs. */
function vetFlock({ name, args }: Call, scope: Scope): void {
  const read = readOptions(args, FLOCK)
  if ('unread' in read) {
    scope.find('unread-option', name, `has ${read.unread}, so what it runs cannot be told`)
    return
  }
  const [file, ...rest] = read.operands
  if (!file) return
  if (several(file)) {
    scope.find('dynamic-name', name, 'runs a command whose name only the shell knows')
    return
  }
  if (rest.length === 0) return
  const first = rest[0] as Arg
  if (first.text === '-c' || first.text === '--command') {
    runJoined(rest.slice(1, 2), name, scope)
    return
  }
  scope.run(rest, name)
}

const XARGS: OptionTable = {
  flags: '0rtxpo',
  valued: 'aEIdLnPs',
  optional: 'eil',
  long: ['null', 'no-run-if-empty', 'verbose', 'interactive', 'exit', 'open-tty', 'show-limits'],
  longValued: ['arg-file', 'delimiter', 'max-args', 'max-procs', 'max-chars', 'process-slot-var'],
  longOptional: ['eof', 'replace', 'max-lines'],
}
/** What xargs reads becomes arguments that nobody knows; where they could become the command, `run` finds that its name is dynamic. */
function vetXargs({ name, args }: Call, scope: Scope): void {
  const read = readOptions(args, XARGS)
  if ('unread' in read) {
    scope.find('unread-option', name, `has ${read.unread}, so what it runs cannot be told`)
    return
  }
  const slot = value(read.options, 'process-slot-var')
  if (slot) scope.assign(slot.text, undefined, name)
  if (read.operands.length === 0) return
  const replacing = read.options.find((option) => ['I', 'i', 'replace'].includes(option.name))
  if (!replacing) {
    scope.run([...read.operands, unknownArg(true)], name)
    return
  }
  const mark = replacing.value ?? constant('{}')
  if (mark.kind !== 'constant' || mark.text === '') {
    scope.find('dynamic-name', name, 'replaces a text that only the shell knows')
    return
  }
  scope.run(
    read.operands.map((arg) => fillIn(arg, mark.text)),
    name,
  )
}
/** `arg` with everything from `mark` on unknown. */
export function fillIn(arg: Arg, mark: string): Arg {
  const at = arg.text.indexOf(mark)
  if (at < 0) return arg
  return { kind: 'dynamic', text: arg.text.replaceAll(mark, '…'), prefix: arg.text.slice(0, Math.min(at, arg.prefix.length)), splits: false }
}

function vetBusybox({ name, args }: Call, scope: Scope): void {
  const [applet] = args
  if (!applet) return
  if (applet.kind !== 'constant') {
    scope.find('dynamic-name', name, 'runs an applet whose name only the shell knows')
    return
  }
  if (/^--(?:list|list-full|help)$/.test(applet.text)) return
  if (applet.text.startsWith('-')) {
    scope.find('unread-option', name, `has the option ${applet.text}`)
    return
  }
  scope.run(args, name)
}

const SHELL: OptionTable = { flags: 'ceuxfCv' }
/** `sh -c 'text'` is vetted; every other shell reads commands that nobody has seen. */
function vetShell({ name, args }: Call, scope: Scope): void {
  if (args.length === 1 && (args[0]?.text === '--version' || args[0]?.text === '--help')) return
  const read = readOptions(args, SHELL)
  const script = 'unread' in read ? undefined : read.operands[0]
  if ('unread' in read || !script || !read.options.some((option) => option.name === 'c')) {
    scope.find('opaque', name, 'runs commands that are not part of the line')
    return
  }
  if (script.kind !== 'constant') {
    scope.find('dynamic-name', name, 'runs a text that only the shell knows')
    return
  }
  scope.script(script.text, SHELL_DIALECTS[name] ?? 'posix', name)
}

/**
 * Builtins of bash, dash and ash. One row each: whether a white list must name it, and what to look at in its arguments.
 * To add a builtin, add a row. Those that run another command stand in wrappers.ts.
 */
import type { Cause } from './findings.js'
import { type OptionTable, readOptions } from './options.js'
import type { Call, Scope, Vet } from './scope.js'
import { isName, refuseExport } from './variables.js'
import { type Arg, constant, unknownArg } from './words.js'

export interface BuiltinRow {
  /** A white list need not name it: it runs nothing and touches no file. */
  readonly free: boolean
  readonly vet?: Vet
}

const FREE: BuiltinRow = { free: true }
const LISTED: BuiltinRow = { free: false }
const free = (vet: Vet): BuiltinRow => ({ free: true, vet })
const listed = (vet: Vet): BuiltinRow => ({ free: false, vet })
const denied = (found: string, cause: Cause = 'shell-state'): BuiltinRow => ({ free: true, vet: ({ name }, scope) => scope.find(cause, name, found) })

export const BUILTINS: ReadonlyMap<string, BuiltinRow> = new Map(
  Object.entries({
    ':': FREE,
    true: FREE,
    false: FREE,
    exit: FREE,
    logout: FREE,
    return: FREE,
    break: FREE,
    continue: FREE,
    shift: FREE,
    fg: FREE,
    bg: FREE,
    disown: FREE,
    times: FREE,
    type: FREE,
    umask: FREE,
    caller: FREE,
    help: FREE,
    unalias: FREE,
    jobs: free(vetJobs),
    wait: free(vetWait),
    printf: free(vetPrintf),
    read: free(vetRead),
    getopts: free(vetGetopts),
    let: free(vetLet),
    test: free(vetTest),
    '[': free(vetTest),
    export: free(vetDeclaration),
    readonly: free(vetDeclaration),
    declare: free(vetDeclaration),
    typeset: free(vetDeclaration),
    local: free(vetDeclaration),
    unset: free(vetUnset),
    set: free(vetSet),
    history: free(vetHistory),
    echo: LISTED,
    pwd: LISTED,
    kill: LISTED,
    ulimit: listed(vetUlimit),
    suspend: LISTED,
    dirs: LISTED,
    cd: listed(vetCd),
    chdir: listed(vetCd),
    pushd: listed(({ args }, scope) => args.length > 0 && scope.changeDirectory(undefined)),
    popd: listed((_, scope) => scope.changeDirectory(undefined)),
    alias: free(vetAlias),
    trap: free(({ args, name }, scope) => {
      if (!args.every((arg) => arg.kind === 'constant' && /^-[lp]$/.test(arg.text))) scope.find('shell-state', name, 'would run a command later, unseen')
    }),
    bind: denied('would bind a command to a key'),
    complete: denied('would run a command at completion'),
    compopt: denied('changes completion'),
    compgen: denied('can run a command at completion'),
    enable: denied('replaces builtins'),
    hash: free(({ args, name }, scope) => {
      if (args.some((arg) => arg.text !== '-r')) scope.find('shell-state', name, 'can give a command another program')
    }),
    source: denied('runs a file whose commands are not known'),
    '.': denied('runs a file whose commands are not known'),
    shopt: denied('changes how lines are read'),
    mapfile: listed(vetMapfile),
    readarray: listed(vetMapfile),
    fc: denied('runs lines from the history'),
  } satisfies Record<string, BuiltinRow>),
)

/** Names that a variable-setting builtin gives values to: constant, plain, harmless. */
function assignAll(names: readonly Arg[], { name }: Call, scope: Scope, value?: Arg): void {
  for (const arg of names) assignOne(arg, value, name, scope)
}
function assignOne(arg: Arg, value: Arg | undefined, command: string, scope: Scope): void {
  if (arg.kind === 'constant' && isName(arg.text)) scope.assign(arg.text, value, command)
  else if (arg.kind === 'constant' && /^[A-Za-z_]\w*\[\d+\]$/.test(arg.text)) scope.assign(arg.text.slice(0, arg.text.indexOf('[')), undefined, command)
  else scope.find('variable', command, `sets a variable whose name is not plain (${arg.text})`)
}

function vetJobs({ args, name }: Call, scope: Scope): void {
  if (args.some((arg) => arg.kind !== 'constant' || /^-.*x/.test(arg.text))) scope.find('shell-state', name, 'can run a command with -x')
}
function vetWait({ args, name }: Call, scope: Scope): void {
  if (args.some((arg) => arg.kind === 'constant' && /^-.*p/.test(arg.text))) scope.find('variable', name, 'sets a variable with -p')
}

const PRINTF: OptionTable = { valued: 'v' }
function vetPrintf(call: Call, scope: Scope): void {
  // dash has no -v, ash neither: there the text is a format and does nothing.
  const first = call.args[0]
  if (first && first.kind !== 'constant' && (first.splits || first.prefix === '' || first.prefix.startsWith('-v'))) {
    // `printf "$fmt"` may turn out to be -v with a name after it, but only when there is a name.
    if (first.splits || call.args.length > 1) scope.find('unproven', call.name, 'has a first argument that only the shell knows')
    return
  }
  if (!first?.text.startsWith('-') || first.text === '-') return
  const read = readOptions(call.args, PRINTF)
  if ('unread' in read) return
  assignAll(
    read.options.flatMap((option) => option.value ?? []),
    call,
    scope,
  )
}

const READ: OptionTable = { flags: 'rsE', valued: 'ptnNdui', optional: '' }
function vetRead(call: Call, scope: Scope): void {
  // -a NAME is a name like the operands; -e would open an editor of the shell's own.
  const read = readOptions(call.args, { ...READ, valued: `${READ.valued}a` })
  if ('unread' in read) {
    scope.find('unread-option', call.name, `has ${read.unread}`)
    return
  }
  const arrays = read.options.flatMap((option) => (option.name === 'a' && option.value ? [option.value] : []))
  assignAll([...arrays, ...read.operands], call, scope)
}

/** Reads lines into an array; with -C it runs a text for each of them, and so that option is not in the table. */
const MAPFILE: OptionTable = { flags: 't', valued: 'dnOsu' }
function vetMapfile(call: Call, scope: Scope): void {
  const read = readOptions(call.args, MAPFILE)
  if ('unread' in read) scope.find('shell-state', call.name, `has ${read.unread}, which may run a callback`)
  else assignAll(read.operands, call, scope)
}

function vetGetopts({ args, name }: Call, scope: Scope): void {
  const variable = args[1]
  if (variable) assignOne(variable, undefined, name, scope)
}

function vetLet({ args, name }: Call, scope: Scope): void {
  for (const arg of args) {
    if (arg.kind === 'dynamic') scope.find('hidden', name, 'reads arithmetic that only the shell knows, in which a command may hide')
    else scope.arithmetic(arg.text, name)
  }
}

/**
 * `test -v NAME` and `-R NAME` evaluate a subscript (bash): `test -v 'a[$(cmd)]'`. So the name must be plain, and nothing
 * that only the shell knows may stand where it could become the operator and its operand.
 */
function vetTest({ args, name }: Call, scope: Scope): void {
  if (scope.dialect !== 'bash') return
  args.forEach((arg, index) => {
    const next = args[index + 1]
    if (arg.kind === 'constant' && (arg.text === '-v' || arg.text === '-R') && next && !(next.kind === 'constant' && isPlainSubscript(next.text))) {
      scope.find('hidden', name, `${arg.text} reads a name in which a command may hide (${next.text})`)
    }
    if (arg.kind !== 'dynamic') return
    if (arg.splits) scope.find('unproven', name, 'has an unquoted argument that may become several')
    else if (next?.kind === 'dynamic' && arg.prefix === '' && index === 0) scope.find('unproven', name, 'has an operator that only the shell knows')
  })
}
/** `x`, `x[3]`, `x[name]` of letters: nothing is expanded in it. Any text without a bracket is no subscript at all. */
function isPlainSubscript(text: string): boolean {
  return !text.includes('[') || /^[A-Za-z_]\w*\[\w*\]$/.test(text) || text === ']'
}

const DECLARE: OptionTable = { flags: 'aAfFgIiprtuxlE' }
/** export, readonly, declare, typeset, local: `name`, `name=value`; options may come with `+`. */
function vetDeclaration(call: Call, scope: Scope): void {
  let integer = false
  const exports = call.name === 'export' || call.args.some((arg) => /^-[A-Za-z]*x/.test(arg.text))
  for (const arg of call.args) {
    if (arg.kind === 'constant' && /^[-+][A-Za-z]+$/.test(arg.text)) {
      if (arg.text.includes('n') && call.name !== 'export') scope.find('variable', call.name, 'makes a variable stand for another one (-n)')
      else if (![...arg.text.slice(1)].every((flag) => DECLARE.flags?.includes(flag) || (flag === 'n' && call.name === 'export')))
        scope.find('unread-option', call.name, `has the option ${arg.text}`)
      if (/^-.*i/.test(arg.text)) {
        integer = true
        scope.find('unproven', call.name, 'makes a variable whose later values are read as arithmetic (-i)')
      }
      continue
    }
    if (arg.text === '--' && arg.kind === 'constant') continue
    const refusal = exports ? refuseExport(arg.prefix.replace(/\+?=[\s\S]*$/, '')) : undefined
    if (refusal !== undefined) scope.find('variable', call.name, refusal)
    if (scope.dialect === 'bash') vetArrayText(arg, call, scope)
    declareOne(arg, integer, call, scope)
  }
}
/**
 * bash reads a value `(..)` that is text, not syntax, as an array's elements and expands them (`declare -a x='($(cmd))'`),
 * with -a or when the variable was an array before.
 */
function vetArrayText(arg: Arg, { name, args }: Call, scope: Scope): void {
  const value = arg.text.slice(arg.text.indexOf('=') + 1)
  if (!arg.text.includes('=')) return
  if (/^\s*\([\s\S]*[$`]/.test(value)) scope.find('hidden', name, `reads a text as an array, in which a command may hide (${arg.text})`)
  if (arg.kind !== 'dynamic' || arg.settled || !value.startsWith('…')) return
  const isArray = args.some(({ text }) => /^-[A-Za-z]*[aA]/.test(text))
  if (isArray) scope.find('hidden', name, `reads a value that only the shell knows as an array, in which a command may hide (${arg.text})`)
}
function declareOne(arg: Arg, integer: boolean, { name }: Call, scope: Scope): void {
  const equals = arg.prefix.search(/\+?=/)
  if (equals < 0) {
    // Without a value nothing is set: the name is printed or gets an attribute.
    if (arg.kind !== 'constant' || !/^[A-Za-z_]\w*(?:\[\d+\])?$/.test(arg.text)) assignOne(arg, undefined, name, scope)
    return
  }
  const variable = arg.prefix.slice(0, equals)
  const skip = arg.prefix.indexOf('=') + 1
  const value: Arg = { ...arg, text: arg.text.slice(skip), prefix: arg.prefix.slice(skip) }
  // dash splits `export a=$x` into words, each of which it would set.
  if (arg.splits && scope.dialect === 'posix')
    scope.find('variable', name, `sets ${variable} to an unquoted value that may name other variables; put it in double quotes`)
  if (integer && scope.dialect === 'bash')
    value.kind === 'constant' ? scope.arithmetic(value.text, name) : scope.find('hidden', name, 'reads a value as arithmetic (-i)')
  assignOne({ kind: 'constant', text: variable, prefix: variable, splits: false }, value, name, scope)
}

function vetUnset(call: Call, scope: Scope): void {
  const names = call.args.filter((arg) => !(arg.kind === 'constant' && /^-[fv]$/.test(arg.text)))
  assignAll(names, call, scope, unknownArg(false))
}

const SET_LETTERS = /^[-+][eufC]+$/
const SET_NAMES: ReadonlySet<string> = new Set(['errexit', 'nounset', 'noglob', 'noclobber', 'pipefail', 'ignoreeof'])
/** `set` beyond -eufC changes how lines are read or traced; positional parameters are data. */
function vetSet({ args, name }: Call, scope: Scope): void {
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as Arg
    if (arg.kind === 'constant' && arg.text === '--') return
    if (arg.kind === 'constant' && !/^[-+]/.test(arg.text)) return
    if (arg.kind !== 'constant') {
      scope.find('shell-state', name, `has an argument that only the shell knows (${arg.text})`)
      return
    }
    const option = /^[-+]([eufC]*)o$/.test(arg.text)
    const value = args[i + 1]
    if (option && value === undefined) return
    if (option && value?.kind === 'constant' && SET_NAMES.has(value.text)) i++
    else if (!SET_LETTERS.test(arg.text)) {
      scope.find('shell-state', name, `${arg.text} changes how the shell reads lines`)
      return
    }
  }
}

/** With few descriptors left, bash keeps its source at a low number, where a line could read it. */
const MIN_DESCRIPTORS = 64
function vetUlimit({ args, name }: Call, scope: Scope): void {
  const text = args.map((arg) => arg.text).join(' ')
  if (!/(?:^|\s)-[A-Za-z]*n/.test(text) && args.every((arg) => arg.kind === 'constant')) return
  const [value] = /(?:\d+|unlimited|hard|soft)?$/.exec(text) ?? []
  if (args.every((arg) => arg.kind === 'constant') && /^[-A-Za-z\s]*(?:\d+)?$/.test(text) && (!/^\d+$/.test(value ?? '') || Number(value) >= MIN_DESCRIPTORS))
    return
  scope.find('shell-state', name, 'would leave the shell too few descriptors')
}

/** What a later line would run by that name is not known here: the body must be plain words, and any argument may follow. */
const ALIAS = /^([a-z][\w-]*)=([\w./-]+(?: [\w./=:,+%@-]+)*)$/
function vetAlias({ args, name }: Call, scope: Scope): void {
  for (const arg of args) {
    if (arg.kind === 'constant' && /^-p$|^[\w-]+$/.test(arg.text)) continue
    const [, alias = '', body = ''] = (arg.kind === 'constant' && ALIAS.exec(arg.text)) || []
    const words = body.split(' ')
    if (alias === '' || KEYWORDS.has(alias) || BUILTINS.has(alias) || (scope.isCommand(alias) && words[0] !== alias)) {
      scope.find('shell-state', name, 'would give a command another name')
      continue
    }
    scope.find('function', name, `makes ${alias} a name of ${words[0]}`)
    scope.run([...words.map(constant), unknownArg(true)], name)
  }
}
const KEYWORDS: ReadonlySet<string> = new Set('if then else elif fi case esac for select while until do done in function time coproc'.split(' '))

function vetHistory({ args, name }: Call, scope: Scope): void {
  if (args.some((arg) => !/^\d+$/.test(arg.text))) scope.find('shell-state', name, 'changes the history')
}

function vetCd({ args }: Call, scope: Scope): void {
  const operands = args.filter((arg) => !(arg.kind === 'constant' && /^-(?:[LPe@]+|-)$/.test(arg.text)))
  const [target] = operands
  const known = target?.kind === 'constant' && target.text !== '-' && target.text !== '' && operands.length === 1
  scope.changeDirectory(known ? target : undefined)
}

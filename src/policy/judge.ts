/** Commands of a line and a rule's list -> verdict. Pure; a white list is enforcement, a black list is a guard rail. */
import type { CommandEntry, CommandRule, Confidence, Demand, Dialect } from '../core/types.js'
import { type Analysis, analyse, DEFAULT_LIMITS, type Invocation, type Limits } from './analyse.js'
import { foldersAbove, intersects, tailBehindDots } from './disguise.js'
import { isDenied } from './findings.js'
import { compileGlob, compileGlobs, type Glob } from './globs.js'
import { findFlag, type Presence } from './options.js'
import { absolute, PROGRAM_DIRECTORIES } from './paths.js'
import { readsWholeFile } from './programs.js'
import type { Arg } from './words.js'
import { renamesFiles } from './writers.js'

export interface JudgeContext {
  /** Grammar of the shell that will read the line. */
  readonly dialect: Dialect
  /** Absolute; the shell's directory when the line starts. */
  readonly cwd: string
  /** What `~` stands for; without it `~` is an argument that only the shell knows. */
  readonly home?: string
  readonly limits?: Partial<Limits>
}
/** A file whose size must be asked of the target before the line runs (`editLimit`). */
export interface SizeCheck {
  readonly command: string
  /** Absolute. */
  readonly path: string
}
export interface Judgement {
  /** `incomplete`: an editor may ask for another line; every other door must take it for `deny`. */
  readonly verdict: 'allow' | 'deny' | 'incomplete'
  /** The line would be allowed once this is met; the verdict is `deny` until then. */
  readonly demand?: Demand
  /** One line for the user: the command and what was found. Set unless allowed. */
  readonly reason?: string
  /** The entry of the rule that matched, as the rule's author wrote it: `rm -r|R|recursive -f|force`. */
  readonly entry?: string
  /** Every simple command, wrappers unwrapped: [name, ...args]. Parts that only the shell knows print as "…". */
  readonly commands: readonly (readonly string[])[]
  readonly confidence: Exclude<Confidence, 'advisory'>
  /** The line starts something that runs commands of its own; allowed only by `opaque: allow`. */
  readonly opaque: boolean
  readonly sizeChecks: readonly SizeCheck[]
}

/** Judges `line` under `rule`. Never throws; takes about 50 us for a usual line. */
export function judge(line: string, rule: CommandRule, context: JudgeContext): Judgement {
  const analysis = analyse(line, {
    dialect: context.dialect,
    cwd: context.cwd,
    home: context.home,
    limits: { ...DEFAULT_LIMITS, ...context.limits },
  })
  if ('fault' in analysis) {
    return { ...EMPTY, verdict: analysis.fault === 'incomplete' ? 'incomplete' : 'deny', reason: analysis.reason }
  }
  const facts = {
    commands: analysis.invocations.filter((call) => !call.transparent).map(print),
    confidence: analysis.invocations.some((call) => call.nested) ? ('nested' as const) : ('exact' as const),
    opaque: analysis.findings.some(({ cause }) => cause === 'opaque'),
  }
  const sizes = sizeChecks(analysis, rule)
  const refusal = firstRefusal(analysis, rule) ?? (typeof sizes === 'string' ? { reason: sizes } : undefined)
  if (refusal || typeof sizes === 'string') return { verdict: 'deny', ...facts, sizeChecks: [], ...refusal }
  const demand = firstDemand(analysis, rule)
  if (demand) return { verdict: 'deny', ...facts, sizeChecks: sizes, ...demand }
  return { verdict: 'allow', ...facts, sizeChecks: sizes }
}

const EMPTY = { commands: [], confidence: 'exact', opaque: false, sizeChecks: [] } as const

interface Refusal {
  readonly reason: string
  readonly entry?: string
}

/** What the list says about a command comes before what a default says: it names what the rule's author meant. */
function firstRefusal(analysis: Analysis, rule: CommandRule): Refusal | undefined {
  for (const call of analysis.invocations) {
    const refusal = (rule.mode === 'deny' ? deniedBy(call, rule, analysis) : unlisted(call, rule, analysis)) ?? pathDenied(call, rule, analysis)
    if (refusal) return refusal
  }
  for (const path of analysis.reads) {
    const refusal = readDenied(path, rule, analysis)
    if (refusal) return refusal
  }
  const finding = analysis.findings.find((found) => isDenied(found, rule))
  return finding && { reason: `${finding.command}: ${finding.found}` }
}

/** What the rule lets run only after a question; approval, which asks more, goes first. */
function firstDemand(analysis: Analysis, { confirm, approve }: CommandRule): (Refusal & { readonly demand: Demand }) | undefined {
  const approval = approve && firstNamed(analysis, approve.entries, 'asks another person about')
  if (approve && approval) return { ...approval, demand: { kind: 'approve', by: approve.by, withinMs: approve.withinMs } }
  const confirmation = confirm && firstNamed(analysis, confirm, 'asks for a confirmation of')
  return confirmation && { ...confirmation, demand: { kind: 'confirm' } }
}
function firstNamed(analysis: Analysis, entries: readonly CommandEntry[], does: string): Refusal | undefined {
  for (const call of analysis.invocations) {
    const found = namedBy(call, entries, analysis, does)
    if (found) return found
  }
  for (const path of analysis.reads) {
    const found = readNamed(path, entries, analysis, does)
    if (found) return found
  }
  return undefined
}

// ---------------------------------------------------------------- paths that no command may name

/** A path of the rule's `paths.deny`, what may turn out to be one, or a folder above one that is read with all that is in it. */
function pathDenied(call: Invocation, { denyPaths }: CommandRule, analysis: Analysis): Refusal | undefined {
  if (!denyPaths || call.transparent) return undefined
  const presence = pathPresence(call.args, denyPaths, analysis, true)
  if (presence === 'yes') return { reason: `${call.name}: this rule lets no command name ${denyPaths.join(', ')}` }
  if (presence === 'maybe')
    return { reason: `${call.name}: what is named here is known only to the shell (${unclear(call)}), and this rule keeps ${denyPaths.join(', ')}` }
  if (!READ_FOLDERS.has(call.name) || findFlag(call.args, ['r', 'R', 'recursive', 'dereference-recursive']) === 'no') return undefined
  const folders = call.args.filter((arg) => !arg.text.startsWith('-')).flatMap(({ text }) => spellings(text, analysis))
  // without an operand it is the directory itself
  const places = [...folders, ...(analysis.directories ?? ['/'])]
  const isAbove = (folder: string): boolean => denyPaths.some((pattern) => pattern.startsWith('*') || foldersAbove(pattern).includes(folder))
  return places.some(isAbove) ? { reason: `${call.name}: it would read all below a folder in which this rule keeps ${denyPaths.join(', ')}` } : undefined
}
/** Programs that print the content of all files below a folder when they are told to. */
const READ_FOLDERS: ReadonlySet<string> = new Set('grep egrep fgrep zgrep rg'.split(' '))

// ---------------------------------------------------------------- black list

function deniedBy(call: Invocation, rule: CommandRule, analysis: Analysis): Refusal | undefined {
  return namedBy(call, rule.entries, analysis, 'denies')
}
/** @param does what the rule does with what the entries name */
function namedBy(call: Invocation, entries: readonly CommandEntry[], analysis: Analysis, does: string): Refusal | undefined {
  for (const entry of entries) {
    if (COPIERS.has(call.name) && call.args.some((arg) => isProgram(arg, nameOf(entry), analysis))) {
      return { reason: `${call.name}: this rule ${does} ${entryText(entry)}, and a copy of the program would be beyond it`, entry: entryText(entry) }
    }
    if (nameOf(entry) === call.name) {
      const presence = applies(entry, call, analysis)
      if (presence === 'yes') return { reason: `${call.name}: this rule ${does} ${entryText(entry)}`, entry: entryText(entry) }
      if (presence === 'maybe') {
        const reason = `${call.name}: this rule ${does} ${entryText(entry)}, and an argument here is known only to the shell (${unclear(call)})`
        return { reason, entry: entryText(entry) }
      }
    } else if (entry.path.length > 0 && renamesFiles(call.name) && renames(call, entry.path, analysis)) {
      return { reason: `${call.name}: this rule keeps ${entry.path.join(', ')} from ${entry.cmd}, and a copy would be beyond it`, entry: entryText(entry) }
    }
  }
  return undefined
}
/** Commands that give a program's file another name, or its bytes to whoever makes one. */
const COPIERS: ReadonlySet<string> = new Set('cp mv ln link install rsync scp dd cat tar cpio tee base64 gzip zip xxd busybox'.split(' '))
/** True for `/bin/rm`, `if=/bin/rm`, when `name` is `rm`. */
function isProgram(arg: Arg, name: string, analysis: Analysis): boolean {
  if (arg.kind !== 'constant' || !arg.text.endsWith(name)) return false
  return pathsIn(arg.text).some((path) =>
    spellings(path, analysis).some((each) => each.endsWith(`/${name}`) && PROGRAM_DIRECTORIES.has(each.slice(0, -name.length - 1))),
  )
}
function nameOf(entry: CommandEntry): string {
  return entry.cmd.slice(entry.cmd.lastIndexOf('/') + 1)
}
function unclear(call: Invocation): string {
  return call.args.find((arg) => arg.kind !== 'constant')?.text ?? 'the directory'
}

/** All flags and, if there are any, one of the paths. */
function applies(entry: CommandEntry, call: Invocation, analysis: Analysis): Presence {
  const presences = entry.flags.map((spellings) => findFlag(call.args, spellings, call.name === 'dd'))
  if (entry.path.length > 0) presences.push(pathPresence(call.args, entry.path, analysis, true))
  if (presences.includes('no')) return 'no'
  return presences.includes('maybe') ? 'maybe' : 'yes'
}

/** @param strict whether an argument that only the shell knows counts */
function pathPresence(args: readonly Arg[], patterns: readonly string[], analysis: Analysis, strict: boolean): Presence {
  const glob = compileGlobs(patterns)
  let maybe = false
  for (const arg of args) {
    if (arg.kind !== 'constant') maybe ||= strict && mayEndLike(arg, patterns)
    else {
      const candidates = pathsIn(arg.text)
      if (analysis.directories === undefined && candidates.some((path) => !path.startsWith('/')) && !/^-\w+$/.test(arg.text)) maybe ||= strict
      if (candidates.some((path) => spellings(path, analysis).some(glob))) return 'yes'
      maybe ||= candidates.some((path) => hidesBehindDots(path, patterns))
    }
  }
  return maybe ? 'maybe' : 'no'
}
/** Whether the last name of what a glob finds may be that of a path the rule speaks of: `*.txt` never finds /etc/shadow, whatever links lead there. */
function mayEndLike({ kind, text }: Arg, patterns: readonly string[]): boolean {
  if (kind !== 'glob' || text.includes('..') || /[=\\]/.test(text)) return true
  const name = text.slice(text.lastIndexOf('/') + 1)
  return patterns.some((pattern) => {
    const cut = Math.max(pattern.lastIndexOf('/'), pattern.lastIndexOf('*'))
    return /[\\[]/.test(pattern) || intersects(name, `${pattern[cut] === '/' ? '' : '*'}${pattern.slice(cut + 1)}`)
  })
}
function hidesBehindDots(path: string, patterns: readonly string[]): boolean {
  const tail = tailBehindDots(path)
  return tail !== undefined && patterns.some((pattern) => intersects(`*/${escapeGlob(tail)}`, pattern))
}
function escapeGlob(text: string): string {
  return text.replace(/[\\*?[…]/g, '\\$&')
}
/** A copy or link of a protected file, of a pattern that may match it, or of a folder that it lies in. */
function renames(call: Invocation, patterns: readonly string[], analysis: Analysis): boolean {
  if (pathPresence(call.args, patterns, analysis, false) !== 'no') return true
  const operands = call.args.filter((arg) => !(arg.kind === 'constant' && arg.text.startsWith('-')))
  // What is last is where the copy goes.
  return (operands.length > 1 ? operands.slice(0, -1) : operands).some((arg) => {
    const values = arg.variable === undefined ? [arg] : (analysis.valuesOf(arg.variable) ?? [])
    return values.some((value) => patterns.some((pattern) => mayBeProtected(value, pattern, analysis)))
  })
}
function mayBeProtected(arg: Arg, pattern: string, analysis: Analysis): boolean {
  if (arg.kind === 'dynamic') return false
  const glob = compileGlob(pattern)
  return spellings(arg.text, analysis).some((path) => {
    if (arg.kind === 'constant') return glob(path) || foldersAbove(pattern).includes(path)
    // `cp * dir` keeps the names; only the folder may then be another one.
    const bare = /^[*?]*$/.test(path.slice(path.lastIndexOf('/') + 1))
    const folder = path.slice(0, path.lastIndexOf('/')) || '/'
    return bare ? foldersAbove(pattern).includes(folder) : [pattern, ...foldersAbove(pattern)].some((each) => intersects(path, each))
  })
}
/** The paths that an argument may name: itself, the value of `--file=x`, `if=x`, `-fx`. */
function pathsIn(text: string): string[] {
  if (text === '') return []
  const equals = text.indexOf('=')
  const paths = [text]
  if (equals >= 0) paths.push(text.slice(equals + 1))
  if (/^-[A-Za-z]./.test(text)) paths.push(text.slice(2))
  return paths
}
function spellings(path: string, { directories }: Analysis): string[] {
  if (path.startsWith('/')) return [absolute(path, '/')]
  return (directories ?? []).map((directory) => absolute(path, directory))
}

/** `<file` is what cat would read; the path rules of cat hold for it. */
function readDenied(path: Arg, rule: CommandRule, analysis: Analysis): Refusal | undefined {
  if (rule.denyPaths && pathPresence([path], rule.denyPaths, analysis, true) !== 'no')
    return { reason: `redirection: this rule lets no line read ${rule.denyPaths.join(', ')}` }
  if (rule.mode === 'allow') {
    const cats = admitted(rule).filter((entry) => nameOf(entry) === 'cat')
    if (cats.length === 0 || cats.some((entry) => entry.path.length === 0)) return undefined
    return cats.some((entry) => everyPath([path], compileGlobs(entry.path), analysis))
      ? undefined
      : { reason: `redirection: this rule does not let a line read ${path.text}` }
  }
  return readNamed(path, rule.entries, analysis, 'denies')
}
function readNamed(path: Arg, entries: readonly CommandEntry[], analysis: Analysis, does: string): Refusal | undefined {
  for (const entry of entries) {
    if (isProgram(path, nameOf(entry), analysis))
      return { reason: `redirection: this rule ${does} ${entryText(entry)}, and a copy of the program would be beyond it`, entry: entryText(entry) }
    if (nameOf(entry) !== 'cat' || entry.path.length === 0 || entry.flags.length > 0) continue
    const presence = pathPresence([path], entry.path, analysis, true)
    if (presence === 'yes') return { reason: `redirection: this rule ${does} ${entryText(entry)}, and < reads the same file`, entry: entryText(entry) }
    if (presence === 'maybe')
      return {
        reason: `redirection: this rule ${does} ${entryText(entry)}, and the file here is known only to the shell (${path.text})`,
        entry: entryText(entry),
      }
  }
  return undefined
}

// ---------------------------------------------------------------- white list

function unlisted(call: Invocation, rule: CommandRule, analysis: Analysis): Refusal | undefined {
  if (call.free) return undefined
  const entries = admitted(rule).filter((entry) => nameOf(entry) === call.name)
  if (entries.length === 0) return { reason: `${call.name}: not among the commands that this rule allows` }
  if (entries.some((entry) => admits(entry, call, analysis))) return undefined
  return { reason: `${call.name}: this rule allows ${entries.map(entryText).join(' or ')} only` }
}
/** What is to be asked about is meant to run, or nobody would be asked. */
function admitted({ entries, confirm = [], approve }: CommandRule): readonly CommandEntry[] {
  return [...entries, ...confirm, ...(approve?.entries ?? [])]
}
/** An entry that speaks of arguments admits only what it surely covers. */
function admits(entry: CommandEntry, call: Invocation, analysis: Analysis): boolean {
  if (!entry.flags.every((spellings) => findFlag(call.args, spellings) === 'yes')) return false
  return entry.path.length === 0 || everyPath(call.args, compileGlobs(entry.path), analysis)
}
function everyPath(args: readonly Arg[], glob: Glob, analysis: Analysis): boolean {
  if (analysis.directories === undefined) return false
  return args.every((arg) => {
    if (arg.kind !== 'constant') return false
    if (/^-\w*$|^--[\w-]*$/.test(arg.text)) return !/^-[A-Za-z]\w*\d*$/.test(arg.text) || arg.text.length <= 4
    return spellings(arg.text, analysis).every(glob)
  })
}

// ---------------------------------------------------------------- texts and sizes

function entryText(entry: CommandEntry): string {
  const flags = entry.flags.map((spellings) => ` -${spellings.join('|')}`).join('')
  return `${entry.cmd}${flags}${entry.path.length > 0 ? ` on ${entry.path.join(', ')}` : ''}`
}
function print(call: Invocation): readonly string[] {
  return [call.name, ...call.args.map((arg) => arg.text)]
}

/** Files that an editor or pager would load; a text when one of them cannot be named. */
function sizeChecks(analysis: Analysis, rule: CommandRule): readonly SizeCheck[] | string {
  if (rule.editLimit === undefined) return []
  const checks: SizeCheck[] = []
  for (const call of analysis.invocations) {
    if (!readsWholeFile(call.name)) continue
    for (const arg of call.args) {
      if (arg.kind !== 'constant') return `${call.name}: the size of ${arg.text} cannot be asked before it is opened`
      if (/^[-+]/.test(arg.text)) continue
      const [path, ...more] = spellings(arg.text, analysis)
      if (path === undefined) return `${call.name}: the size of ${arg.text} cannot be asked, because the line changes the directory`
      for (const each of [path, ...more]) checks.push({ command: call.name, path: each })
    }
  }
  if (checks.length === 0 && !analysis.invocations.some((call) => readsWholeFile(call.name))) return checks
  for (const path of analysis.reads) {
    if (path.kind !== 'constant') return `redirection: the size of ${path.text} cannot be asked before it is opened`
    for (const each of spellings(path.text, analysis)) checks.push({ command: '<', path: each })
  }
  return checks
}

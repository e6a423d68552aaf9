/**
 * The one decision of every door. Rules are asked in the order of the file; a rule matches when *who*, *from*, *where* and the
 * *door* all match, and the first that matches decides alone, whatever a later one says. A rule for the same person and
 * place that does not list the door is passed over, so "ssh only" and "sftp only" may be two rules. Nothing matches: no.
 *
 * Pure and synchronous. Rules are compiled once. Those that concern a person are looked up once per Identity, and of
 * these the ones for a cluster and namespace once per pair, so a decision among thousands of rules looks at few.
 */
import { escapePeerText } from '../core/log.js'
import {
  type Allowed,
  type CommandRule,
  type Demand,
  type Dialect,
  type Door,
  type Identity,
  type LineAnalysis,
  type Policy,
  type Question,
  type Refused,
  type Target,
  targetText,
  type Verdict,
} from '../core/types.js'
import { type AddressList, compileAddresses } from './addresses.js'
import { compileGlobs, type Glob } from './globs.js'
import type { Place, Rule } from './rules.js'
import { compileFileRule, effectiveFiles, type TransferQuestion, type VetTransfer } from './transfers.js'

/** Vets one command line against one rule; pure. Given to createPolicy, so that the policy knows no parser. */
export type Judge = (line: string, rule: CommandRule, context: { readonly dialect: Dialect; readonly cwd: string }) => LineVerdict
export interface LineVerdict {
  readonly allow: boolean
  /** Why not, in one line. */
  readonly reason?: string
  readonly analysis: LineAnalysis
  /** Not allowed yet: what the line still needs. */
  readonly demand?: Demand
}

interface CompiledPlace {
  readonly cluster: Glob
  readonly namespace: Glob
  readonly pod: Glob
  readonly container: Glob
  readonly labels: readonly (readonly [string, Glob])[]
}
interface CompiledRule {
  readonly rule: Rule
  readonly users: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
  /** Absent: from anywhere. */
  readonly from: AddressList | undefined
  readonly doors: ReadonlySet<Door>
  readonly places: readonly CompiledPlace[]
  /** Absent: every transfer is allowed. */
  readonly vetTransfer: VetTransfer | undefined
}
/** A rule and those of its places that lie in one namespace of one cluster. */
interface Candidate {
  readonly compiled: CompiledRule
  readonly places: readonly CompiledPlace[]
}
/** The rules of one person, and the candidates for each "cluster/namespace" met so far. */
interface PersonalRules {
  readonly rules: readonly CompiledRule[]
  readonly byNamespace: Map<string, readonly Candidate[]>
}

/** Namespaces remembered per person; beyond it the memory starts anew. Bounds what a long session can hold. */
const MAX_NAMESPACES = 1024

/**
 * @param judge vets lines where the rule has a command list; without it such lines are refused
 * @returns a policy that never throws: what cannot be decided is refused
 */
export function createPolicy(rules: readonly Rule[], judge?: Judge): Policy {
  const compiled = rules.map(compileRule)
  const personal = new WeakMap<Identity, PersonalRules>()

  const rulesOf = (identity: Identity): PersonalRules => {
    const known = personal.get(identity)
    if (known) return known
    const found = { rules: compiled.filter((rule) => isFor(rule, identity)), byNamespace: new Map() }
    personal.set(identity, found)
    return found
  }
  const firstMatch = (identity: Identity, target: Target, door: Door | undefined): CompiledRule | undefined =>
    candidates(rulesOf(identity), target).find(
      ({ compiled: rule, places }) => (door === undefined || rule.doors.has(door)) && places.some((place) => isIn(place, target)),
    )?.compiled

  return {
    decide(question) {
      const door = question.kind === 'see' ? undefined : question.door
      const found = firstMatch(question.identity, question.target, door)
      if (!found) return { allow: false, reason: noRule(question) }
      if (question.kind === 'run') return decideRun(found.rule, question, judge)
      if (question.kind === 'transfer') return decideTransfer(found, question)
      return granted(found.rule)
    },
  }
}

function compileRule(rule: Rule): CompiledRule {
  const files = effectiveFiles(rule)
  return {
    rule,
    users: new Set(rule.users),
    groups: new Set(rule.groups),
    from: rule.from && compileAddresses(rule.from),
    doors: new Set(rule.doors),
    places: rule.where.map(compilePlace),
    vetTransfer: files && compileFileRule(files),
  }
}
function compilePlace(place: Place): CompiledPlace {
  return {
    cluster: compileGlobs(place.cluster),
    namespace: compileGlobs(place.namespace),
    pod: compileGlobs(place.pod),
    container: compileGlobs(place.container),
    labels: Object.entries(place.labels).map(([name, globs]) => [name, compileGlobs(globs)]),
  }
}

function isFor(rule: CompiledRule, identity: Identity): boolean {
  if (rule.from && !rule.from(identity.from.host)) return false
  return rule.users.has('*') || rule.users.has(identity.user) || identity.groups.some((group) => rule.groups.has(group))
}
function candidates(personal: PersonalRules, { cluster, namespace }: Target): readonly Candidate[] {
  const key = `${cluster}/${namespace}`
  const known = personal.byNamespace.get(key)
  if (known) return known
  const found = personal.rules
    .map((compiled) => ({ compiled, places: compiled.places.filter((place) => place.cluster(cluster) && place.namespace(namespace)) }))
    .filter(({ places }) => places.length > 0)
  if (personal.byNamespace.size >= MAX_NAMESPACES) personal.byNamespace.clear()
  personal.byNamespace.set(key, found)
  return found
}
/** Cluster and namespace were compared when the candidate was found. */
function isIn(place: CompiledPlace, target: Target): boolean {
  return place.pod(target.pod) && place.container(target.container) && place.labels.every(([name, glob]) => hasLabel(target, name, glob))
}
function hasLabel(target: Target, name: string, glob: Glob): boolean {
  const value = Object.hasOwn(target.labels, name) ? target.labels[name] : undefined
  return value !== undefined && glob(value)
}

const ACTION = { see: 'see', open: 'open', run: 'run commands through', transfer: 'transfer files through' } as const

function noRule(question: Question): string {
  const door = question.kind === 'see' ? '' : ` ${question.door}`
  const on = question.kind === 'see' ? '' : ' on'
  return `no rule lets ${escapePeerText(question.identity.user)} ${ACTION[question.kind]}${door}${on} ${escapePeerText(targetText(question.target), 1024)}`
}
function granted(rule: Rule): Allowed {
  const files = effectiveFiles(rule)
  return {
    allow: true,
    rule: rule.name,
    ...(rule.commands && { commands: rule.commands }),
    ...(files && { files }),
    ...(rule.record && { record: rule.record }),
  }
}
function refused(rule: Rule, reason: string): Refused {
  return { allow: false, rule: rule.name, reason, ...(rule.message !== undefined && { message: rule.message }) }
}

function decideRun(rule: Rule, question: Question & { kind: 'run' }, judge: Judge | undefined): Verdict {
  if (!rule.commands) return { ...granted(rule), analysis: { commands: [], confidence: 'advisory' } }
  if (!judge) return refused(rule, 'the command line cannot be vetted here')
  const judgement = judgeSafely(judge, rule.commands, question)
  if (typeof judgement === 'string') return refused(rule, judgement)
  const { allow, reason, analysis, demand } = judgement
  return allow === true
    ? { ...granted(rule), analysis }
    : { ...refused(rule, reason ?? 'the rule forbids this command line'), analysis, ...(demand && { demand }) }
}
/** A judge that fails has not allowed anything. */
function judgeSafely(judge: Judge, commands: CommandRule, { line, dialect, cwd }: Question & { kind: 'run' }): LineVerdict | string {
  try {
    return judgeInDialects(judge, commands, line, dialect, cwd)
  } catch (error) {
    return `the command line cannot be vetted: ${escapePeerText(error instanceof Error ? error.message : String(error))}`
  }
}

/**
 * A line for "any" shell must hold in each: /bin/sh is bash on many an image, and bash runs what stands in the arithmetic of a
 * variable, which dash only reads as a number. The same goes for a line that starts such a shell itself.
 */
function judgeInDialects(judge: Judge, commands: CommandRule, line: string, dialect: Dialect | 'any', cwd: string): LineVerdict {
  if (dialect === 'bash') return judge(line, commands, { dialect, cwd })
  const verdict = judge(line, commands, { dialect: 'posix', cwd })
  if (!verdict.allow && !verdict.demand) return verdict
  if (dialect === 'posix' && !verdict.analysis.commands.some(([name = '']) => MAY_BE_BASH.has(name.slice(name.lastIndexOf('/') + 1)))) return verdict
  const asBash = judge(line, commands, { dialect: 'bash', cwd })
  return asBash.allow || (asBash.demand && !verdict.allow) ? verdict : asBash
}
const MAY_BE_BASH: ReadonlySet<string> = new Set(['sh', 'bash', 'rbash', '…'])

function decideTransfer({ rule, vetTransfer }: CompiledRule, question: TransferQuestion): Verdict {
  const reason = vetTransfer?.(question)
  return reason === undefined ? granted(rule) : refused(rule, reason)
}

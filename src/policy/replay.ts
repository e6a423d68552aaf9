/**
 * A draft of rules against what people really typed: the command lines of the audit log are asked again, and what the draft
 * would newly refuse, allow or ask about is counted, with the lines.
 */
import type { AuditEvent, Dialect, Identity, Policy, StoredEvent, Target, Verdict } from '../core/types.js'
import type { LineAnswer } from './examples.js'
import { createPolicy } from './policy.js'
import type { Rule } from './rules.js'
import { vetLine } from './vet.js'

/** Lines that came out the same way under the draft, joined. */
export interface ReplayedLine {
  readonly line: string
  /** How often it was typed. */
  readonly count: number
  /** Who typed it, at most ten names. */
  readonly users: readonly string[]
  /** Where, at most ten: cluster/namespace/pod. */
  readonly targets: readonly string[]
  /** What the log says of it, and by which rule. */
  readonly before: LineAnswer
  readonly ruleBefore?: string
  /** What the draft says. */
  readonly after: LineAnswer
  readonly ruleAfter?: string
  readonly reason?: string
  /** RFC 3339, of the newest. */
  readonly last: string
}
export interface ReplayReport {
  /** Command lines that were asked again. */
  readonly lines: number
  /** Lines that could not be asked again: bytes that are not UTF-8, no target, a user whom nobody knows any more. */
  readonly skipped: number
  readonly unchanged: number
  /** Counts of lines typed; the lists hold at most `maxLines` different ones each. */
  readonly newlyRefused: number
  readonly newlyAllowed: number
  readonly newlyAsked: number
  readonly refused: readonly ReplayedLine[]
  readonly allowed: readonly ReplayedLine[]
  readonly asked: readonly ReplayedLine[]
}

export interface ReplayOptions {
  /** Groups of a user as the draft is to see them; undefined skips the line. */
  readonly groups: (user: string) => readonly string[] | undefined
  /**
   * Labels of a pod; the log does not hold them. Undefined when they are not known: then a line is asked of the draft's rule
   * of the same name as the one that decided, or skipped when there is none.
   */
  readonly labels?: (target: Pick<Target, 'cluster' | 'namespace' | 'pod' | 'uid'>) => Readonly<Record<string, string>> | undefined
  /** Different lines kept in each list; 500. */
  readonly maxLines?: number
  readonly signal?: AbortSignal
}

type Change = 'refused' | 'allowed' | 'asked'
type CommandEvent = Extract<AuditEvent, { readonly type: 'command' }> & Pick<StoredEvent, 'time'>
interface Group {
  line: ReplayedLine
  readonly users: Set<string>
  readonly targets: Set<string>
}

const MAX_NAMES = 10
const CHANGE_OF: Readonly<Record<LineAnswer, Change>> = { allow: 'allowed', deny: 'refused', ask: 'asked' }

/** Asks every command line of `events` of the draft; others are passed over. */
export async function testRules(
  draft: readonly Rule[],
  events: AsyncIterable<StoredEvent> | Iterable<StoredEvent>,
  options: ReplayOptions,
): Promise<ReplayReport> {
  const ask = drafted(draft, options)
  const counts = { refused: 0, allowed: 0, asked: 0 }
  const groups: Record<Change, Map<string, Group>> = { refused: new Map(), allowed: new Map(), asked: new Map() }
  let lines = 0
  let skipped = 0
  for await (const event of events) {
    options.signal?.throwIfAborted()
    if (event.type !== 'command') continue
    const verdicts = ask(event)
    if (verdicts.length === 0) {
      skipped++
      continue
    }
    lines++
    const before = answerBefore(event)
    const [first] = verdicts
    // a shell's dialect is not in the log: what one of the two makes of the line as before has not changed
    if (!first || verdicts.some((verdict) => answerOf(verdict) === before)) continue
    const change = CHANGE_OF[answerOf(first)]
    counts[change]++
    join(groups[change], event, before, first, options.maxLines ?? 500)
  }
  const list = (change: Change): readonly ReplayedLine[] => [...groups[change].values()].map(({ line }) => line).sort((a, b) => b.count - a.count)
  return {
    lines,
    skipped,
    unchanged: lines - counts.refused - counts.allowed - counts.asked,
    newlyRefused: counts.refused,
    newlyAllowed: counts.allowed,
    newlyAsked: counts.asked,
    refused: list('refused'),
    allowed: list('allowed'),
    asked: list('asked'),
  }
}

function drafted(draft: readonly Rule[], { groups, labels }: ReplayOptions): (event: CommandEvent) => readonly Verdict[] {
  const whole = createPolicy(draft, vetLine)
  const asksLabels = draft.some(({ where }) => where.some((place) => Object.keys(place.labels).length > 0))
  const single = new Map(draft.map((rule) => [rule.name, createPolicy([withoutLabels(rule)], vetLine)]))
  const identities = new Map<string, Identity>()
  const identityOf = (user: string, from = ''): Identity | undefined => {
    const host = from.replace(/:\d+$/, '')
    const key = `${user} ${host}`
    const known = identities.get(key)
    if (known) return known
    const names = groups(user)
    if (!names) return undefined
    const identity: Identity = { user, groups: names, roles: ['user'], method: 'token', from: { host, port: 0 } }
    identities.set(key, identity)
    return identity
  }
  return (event) => {
    const { user, from, target, line, door, cwd = '/' } = event
    const identity = user === undefined ? undefined : identityOf(user, from)
    if (!identity || !target || line === undefined || door === undefined) return []
    const found = labels?.(target)
    const policy: Policy | undefined = found || !asksLabels ? whole : single.get(event.rule ?? '')
    if (!policy) return []
    const place: Target = { ...target, containerId: '', labels: found ?? {} }
    const dialects: readonly (Dialect | 'any')[] = door === 'shell' || door === 'ws' ? ['bash', 'posix'] : ['any']
    return dialects.map((dialect) => policy.decide({ kind: 'run', identity, target: place, door, line, dialect, cwd }))
  }
}

function withoutLabels(rule: Rule): Rule {
  return { ...rule, where: rule.where.map((place) => ({ ...place, labels: {} })) }
}

function answerOf(verdict: Verdict): LineAnswer {
  return verdict.allow ? 'allow' : verdict.demand ? 'ask' : 'deny'
}
/** `approved` and `refused` are answers of people to a line that was asked about. */
function answerBefore({ verdict }: CommandEvent): LineAnswer {
  return verdict === 'allow' || verdict === 'deny' ? verdict : 'ask'
}

function join(groups: Map<string, Group>, event: CommandEvent, before: LineAnswer, after: Verdict, maxLines: number): void {
  const { line = '', user, target, rule, time } = event
  const key = JSON.stringify([line, before, rule, after.rule, after.allow ? undefined : after.reason])
  const known = groups.get(key)
  if (!known && groups.size >= maxLines) return
  const users = known?.users ?? new Set()
  const targets = known?.targets ?? new Set()
  if (user !== undefined && users.size < MAX_NAMES) users.add(user)
  if (target && targets.size < MAX_NAMES) targets.add(`${target.cluster}/${target.namespace}/${target.pod}`)
  groups.set(key, {
    users,
    targets,
    line: {
      line,
      count: (known?.line.count ?? 0) + 1,
      users: [...users],
      targets: [...targets],
      before,
      ...(rule !== undefined && { ruleBefore: rule }),
      after: answerOf(after),
      ...(after.rule !== undefined && { ruleAfter: after.rule }),
      ...(!after.allow && { reason: after.reason }),
      last: time,
    },
  })
}

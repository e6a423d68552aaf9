/**
 * Lines that wait for another person's yes. A door asks and waits; whoever the rule names decides, in the console or with
 * `opsctl approve`. Nothing here runs a line: who asked vets it again and writes the command event before it does.
 */
import { randomBytes } from 'node:crypto'
import { abortReason, OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import { type Approvers, type AuditSink, type Door, type Identity, type Session, type Target, targetText } from '../core/types.js'

/** What a door asks. */
export interface ApprovalRequest {
  readonly line: string
  readonly session: Pick<Session, 'id' | 'identity' | 'door' | 'target'>
  readonly rule: string
  /** Why it has to be asked, in one line. */
  readonly reason: string
  readonly by: Approvers
  /** After so long without an answer the line is refused. */
  readonly withinMs: number
  /** The shell's directory, where there is one. */
  readonly cwd?: string
}
/** A line that waits, as approvers see it. */
export interface PendingApproval {
  readonly id: string
  readonly line: string
  readonly user: string
  readonly session: string
  readonly door: Door
  readonly target: Target
  readonly rule: string
  readonly reason: string
  readonly by: Approvers
  readonly cwd?: string
  readonly askedAt: Date
  readonly endsAt: Date
}
export interface ApprovalAnswer {
  readonly verdict: 'approved' | 'refused'
  readonly approver: string
  readonly note?: string
}
/** What was decided, for whoever decided it. */
export interface DecidedApproval extends PendingApproval {
  readonly answer: ApprovalAnswer
}

export interface ApprovalsOptions {
  readonly audit: Pick<AuditSink, 'write'>
  /** Lines that may wait at once; 1000. */
  readonly maxPending?: number
  /** Lines that may wait at once of one user; 20. */
  readonly maxPendingPerUser?: number
}

interface Waiting {
  readonly pending: PendingApproval
  readonly identity: Identity
  /** Somebody's answer is being written: nobody else's counts any more. */
  claimed: boolean
  readonly settle: (answer: ApprovalAnswer) => void
}

const MAX_NOTE = 500

/** The lines that wait, of all sessions of this gateway. */
export class Approvals {
  readonly #options: ApprovalsOptions
  readonly #waiting = new Map<string, Waiting>()
  readonly #listeners = new Set<() => void>()

  constructor(options: ApprovalsOptions) {
    this.#options = options
  }

  /**
   * Waits for somebody's answer. The caller vets the line again before it runs.
   * @param signal withdraws the line; its reason is thrown
   * @throws OpsError COMMAND_REFUSED when nobody answers within `withinMs` or nobody may; LIMIT_EXCEEDED
   */
  request(request: ApprovalRequest, signal: AbortSignal): Promise<ApprovalAnswer> {
    const { session, withinMs } = request
    const { user } = session.identity
    if (signal.aborted) return Promise.reject(abortReason(signal))
    const ofUser = [...this.#waiting.values()].filter(({ pending }) => pending.user === user).length
    if (this.#waiting.size >= (this.#options.maxPending ?? 1000) || ofUser >= (this.#options.maxPendingPerUser ?? 20)) {
      return Promise.reject(
        new OpsError('LIMIT_EXCEEDED', `Cannot ask about a line of "${user}": too many wait already`, { detail: 'too many lines wait for approval' }),
      )
    }
    const pending = pendingOf(request, new Date())
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', withdraw)
        this.#waiting.delete(pending.id)
        this.#changed()
      }
      const withdraw = (): void => {
        done()
        reject(abortReason(signal))
      }
      const timer = setTimeout(() => {
        done()
        const detail = `nobody answered within ${Math.round(withinMs / 1000)} s`
        reject(new OpsError('COMMAND_REFUSED', `approval ${pending.id} ended: ${detail}`, { detail }))
      }, withinMs)
      signal.addEventListener('abort', withdraw, { once: true })
      const settle = (answer: ApprovalAnswer): void => {
        done()
        resolve(answer)
      }
      this.#waiting.set(pending.id, { pending, identity: session.identity, claimed: false, settle })
      this.#changed()
    })
  }

  /** What waits, oldest first: all of it, or what `identity` has asked or may decide. */
  list(identity?: Identity): readonly PendingApproval[] {
    const all = [...this.#waiting.values()].map(({ pending }) => pending)
    return identity === undefined ? all : all.filter((pending) => pending.user === identity.user || isApprover(pending.by, identity))
  }

  /** True when `identity` may decide `pending`. */
  mayDecide(pending: Pick<PendingApproval, 'by' | 'user'>, identity: Identity): boolean {
    return pending.user !== identity.user && isApprover(pending.by, identity)
  }

  /**
   * Answers a line that waits. The decision rests in the audit before the door hears of it.
   * @param note shown to the user and kept; at most 500 characters count
   * @throws OpsError NOT_FOUND when it does not wait (any more), POLICY_REFUSED for one's own line or without the role, AUDIT_UNAVAILABLE
   */
  async decide(id: string, identity: Identity, decision: 'approve' | 'refuse', note?: string): Promise<DecidedApproval> {
    const waiting = this.#waiting.get(id)
    // who may not decide does not learn whether it waits, unless it is their own
    const visible = waiting && (waiting.pending.user === identity.user || isApprover(waiting.pending.by, identity))
    if (!waiting || !visible || waiting.claimed)
      throw new OpsError('NOT_FOUND', `no line waits under "${escapePeerText(id, 64)}"`, { detail: 'no such line waits for approval' })
    const { pending } = waiting
    if (pending.user === identity.user)
      throw new OpsError('POLICY_REFUSED', `"${identity.user}" cannot decide about their own line`, { detail: 'nobody decides about their own line' })
    const answer: ApprovalAnswer = {
      verdict: decision === 'approve' ? 'approved' : 'refused',
      approver: identity.user,
      ...(note !== undefined && note !== '' && { note: escapePeerText(note, MAX_NOTE) }),
    }
    waiting.claimed = true
    try {
      await this.#options.audit.write(decisionEvent(pending, identity, answer))
    } catch (error) {
      waiting.claimed = false
      throw error
    }
    if (this.#waiting.get(id) !== waiting) throw new OpsError('NOT_FOUND', `approval "${id}" was withdrawn`, { detail: 'the line was withdrawn meanwhile' })
    waiting.settle(answer)
    return { ...pending, answer }
  }

  /** Calls back when a line begins or ceases to wait. Returns the way to stop listening. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** Who is asked, for people: "users ann, groups leads, role admin". */
export function approversText({ users, groups, roles }: Approvers): string {
  const part = (what: string, names: readonly string[]): string[] => (names.length === 0 ? [] : [`${what}${names.length > 1 ? 's' : ''} ${names.join(', ')}`])
  return [...part('user', users), ...part('group', groups), ...part('role', roles)].join(' or ')
}

function isApprover({ users, groups, roles }: Approvers, identity: Identity): boolean {
  return users.includes(identity.user) || identity.groups.some((group) => groups.includes(group)) || identity.roles.some((role) => roles.includes(role))
}

function pendingOf({ line, session, rule, reason, by, withinMs, cwd }: ApprovalRequest, now: Date): PendingApproval {
  return {
    id: randomBytes(5).toString('hex'),
    line,
    user: session.identity.user,
    session: session.id,
    door: session.door,
    target: session.target,
    rule,
    reason,
    by,
    ...(cwd !== undefined && { cwd }),
    askedAt: now,
    endsAt: new Date(now.getTime() + withinMs),
  }
}

function decisionEvent(pending: PendingApproval, { user, from }: Identity, { verdict, note }: ApprovalAnswer): Parameters<AuditSink['write']>[0] {
  const { id, line, session, target } = pending
  const after = { verdict, line, by: user, for: pending.user, session, ...(note !== undefined && { note }) }
  return { type: 'admin', user, from: `${from.host}:${from.port}`, action: `approval.${verdict}`, object: `${id} ${targetText(target)}`, after }
}

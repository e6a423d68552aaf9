/**
 * Proving who one is: password and public key against a directory, behind a throttle, with an audit event before every
 * answer.
 *
 * What a stranger can learn. By password nothing: an unknown name, an account without a password and a wrong password
 * take one verification of the same cost, get one text, earn the same delays and locks. By public key, as with
 * OpenSSH, that a key they hold the public half of opens an account of that name: the protocol asks "would this key
 * do?" before it signs (RFC 4252 s7). Answering yes to every key would hide that, and would make clients sign, and
 * people touch their hardware keys, for keys that fail, until their tries are used up. A question of that kind proves
 * nothing and costs nothing, so it is neither counted nor audited.
 *
 * A lock on a user name stops passwords only, first at the address that guessed and then, where guesses come from many, at every
 * address from which that user never came in (throttle.ts). A signature cannot be guessed, so the owner gets in by key anyway. A
 * lock on an address stops every method.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { abortReason, ERRORS } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { AuditEvent, AuditSink, Identity, Login, LoginAnswer, LoginAttempt } from '../core/types.js'
import type { Directory, User } from './directory.js'
import { DEFAULT_COST_CLASS, dummyHash, MAX_PASSWORD_BYTES, verifyPassword } from './password.js'
import { isSignatureOf } from './public-key.js'
import { addressKey, type Clock, DEFAULT_THROTTLE_LIMITS, processClock, Throttle, type ThrottleLimits } from './throttle.js'
import { KeyedTurns, Turns } from './turns.js'

type PasswordAttempt = LoginAttempt & { readonly method: 'password' }
type KeyAttempt = LoginAttempt & { readonly method: 'publickey' }

export interface LoginLimits extends ThrottleLimits {
  /**
   * Password verifications at a time. Default 2: each takes 19 MiB and a thread of libuv's pool of four, which disk
   * writes of the audit need as well.
   */
  readonly concurrentHashes: number
  /** Attempts that may be waiting or running from one address. Default 64. */
  readonly maxPendingPerAddress: number
  /** Attempts that may be waiting or running in all. Default 512. */
  readonly maxPending: number
}

export const DEFAULT_LOGIN_LIMITS: LoginLimits = { ...DEFAULT_THROTTLE_LIMITS, concurrentHashes: 2, maxPendingPerAddress: 64, maxPending: 512 }

export interface LoginParts {
  readonly directory: Directory
  readonly audit: Pick<AuditSink, 'write'>
  /** Whether someone may log in when the event of it cannot be kept. */
  readonly onAuditFailure: 'refuse' | 'continue'
  readonly log: Logger
  readonly limits?: LoginLimits
  readonly clock?: Clock
  /** Checks a password against a hash; `verifyPassword` by default. */
  readonly verify?: (phc: string, password: string) => Promise<boolean>
}

/** Longest user name that is looked at. Longer ones are refused, and cut in the audit. */
const MAX_USER_CHARS = 128
/** Longest public key that is looked at: RSA of 16384 bits takes 2 KiB. */
const MAX_KEY_BYTES = 4096

/** What an attempt came to, before anyone is told. */
type Outcome = { readonly accepted: User } | { readonly refused: string; readonly locked?: boolean }

const LOCKED: Outcome = { refused: 'locked after failures', locked: true }

/** @returns a Login that never lets anyone in whom it could not prove; errors inside count as refusals */
export function createLogin(parts: LoginParts): Login {
  return new DirectoryLogin(parts)
}

class DirectoryLogin implements Login {
  readonly #parts: LoginParts
  readonly #limits: LoginLimits
  readonly #clock: Clock
  readonly #throttle: Throttle
  readonly #hashing: Turns
  readonly #lanes = new KeyedTurns()
  readonly #pending = new Map<string, number>()
  #pendingInAll = 0
  readonly #dummies: readonly string[]
  /** Picks a dummy per name: the same name must always meet the same cost, and nobody outside may compute which. */
  readonly #dummyKey = randomBytes(32)
  readonly #verify: (phc: string, password: string) => Promise<boolean>

  constructor(parts: LoginParts) {
    this.#parts = parts
    this.#limits = parts.limits ?? DEFAULT_LOGIN_LIMITS
    this.#clock = parts.clock ?? processClock
    this.#throttle = new Throttle(this.#limits, this.#clock)
    this.#hashing = new Turns(this.#limits.concurrentHashes)
    this.#verify = parts.verify ?? verifyPassword
    const { costClasses } = parts.directory
    this.#dummies = (costClasses.length > 0 ? costClasses : [DEFAULT_COST_CLASS]).map(dummyHash)
  }

  async attempt(attempt: LoginAttempt, signal: AbortSignal): Promise<LoginAnswer> {
    if (signal.aborted) throw abortReason(signal)
    if (attempt.method === 'publickey' && !attempt.verify) return this.#probe(attempt)
    return this.#answer(attempt, await this.#judge(attempt, signal))
  }

  /** Would this key do? */
  #probe(attempt: KeyAttempt): LoginAnswer {
    if (this.#throttle.standing(attempt.from.host).locked) return refusal(true)
    return 'accepted' in this.#holder(attempt) ? { kind: 'sign' } : refusal(false)
  }

  async #judge(attempt: LoginAttempt, signal: AbortSignal): Promise<Outcome> {
    const key = addressKey(attempt.from.host)
    const pending = this.#pending.get(key) ?? 0
    if (pending >= this.#limits.maxPendingPerAddress || this.#pendingInAll >= this.#limits.maxPending) return { refused: 'too many logins at once' }
    this.#pending.set(key, pending + 1)
    this.#pendingInAll++
    try {
      const oversize = oversized(attempt)
      if (oversize) return (await this.#isShut(attempt.from.host, undefined, signal)) ? LOCKED : this.#failed(attempt, oversize, 'address')
      return attempt.method === 'password' ? await this.#judgePassword(attempt, key, signal) : await this.#judgeKey(attempt, signal)
    } finally {
      const left = (this.#pending.get(key) ?? 1) - 1
      if (left > 0) this.#pending.set(key, left)
      else this.#pending.delete(key)
      this.#pendingInAll--
    }
  }

  /**
   * One guess at a time per name and address, so that guesses sent side by side each meet the delay and the lock that
   * those before them earned.
   */
  async #judgePassword(attempt: PasswordAttempt, addressOf: string, signal: AbortSignal): Promise<Outcome> {
    const release = await this.#lanes.take(`${addressOf} ${attempt.user}`, signal)
    try {
      if (await this.#isShut(attempt.from.host, attempt.user, signal)) return LOCKED
      const user = this.#parts.directory.find(attempt.user)
      const proven = await this.#proves(attempt, user, signal)
      if (!user) return this.#failed(attempt, 'unknown user', 'user and address')
      if (user.password === undefined) return this.#failed(attempt, 'no password set', 'user and address')
      if (!proven) return this.#failed(attempt, 'wrong password', 'user and address')
      this.#throttle.succeeded(attempt.from.host, attempt.user, true)
      return { accepted: user }
    } finally {
      release()
    }
  }

  async #judgeKey(attempt: KeyAttempt, signal: AbortSignal): Promise<Outcome> {
    if (await this.#isShut(attempt.from.host, undefined, signal)) return LOCKED
    const holder = this.#holder(attempt)
    if ('refused' in holder) return this.#failed(attempt, holder.refused, 'address')
    if (!signatureHolds(attempt)) return this.#failed(attempt, 'bad signature', 'address')
    this.#throttle.succeeded(attempt.from.host, attempt.user, false)
    return holder
  }

  /** Waits what the failures so far have earned, then looks again: others may have failed meanwhile. */
  async #isShut(host: string, user: string | undefined, signal: AbortSignal): Promise<boolean> {
    const { delayMs } = this.#throttle.standing(host, user)
    if (delayMs > 0) await this.#clock.wait(delayMs, signal)
    return this.#throttle.standing(host, user).locked
  }

  /** Always one verification, of a hash that nobody knows where there is none to check. */
  async #proves(attempt: PasswordAttempt, user: User | undefined, signal: AbortSignal): Promise<boolean> {
    const hash = user?.password ?? this.#dummyFor(attempt.user)
    const release = await this.#hashing.take(signal)
    try {
      return await this.#verify(hash, attempt.password)
    } catch (error) {
      this.#parts.log.error({ error, user: escapePeerText(attempt.user, MAX_USER_CHARS) }, 'login.verify')
      return false
    } finally {
      release()
    }
  }

  /** Where users have hashes of several costs, unknown names are spread over the same costs. */
  #dummyFor(user: string): string {
    const pick = createHmac('sha256', this.#dummyKey).update(user).digest().readUInt32BE(0) % this.#dummies.length
    return this.#dummies[pick] as string
  }

  /** The user whom this key would open, were the signature good. */
  #holder(attempt: KeyAttempt): Outcome {
    const oversize = oversized(attempt)
    if (oversize) return { refused: oversize }
    const user = this.#parts.directory.find(attempt.user)
    if (!user) return { refused: 'unknown user' }
    const blob = attempt.key.toString('base64')
    const key = user.keys.find((candidate) => candidate.blob === blob)
    if (!key) return { refused: 'key not authorized' }
    if (!isSignatureOf(attempt.algorithm, key.type)) return { refused: `signature algorithm ${escapePeerText(attempt.algorithm, 64)} not accepted` }
    return { accepted: user }
  }

  #failed(attempt: LoginAttempt, reason: string, counts: 'user and address' | 'address'): Outcome {
    this.#throttle.failed(attempt.from.host, attempt.user.slice(0, MAX_USER_CHARS), counts)
    return { refused: reason }
  }

  async #answer(attempt: LoginAttempt, outcome: Outcome): Promise<LoginAnswer> {
    const kept = await this.#keep(eventOf(attempt, outcome))
    if ('refused' in outcome) return refusal(outcome.locked ?? false)
    if (!kept && this.#parts.onAuditFailure === 'refuse') return { kind: 'refused', reason: ERRORS.AUDIT_UNAVAILABLE.text, locked: false }
    return { kind: 'accepted', identity: identityOf(outcome.accepted, attempt) }
  }

  /** @returns whether the event is durable */
  async #keep(event: AuditEvent): Promise<boolean> {
    try {
      await this.#parts.audit.write(event)
      return true
    } catch (error) {
      this.#parts.log.error({ error, type: event.type, user: event.user }, 'login.audit')
      return false
    }
  }
}

/** One text for every reason; the reason itself is the audit's. */
function refusal(locked: boolean): LoginAnswer {
  return { kind: 'refused', reason: ERRORS[locked ? 'AUTH_LOCKED' : 'AUTH_FAILED'].text, locked }
}

/** What of the attempt is longer than anything genuine; nothing else of it is looked at then. */
function oversized(attempt: LoginAttempt): string | undefined {
  if (attempt.user.length > MAX_USER_CHARS) return 'user name too long'
  if (attempt.method === 'publickey') return attempt.key.length > MAX_KEY_BYTES ? 'key too long' : undefined
  return Buffer.byteLength(attempt.password) > MAX_PASSWORD_BYTES ? 'password too long' : undefined
}

/** A check that fails to run has not shown anything. */
function signatureHolds(attempt: KeyAttempt): boolean {
  try {
    return attempt.verify?.() === true
  } catch {
    return false // a malformed signature; "bad signature" is all there is to say
  }
}

function eventOf(attempt: LoginAttempt, outcome: Outcome): AuditEvent {
  const subject = {
    user: escapePeerText(attempt.user, MAX_USER_CHARS),
    from: `${attempt.from.host}:${attempt.from.port}`,
    method: attempt.method,
  }
  return 'refused' in outcome ? { type: 'login.refused', ...subject, reason: outcome.refused } : { type: 'login', ...subject }
}

function identityOf(user: User, attempt: LoginAttempt): Identity {
  return Object.freeze({ user: user.name, groups: user.groups, roles: user.roles, method: attempt.method, from: attempt.from })
}

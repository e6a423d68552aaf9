/** Login of one connection (RFC 4252): reads what the client offers, lets `Login` judge it, counts. */
import { OpsError, toOpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import { splitLoginName } from '../core/login-name.js'
import type { Identity, Login, LoginAnswer, LoginAttempt, PeerAddress } from '../core/types.js'
import type { SshLimits } from './limits.js'
import { offeredKey } from './offered-key.js'
import type { Ssh2AuthContext, Ssh2Library } from './transport.js'

/** What a refused client may try next. */
const METHODS = ['publickey', 'password'] as const
const MAX_NAME_CHARS = 512
/** Argon2 reads every byte of it. */
const MAX_PASSWORD_CHARS = 1024

export interface AuthenticationParts {
  readonly library: Pick<Ssh2Library, 'parseKey'>
  readonly login: Login
  readonly from: PeerAddress
  readonly limits: Pick<SshLimits, 'attempts' | 'keyQueries'>
  readonly log: Logger
  /** Aborted when the client leaves or runs out of time. */
  readonly signal: AbortSignal
  /** Told of an attempt that `login` never saw; it tells of the others itself. */
  readonly refused: (refusal: { readonly user: string; readonly method: string; readonly reason: string }) => void
  /** Called before the client is told of its success, so that a channel it opens at once finds its identity. */
  accepted(identity: Identity, address: string): void
  /** The client has used up its attempts, or is locked out: end the connection with this text. */
  exhausted(text: string): void
}

/** An attempt, or why there is none. */
type Reading = { readonly attempt: LoginAttempt; readonly verified?: () => boolean } | { readonly refused: string }

export class Authentication {
  readonly #parts: AuthenticationParts
  #attempts = 0
  #queries = 0

  constructor(parts: AuthenticationParts) {
    this.#parts = parts
  }

  /** Answers one request. Never rejects: whatever goes wrong is a refusal. */
  async answer(context: Ssh2AuthContext): Promise<void> {
    if (context.method === 'none') {
      context.reject(METHODS)
      return
    }
    const isQuery = context.method === 'publickey' && !context.signature
    if (this.#countedOut(isQuery)) {
      this.#parts.exhausted('too many failed logins on this connection')
      return
    }
    const answer = await this.#judge(context)
    if (this.#parts.signal.aborted) return
    if (answer.kind === 'accepted' && !isQuery) {
      this.#parts.accepted(answer.identity, splitLoginName(context.username).address)
      context.accept()
    } else if (answer.kind === 'sign' && isQuery) {
      // For a key without signature this sends PK_OK and nothing else.
      context.accept()
    } else if (answer.kind === 'refused' && answer.locked) {
      this.#parts.exhausted('too many failed logins, try again later')
    } else {
      context.reject(METHODS)
    }
  }

  #countedOut(isQuery: boolean): boolean {
    if (isQuery) {
      this.#queries += 1
      return this.#queries > this.#parts.limits.keyQueries
    }
    this.#attempts += 1
    return this.#attempts > this.#parts.limits.attempts
  }

  async #judge(context: Ssh2AuthContext): Promise<LoginAnswer> {
    const reading = this.#read(context)
    if ('refused' in reading) return this.#refuse(context, reading.refused)
    try {
      const answer = await this.#parts.login.attempt(reading.attempt, this.#parts.signal)
      // Whoever judges must have checked the signature; accepting a key that was only named would let anyone in.
      if (answer.kind === 'accepted' && reading.verified?.() === false) return this.#refuse(context, 'the signature was not verified')
      return answer
    } catch (thrown) {
      const error = toOpsError(thrown)
      if (!this.#parts.signal.aborted) this.#parts.log.error({ error }, 'ssh.login.failed')
      return { kind: 'refused', reason: error.message, locked: false }
    }
  }

  #refuse(context: Ssh2AuthContext, reason: string): LoginAnswer {
    const refusal = {
      user: escapePeerText(splitLoginName(context.username.slice(0, MAX_NAME_CHARS)).user, 64),
      method: escapePeerText(context.method, 64),
      reason,
    }
    this.#parts.log.info(refusal, 'ssh.login.refused')
    this.#parts.refused(refusal)
    return { kind: 'refused', reason, locked: false }
  }

  #read(context: Ssh2AuthContext): Reading {
    const { username, password } = context
    if (username.length > MAX_NAME_CHARS) return { refused: 'the login name is too long' }
    const { user } = splitLoginName(username)
    const { from } = this.#parts
    if (context.method === 'password') {
      // A change of password arrives as two of them; there is nothing here that could change one.
      if (typeof password !== 'string') return { refused: 'a change of password was asked for' }
      if (password.length > MAX_PASSWORD_CHARS) return { refused: 'the password is too long' }
      return { attempt: { method: 'password', user, from, password } }
    }
    if (context.method !== 'publickey') return { refused: 'the method is not offered' }
    const offered = offeredKey(context, this.#parts.library)
    if (typeof offered === 'string') return { refused: offered }
    const { algorithm, key, verify } = offered
    if (context.key) context.key.algo = algorithm
    if (!verify) return { attempt: { method: 'publickey', user, from, algorithm, key } }
    let verified = false
    const once = (): boolean => {
      verified = verify()
      return verified
    }
    return { attempt: { method: 'publickey', user, from, algorithm, key, verify: once }, verified: () => verified }
  }
}

/** For a login that was still being judged when its client left or ran out of time. */
export function loginAborted(why: string): OpsError {
  return new OpsError('CLIENT_GONE', `Login ended: ${why}`)
}

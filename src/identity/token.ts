/**
 * Tokens of API, clients and console: JWTs (RFC 7519) signed with EdDSA, audience "dockin". A token says who logged in and until
 * when; what that person may do is read from the directory at each use, so a change there holds at once.
 *
 * One login (`sid`) has an access token (15 min), a refresh token that is spent at each use, or a cookie's token. All of them end
 * with the login's time. A refresh token that comes a second time was stolen, by whoever came first or second: the login ends.
 */
import { createHash, randomBytes } from 'node:crypto'
import { decodeProtectedHeader, errors, jwtVerify, SignJWT } from 'jose'
import { OpsError } from '../core/errors.js'
import type { Identity, PeerAddress } from '../core/types.js'
import type { Directory, User } from './directory.js'
import type { Revocations } from './revocations.js'
import { TOKEN_ALGORITHM, type TokenKeys } from './token-keys.js'

export type TokenUse = 'access' | 'refresh' | 'cookie'
export const TOKEN_AUDIENCE = 'dockin'
const ISSUER = 'dockin-ops'
const ACCESS_MS = 15 * 60_000
/** Longest token that is looked at; ours take some 500 bytes. */
const MAX_TOKEN_CHARS = 4096
/** Spent refresh tokens may take this much of the room for revocations; the rest is for those who log out. */
const SPENT_SHARE = 0.5
/** Two programs of one person may refresh at once: the later one is refused, and the login goes on. */
const SAME_TIME_MS = 20_000

export interface TokensOptions {
  readonly keys: TokenKeys
  readonly revocations: Revocations
  readonly directory: Pick<Directory, 'find'>
  /** How long a login lasts; http.tokenLifetime. */
  readonly lifetimeMs: number
  /** 15 min, or the login's lifetime when that is shorter. */
  readonly accessMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}
export interface IssuedToken {
  readonly token: string
  readonly expiresAt: Date
}
/** A token that holds, with whom it means now. */
export interface TokenBearer {
  readonly identity: Identity
  readonly use: TokenUse
  readonly sid: string
  /** Digest of what the login was made with. */
  readonly credential: string
  readonly expiresAt: Date
  /** When the login ends. */
  readonly endsAt: Date
}
interface Claims {
  readonly user: string
  readonly use: TokenUse
  readonly sid: string
  readonly jti: string
  readonly credential: string
  readonly expMs: number
  readonly endMs: number
}

export class Tokens {
  readonly #options: TokensOptions
  readonly #now: () => number
  /** Refresh tokens spent just now -> when, in milliseconds since 1970. */
  readonly #spent = new Map<string, number>()

  constructor(options: TokensOptions) {
    this.#options = options
    this.#now = options.now ?? (() => Date.now())
  }

  /** Tokens of a new login. */
  async begin(user: string, uses: readonly ['access', 'refresh']): Promise<{ readonly access: IssuedToken; readonly refresh: IssuedToken }>
  async begin(user: string, uses: readonly ['cookie']): Promise<{ readonly cookie: IssuedToken }>
  async begin(user: string, uses: readonly TokenUse[]): Promise<Partial<Record<TokenUse, IssuedToken>>> {
    const login = { user: this.#known(user), sid: randomBytes(12).toString('base64url'), endMs: this.#now() + this.#options.lifetimeMs }
    return Object.fromEntries(await Promise.all(uses.map(async (use) => [use, await this.#issue(login, use)] as const)))
  }

  /**
   * Spends a refresh token for the next pair of the same login.
   * @throws OpsError AUTH_FAILED
   */
  async refresh(token: string, from: PeerAddress): Promise<{ readonly bearer: TokenBearer; readonly access: IssuedToken; readonly refresh: IssuedToken }> {
    const claims = await this.#verify(token)
    const bearer = this.#bearer(claims, ['refresh'], from)
    const isFirst = await this.#options.revocations.revoke(claims.jti, claims.endMs, SPENT_SHARE)
    if (!isFirst) {
      if (this.#now() - (this.#spent.get(claims.jti) ?? 0) < SAME_TIME_MS) throw refused('spent refresh token')
      await this.#options.revocations.revoke(claims.sid, claims.endMs)
      throw refused('spent refresh token', 'the refresh token was used before; log in again')
    }
    this.#noteSpent(claims.jti)
    const login = { user: this.#known(claims.user), sid: claims.sid, endMs: claims.endMs }
    return { bearer, access: await this.#issue(login, 'access'), refresh: await this.#issue(login, 'refresh') }
  }

  /**
   * Whom a token means now.
   * @throws OpsError AUTH_FAILED for anything but a token of ours that holds, for one of the uses
   */
  async identify(token: string, uses: readonly TokenUse[], from: PeerAddress): Promise<TokenBearer> {
    return this.#bearer(await this.#verify(token), uses, from)
  }

  /** Ends a login: none of its tokens holds any more once this has resolved, also after a restart. */
  async revoke({ sid, endsAt }: Pick<TokenBearer, 'sid' | 'endsAt'>): Promise<void> {
    await this.#options.revocations.revoke(sid, endsAt.getTime())
  }

  /** Whether a bearer's token would still be taken; for what stays open longer than a request. */
  holds({ sid, expiresAt, identity, credential }: TokenBearer): boolean {
    const user = this.#options.directory.find(identity.user)
    if (!user || expiresAt.getTime() <= this.#now() || this.#options.revocations.has(sid)) return false
    // who was demoted, or has a new password, does not go on reading through what was opened before
    return credentialOf(user) === credential && isSame(user.roles, identity.roles) && isSame(user.groups, identity.groups)
  }

  async #issue(login: { readonly user: User; readonly sid: string; readonly endMs: number }, use: TokenUse): Promise<IssuedToken> {
    const { user, sid, endMs } = login
    const now = this.#now()
    const expMs = use === 'access' ? Math.min(endMs, now + (this.#options.accessMs ?? ACCESS_MS)) : endMs
    const key = await this.#options.keys.signer()
    const token = await new SignJWT({ use, sid, end: Math.floor(endMs / 1000), credential: credentialOf(user), roles: [...user.roles] })
      .setProtectedHeader({ alg: TOKEN_ALGORITHM, kid: key.id, typ: 'JWT' })
      .setIssuer(ISSUER)
      .setAudience(TOKEN_AUDIENCE)
      .setSubject(user.name)
      .setJti(randomBytes(12).toString('base64url'))
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(Math.floor(expMs / 1000))
      .sign(key.privateKey)
    return { token, expiresAt: new Date(Math.floor(expMs / 1000) * 1000) }
  }

  async #verify(token: string): Promise<Claims> {
    if (token.length > MAX_TOKEN_CHARS) throw refused('token too long')
    try {
      const key = this.#options.keys.find(decodeProtectedHeader(token).kid ?? '')
      if (!key) throw refused('unknown key')
      const { payload } = await jwtVerify(token, key.publicKey, {
        algorithms: [TOKEN_ALGORITHM],
        audience: TOKEN_AUDIENCE,
        issuer: ISSUER,
        requiredClaims: ['sub', 'exp', 'jti', 'sid', 'use', 'end', 'credential'],
        currentDate: new Date(this.#now()),
      })
      return claimsOf(payload)
    } catch (error) {
      if (error instanceof OpsError) throw error
      if (error instanceof errors.JWTExpired) throw refused('expired', 'the token has expired')
      throw refused(error instanceof errors.JOSEError ? error.code : 'not a token')
    }
  }

  #bearer({ user: name, use, sid, credential, expMs, endMs }: Claims, uses: readonly TokenUse[], from: PeerAddress): TokenBearer {
    if (!uses.includes(use)) throw refused(`a token for ${use}`)
    if (this.#options.revocations.has(sid)) throw refused('revoked', 'you were logged out')
    const user = this.#known(name)
    // a new password ends the logins of the old one
    if (credentialOf(user) !== credential) throw refused('the credential has changed', 'log in again')
    const identity: Identity = Object.freeze({ user: user.name, groups: user.groups, roles: user.roles, method: 'token', from })
    return { identity, use, sid, credential, expiresAt: new Date(expMs), endsAt: new Date(endMs) }
  }

  #noteSpent(jti: string): void {
    const now = this.#now()
    for (const [id, at] of this.#spent) {
      if (now - at < SAME_TIME_MS) break // in the order of their times
      this.#spent.delete(id)
    }
    this.#spent.set(jti, now)
  }

  #known(name: string): User {
    const user = this.#options.directory.find(name)
    if (!user) throw refused('unknown user')
    return user
  }
}

function claimsOf(payload: Readonly<Record<string, unknown>>): Claims {
  const { sub, use, sid, jti, credential, exp, end } = payload
  const texts = [sub, sid, jti, credential]
  if (!texts.every((text) => typeof text === 'string') || typeof exp !== 'number' || typeof end !== 'number') throw refused('claims')
  if (use !== 'access' && use !== 'refresh' && use !== 'cookie') throw refused('claims')
  return { user: String(sub), use, sid: String(sid), jti: String(jti), credential: String(credential), expMs: exp * 1000, endMs: end * 1000 }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each) => other.includes(each))
}

/** Changes with the password. Of the salted hash; it tells nobody anything about either. */
function credentialOf({ name, password }: User): string {
  return createHash('sha256')
    .update(`dockin.credential.v1\n${name}\n${password ?? ''}`)
    .digest('base64url')
    .slice(0, 22)
}

function refused(reason: string, detail?: string): OpsError {
  return new OpsError('AUTH_FAILED', `token refused: ${reason}`, detail === undefined ? {} : { detail })
}

/**
 * Who asks: a bearer token, or the cookie of a browser. A cookie goes with whatever a browser sends, so it counts only where the
 * page is our own: SameSite=Strict, and for everything unsafe a header that no foreign page can set and an Origin that is ours.
 */
import type { IncomingMessage } from 'node:http'
import { OpsError, toOpsError } from '../core/errors.js'
import type { Identity, PeerAddress } from '../core/types.js'
import { CSRF_HEADER } from '../wire/api/common.js'
import type { Refusals } from './refusals.js'

export interface IssuedToken {
  readonly token: string
  readonly expiresAt: Date
}
/** A token that holds, and whom it means now. */
export interface Bearer {
  readonly identity: Identity
  readonly use: 'access' | 'refresh' | 'cookie'
  /** One login; every token of it ends with it. */
  readonly sid: string
  /** Digest of what the login was made with; stays in here. */
  readonly credential: string
  readonly expiresAt: Date
  readonly endsAt: Date
}
/** Makes and judges tokens; identity/token.ts. */
export interface TokenDesk {
  begin(user: string, uses: readonly ['access', 'refresh']): Promise<{ readonly access: IssuedToken; readonly refresh: IssuedToken }>
  begin(user: string, uses: readonly ['cookie']): Promise<{ readonly cookie: IssuedToken }>
  refresh(token: string, from: PeerAddress): Promise<{ readonly bearer: Bearer; readonly access: IssuedToken; readonly refresh: IssuedToken }>
  identify(token: string, uses: readonly ('access' | 'refresh' | 'cookie')[], from: PeerAddress): Promise<Bearer>
  revoke(bearer: Pick<Bearer, 'sid' | 'endsAt'>): Promise<void>
  holds(bearer: Bearer): boolean
}
export interface AuthenticatorParts {
  readonly tokens: TokenDesk
  readonly refusals: Refusals
  /** Browsers come over TLS: cookies are Secure and carry the __Host- prefix. */
  readonly isSecure: boolean
  /** Origins under which browsers know us besides the Host of the request: where a proxy stands between. Default none. */
  readonly origins?: readonly string[]
}

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

export class Authenticator {
  readonly #parts: AuthenticatorParts

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts
  }

  /**
   * Who asks, for every door of HTTP: routes hand over `request.raw`, upgrades the request itself.
   * @throws OpsError AUTH_FAILED; POLICY_REFUSED for a cookie on a request of another site
   */
  readonly identify = async (request: IncomingMessage): Promise<Identity> => (await this.bearer(request)).identity

  /** The same, with the login's facts. A refusal of what was shown is an event. */
  async bearer(request: IncomingMessage): Promise<Bearer> {
    const { tokens, refusals } = this.#parts
    const from = peerOf(request)
    const shown = bearerOf(request)
    const cookie = shown === undefined ? this.#cookieOf(request) : undefined
    // nobody was refused anything: a page that asks whether one is logged in is no event
    if (shown === undefined && cookie === undefined) throw new OpsError('AUTH_FAILED', 'no token', { detail: 'you are not logged in' })
    try {
      if (shown !== undefined) return await tokens.identify(shown, ['access'], from)
      this.refuseForeign(request)
      return await tokens.identify(cookie ?? '', ['cookie'], from)
    } catch (thrown) {
      const error = toOpsError(thrown)
      refusals.note({ from, request: requestText(request), reason: error.message })
      throw error
    }
  }

  /** @throws OpsError POLICY_REFUSED when a page of another site may have sent it */
  refuseForeign(request: IncomingMessage): void {
    const { headers, method = 'GET' } = request
    const isUpgrade = headers.upgrade !== undefined
    if (headers['sec-fetch-site'] === 'cross-site') throw foreign('cross-site')
    if (SAFE_METHODS.has(method) && !isUpgrade) return
    if (!isUpgrade && headers[CSRF_HEADER] === undefined) throw foreign(`no ${CSRF_HEADER} header`)
    if (!this.isOwnOrigin(request)) throw foreign(headers.origin === undefined ? 'no origin' : 'foreign origin')
  }

  readonly isOwnOrigin = (request: IncomingMessage): boolean => isOwnOrigin(request, this.#parts)

  /** Set-Cookie for a login of a browser. */
  cookie({ token, expiresAt }: IssuedToken): string {
    return `${this.#cookieName}=${token}; Path=/; HttpOnly; SameSite=Strict; Expires=${expiresAt.toUTCString()}${this.#parts.isSecure ? '; Secure' : ''}`
  }

  /** Set-Cookie that takes it away. */
  noCookie(): string {
    return `${this.#cookieName}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0${this.#parts.isSecure ? '; Secure' : ''}`
  }

  get #cookieName(): string {
    return this.#parts.isSecure ? '__Host-dockin' : 'dockin'
  }

  #cookieOf({ headers }: IncomingMessage): string | undefined {
    for (const part of (headers.cookie ?? '').split(';')) {
      const equals = part.indexOf('=')
      if (equals > 0 && part.slice(0, equals).trim() === this.#cookieName) return part.slice(equals + 1).trim()
    }
    return undefined
  }
}

/** Whether the page that sent a request is ours; false where no page says that it did. */
export function isOwnOrigin({ headers }: IncomingMessage, { origins = [], isSecure }: Pick<AuthenticatorParts, 'origins' | 'isSecure'>): boolean {
  const { origin, host } = headers
  if (origin === undefined) return false
  return origins.includes(origin) || (host !== undefined && origin === `${isSecure ? 'https' : 'http'}://${host}`)
}

/** Where a request comes from. */
export function peerOf({ socket }: IncomingMessage): PeerAddress {
  return { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
}

/** Method and path, without the query. */
export function requestText({ method = 'GET', url = '' }: IncomingMessage): string {
  return `${method} ${url.split('?', 1)[0]}`
}

/** The token of `Authorization: Bearer`; a header of another form is one that does not hold. */
function bearerOf({ headers }: IncomingMessage): string | undefined {
  const { authorization } = headers
  if (authorization === undefined) return undefined
  return /^bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1] ?? ''
}

export function foreign(reason: string): OpsError {
  return new OpsError('POLICY_REFUSED', `request of another site refused: ${reason}`, { detail: 'this request did not come from our own page' })
}

/** The gateway as the commands ask it: with the login of a context, refreshed when it runs out. */
import type { IncomingMessage } from 'node:http'
import { errorCode, GatewayError } from '../problem.js'
import type { ContextStore, Tokens } from './contexts.js'
import { type Ask, type Endpoint, readAll, sendRequest } from './request.js'

/** Where tokens come from and where a fresh one goes. */
export interface TokenHome {
  /** Undefined: not logged in. */
  read(): Promise<Tokens | undefined>
  write(tokens: Tokens): Promise<void>
}

/** A token this near its end is refreshed before it is used. */
const REFRESH_AHEAD_MS = 30_000

export type Query = Readonly<Record<string, string | number | boolean | Date | readonly string[] | undefined>>

/** "/api/v1/x" and its query; what is undefined or "" is left out. */
export function pathOf(path: string, query: Query = {}): string {
  const parts = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue
    if (Array.isArray(value)) for (const one of value) parts.append(key, one)
    else parts.append(key, value instanceof Date ? value.toISOString() : String(value))
  }
  const text = parts.toString()
  return text === '' ? path : `${path}?${text}`
}

/** How an old refresh token becomes new tokens; @throws GatewayError AUTH_FAILED */
export type Refresh = (endpoint: Endpoint, refresh: string) => Promise<Tokens>

export class Connection {
  readonly endpoint: Endpoint
  readonly #home: TokenHome
  readonly #refresh: Refresh
  #refreshing: Promise<string> | undefined

  constructor(endpoint: Endpoint, home: TokenHome, refresh: Refresh) {
    this.endpoint = endpoint
    this.#home = home
    this.#refresh = refresh
  }

  /**
   * Resolves with an answer of 2xx; its body is the caller's.
   * @throws GatewayError with the code and the message of the gateway
   */
  async send(ask: Ask): Promise<IncomingMessage> {
    const token = await this.token()
    const answer = await this.#sendWith(token, ask)
    if (answer.statusCode !== 401 || isSpent(ask.body)) return expectOk(answer)
    answer.resume()
    return expectOk(await this.#sendWith(await this.#renew(token), ask))
  }

  /** JSON in, JSON out; undefined for an empty answer. */
  async json(method: Ask['method'], path: string, body?: unknown, signal?: AbortSignal): Promise<unknown> {
    const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    return readJson(await this.send({ method, path, ...json, signal }))
  }

  /** As `send`, and reads the JSON of the answer. */
  async sendJson(ask: Ask): Promise<unknown> {
    return readJson(await this.send(ask))
  }

  /** A token that is good now, for a WebSocket. @throws GatewayError AUTH_FAILED */
  async token(): Promise<string> {
    const tokens = await this.#home.read()
    if (!tokens) throw new GatewayError('AUTH_FAILED', 'you are not logged in: opsctl login')
    const until = tokens.accessUntil === undefined ? Number.POSITIVE_INFINITY : Date.parse(tokens.accessUntil)
    return until - Date.now() < REFRESH_AHEAD_MS && tokens.refresh !== undefined ? this.#renew(tokens.access) : tokens.access
  }

  #sendWith(token: string, ask: Ask): Promise<IncomingMessage> {
    return sendRequest(this.endpoint, { ...ask, headers: { ...ask.headers, authorization: `Bearer ${token}` } })
  }

  /** Once for all that wait. Another process may have renewed it meanwhile: its token is taken then. */
  #renew(old: string): Promise<string> {
    this.#refreshing ??= this.#renewNow(old).finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #renewNow(old: string): Promise<string> {
    const tokens = await this.#home.read()
    if (tokens && tokens.access !== old) return tokens.access
    if (tokens?.refresh === undefined) throw expired()
    try {
      const fresh = await this.#refresh(this.endpoint, tokens.refresh)
      await this.#home.write(fresh)
      return fresh.access
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'AUTH_FAILED') throw error
      const again = await this.#home.read()
      if (again && again.access !== old) return again.access
      throw expired()
    }
  }
}

function expired(): GatewayError {
  return new GatewayError('AUTH_FAILED', 'your login has expired: opsctl login')
}

/** A stream can be sent once only. */
function isSpent(body: Ask['body']): boolean {
  return typeof body === 'object' && !(body instanceof Uint8Array)
}

/** @throws GatewayError with what the gateway said */
export async function expectOk(answer: IncomingMessage): Promise<IncomingMessage> {
  const status = answer.statusCode ?? 0
  if (status >= 200 && status < 300) return answer
  throw await problemOf(answer)
}

/** An answer that is no success: `{code, message, rule?, trace}`, or what a proxy between says. */
export async function problemOf(answer: IncomingMessage): Promise<GatewayError> {
  const status = answer.statusCode ?? 0
  const text = (await readAll(answer)).toString()
  const body = parseObject(text)
  if (typeof body?.code !== 'string' || typeof body.message !== 'string') {
    return new GatewayError(
      status === 401 ? 'AUTH_FAILED' : 'PROTOCOL_ERROR',
      `the gateway answered ${status}: ${text.slice(0, 200).replace(/\s+/g, ' ') || answer.statusMessage}`,
    )
  }
  const rule = typeof body.rule === 'string' ? body.rule : undefined
  const trace = typeof body.trace === 'string' ? body.trace : undefined
  return new GatewayError(errorCode(body.code), body.message, { rule, trace })
}

/** @throws GatewayError PROTOCOL_ERROR when it is no JSON */
export async function readJson(answer: IncomingMessage): Promise<unknown> {
  const text = (await readAll(answer)).toString()
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered with something that is no JSON; is this the address of a gateway?', { cause: error })
  }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    // a proxy's page: the caller shows its beginning
    return undefined
  }
}

/** Tokens of a context in its file. */
export function storedTokens(store: ContextStore, name: string): TokenHome {
  return { read: async () => (await store.find(name)).context.tokens, write: (tokens) => store.putTokens(name, tokens) }
}

/** One token that came from outside (DOCKIN_TOKEN); never refreshed, never written. */
export function fixedToken(access: string): TokenHome {
  return { read: async () => ({ access }), write: async () => {} }
}

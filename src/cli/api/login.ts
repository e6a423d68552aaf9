/** From a password to tokens, and from old tokens to new ones. */
import { GatewayError } from '../problem.js'
import { expectOk, readJson } from './connection.js'
import type { Tokens } from './contexts.js'
import { type Endpoint, sendRequest } from './request.js'
import { number, text } from './rows.js'

export interface Credentials {
  readonly user: string
  readonly password: string
  readonly otp?: string | undefined
}

/** @throws GatewayError AUTH_FAILED, AUTH_LOCKED */
export function logIn(endpoint: Endpoint, credentials: Credentials): Promise<Tokens> {
  return askTokens(endpoint, '/api/v1/login', credentials)
}

/** @throws GatewayError AUTH_FAILED when the refresh token is spent, revoked or too old */
export function refreshTokens(endpoint: Endpoint, refresh: string): Promise<Tokens> {
  return askTokens(endpoint, '/api/v1/login/refresh', { refresh })
}

async function askTokens(endpoint: Endpoint, path: string, body: object): Promise<Tokens> {
  const headers = { 'content-type': 'application/json' }
  const answer = await readJson(await expectOk(await sendRequest(endpoint, { method: 'POST', path, headers, body: JSON.stringify(body) })))
  const access = text(answer, 'token')
  if (access === '') throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered a login without a token')
  const refresh = text(answer, 'refresh')
  const until = untilOf(answer)
  return { access, ...(refresh !== '' && { refresh }), ...(until !== undefined && { accessUntil: until }) }
}

function untilOf(answer: unknown): string | undefined {
  const seconds = number(answer, 'expiresIn')
  if (seconds !== undefined) return new Date(Date.now() + seconds * 1000).toISOString()
  const time = text(answer, 'expires', 'expiresAt')
  return time === '' ? undefined : time
}

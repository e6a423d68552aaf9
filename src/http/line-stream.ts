/** An answer that goes on: a line of JSON for each thing that happens, until login, reader or gateway end. */
import { type ErrorCode, OpsError } from '../core/errors.js'
import type { ApiParts, Call } from './api-parts.js'

/** What may wait for one reader; one that reads slower is cut off and told so. */
const MAX_WAITING_BYTES = 1024 * 1024
const HEARTBEAT_MS = 15_000
/** setTimeout takes no more. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Streams of one person at once: each event is put through each of them. */
const MAX_PER_USER = 16

/** Streams of this gateway, each by the way to end it, with the name of who follows. */
export type Followers = Map<(code: ErrorCode, why: string) => void, string>

export type FollowCall = Pick<Call, 'bearer' | 'identity' | 'reply' | 'request'>
export interface LineStream {
  send(value: object): void
}
export interface LineStreamOptions {
  /** Between two signs of life. */
  readonly beat?: () => void
  /** Once, however it ended. */
  readonly closed: () => void
}

/** Answers the head at once. Whoever stops the server ends what stands in `followers`. @throws OpsError LIMIT_EXCEEDED before it has answered anything */
export function openLines(
  { tokens, log }: Pick<ApiParts, 'tokens' | 'log'>,
  { bearer, identity, reply, request }: FollowCall,
  followers: Followers,
  { beat, closed }: LineStreamOptions,
): LineStream {
  const own = [...followers.values()].filter((user) => user === identity.user).length
  if (own >= MAX_PER_USER) throw new OpsError('LIMIT_EXCEEDED', `${identity.user} follows ${own} streams`, { detail: 'you follow too much at once' })
  const { raw } = reply
  let isOver = false
  const end = (code: ErrorCode, message: string): void => {
    if (isOver) return
    stop()
    if (!raw.writableEnded) raw.end(`${JSON.stringify({ code, message, trace: request.id })}\n`)
  }
  const stop = (): void => {
    if (isOver) return
    isOver = true
    clearInterval(timer)
    clearTimeout(expiry)
    closed()
  }
  const check = (): void => {
    if (!tokens.holds(bearer)) end('AUTH_FAILED', 'your login has ended')
    else if (raw.writableLength > MAX_WAITING_BYTES) end('LIMIT_EXCEEDED', 'this view fell behind and was closed, ask again')
  }
  const timer = setInterval(() => {
    check()
    if (isOver) return
    raw.write('\n')
    beat?.()
  }, HEARTBEAT_MS).unref()
  const expiry = setTimeout(check, Math.min(MAX_TIMER_MS, Math.max(0, bearer.expiresAt.getTime() - Date.now() + 1))).unref()
  raw.once('close', () => {
    stop()
    followers.delete(end)
    log.debug({ trace: request.id, url: request.routeOptions.url }, 'http.follow.closed')
  })
  followers.set(end, identity.user)
  reply.hijack()
  // its connection ends with it: a server that stops would wait for one that is kept
  raw.writeHead(200, {
    connection: 'close',
    ...headersOf(reply.getHeaders()),
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  raw.write('\n')
  return {
    send: (value) => {
      if (isOver) return
      if (raw.writableLength > MAX_WAITING_BYTES) end('LIMIT_EXCEEDED', 'this view fell behind and was closed, ask again')
      else raw.write(`${JSON.stringify(value)}\n`)
    },
  }
}

function headersOf(headers: ReturnType<Call['reply']['getHeaders']>): Record<string, string | number | string[]> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string | number | string[]] => entry[1] !== undefined))
}

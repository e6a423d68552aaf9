/** The audit log: parts of it, or a line for each event as it comes to rest. */
import { OpsError } from '../core/errors.js'
import type { EventFilter, StoredEvent } from '../core/types.js'
import type { ApiParts, Call, Handlers } from './api-parts.js'
import { given } from './pages.js'
import { ownOnly } from './session-routes.js'

/** What may wait for one follower; one that reads slower is cut off and says so. */
const MAX_WAITING_BYTES = 1024 * 1024
const HEARTBEAT_MS = 15_000
/** Views of one person at once: each event of the log is put through each of them. */
const MAX_PER_USER = 16

/** Followers of this gateway, each by the way to end it, with the name of who follows. */
export type Followers = Map<(why: string) => void, string>

/** @param followers filled here; whoever stops the server ends them */
export function auditHandlers(parts: ApiParts, followers: Followers): Required<Pick<Handlers, 'listAudit'>> {
  return {
    listAudit: async (call) => {
      const { query, identity, reply } = call
      const { follow, ...rest } = query
      const filter: EventFilter = { ...given(rest), ...ownOnly(identity, query.user) }
      if (follow === '1') {
        const own = [...followers.values()].filter((user) => user === identity.user).length
        if (own >= MAX_PER_USER) throw new OpsError('LIMIT_EXCEEDED', `${identity.user} follows the log ${own} times`, { detail: 'you follow the log too often' })
        followEvents(parts, filter, call, followers)
        return reply
      }
      const { items, next } = await parts.search.events(filter)
      return { items: [...items], ...(next !== undefined && { next }) }
    },
  }
}

/** Ends with the login, when the client leaves or reads too slowly, and when the gateway stops. */
function followEvents(
  { follow, tokens, log }: ApiParts,
  filter: EventFilter,
  { bearer, identity, reply, request }: Pick<Call, 'bearer' | 'identity' | 'reply' | 'request'>,
  followers: Followers,
): void {
  const { raw } = reply
  const stop = follow(filter, (event: StoredEvent) => {
    if (raw.writableLength > MAX_WAITING_BYTES) end('this view fell behind and was closed, ask again')
    else raw.write(`${JSON.stringify(event)}\n`)
  })
  const end = (why: string): void => {
    stop()
    clearInterval(timer)
    if (!raw.writableEnded) raw.end(`${JSON.stringify({ code: 'LIMIT_EXCEEDED', message: why, trace: request.id })}\n`)
  }
  const timer = setInterval(() => {
    if (!tokens.holds(bearer)) end('your login has ended')
    else if (raw.writableLength > MAX_WAITING_BYTES) end('this view fell behind and was closed, ask again')
    else raw.write('\n')
  }, HEARTBEAT_MS).unref()
  raw.once('close', () => {
    stop()
    clearInterval(timer)
    followers.delete(end)
    log.debug({ trace: request.id }, 'audit.follow.closed')
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
}

function headersOf(headers: ReturnType<Call['reply']['getHeaders']>): Record<string, string | number | string[]> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string | number | string[]] => entry[1] !== undefined))
}

/** GET /api/v1/logs: a container's log as a session of door `logs`, as lines of JSON or as it is. */
import { once } from 'node:events'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { LogsRequest } from '../core/types.js'
import { parseDuration } from '../core/units.js'
import { DEFAULT_LOG_BYTES, type LogsQuery, logsQuerySchema, MAX_LOG_BYTES } from '../wire/api/logs.js'
import { answerNdjson } from './exec-ndjson.js'
import { addressWith, type ExecDoorParts, errorBody } from './exec-parts.js'
import { runSession, type StartExec } from './exec-run.js'
import { parsed } from './parsed.js'

export function logsRoutes(parts: ExecDoorParts): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/api/v1/logs', (request, reply) => readLogs(parts, request, reply))
  }
}

async function readLogs(parts: ExecDoorParts, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const identity = await parts.identify(request.raw)
  const query = parsed(logsQuerySchema, request.query, 'logs')
  const address = addressWith(query.target, query.container)
  const release = parts.slots.take(identity.user)
  const open = { door: 'logs', identity, address, env: {}, logs: requestOf(query, new Date()) } as const
  const start: StartExec = (take, opened) => runSession(parts, open, Buffer.alloc(0), take, opened, undefined, true)
  try {
    return await (wantsText(request.headers.accept) ? answerText(parts, start, reply) : answerNdjson(parts, start, reply))
  } finally {
    release()
  }
}

function requestOf({ target: _target, container: _container, grep, exclude, ignoreCase, tail, since, stream, ...rest }: LogsQuery, now: Date): LogsRequest {
  const { follow = false, timestamps = false, previous = false, limitBytes = follow ? MAX_LOG_BYTES : DEFAULT_LOG_BYTES } = rest
  return {
    follow,
    timestamps,
    previous,
    limitBytes,
    ...(tail !== undefined && { tail }),
    ...(since !== undefined && { since: /^\d+[a-z]+$/.test(since) ? new Date(now.getTime() - parseDuration(since)) : new Date(since) }),
    ...(stream !== undefined && { stream }),
    ...((grep || exclude) && { filter: { grep: grep ?? [], exclude: exclude ?? [], ignoreCase: ignoreCase ?? false } }),
  }
}

function wantsText(accept: string | undefined): boolean {
  return /(^|,)\s*text\/plain\s*(;|,|$)/i.test(accept ?? '')
}

/** Both streams as they come. What goes wrong after the first byte cuts the answer: text has no other way to say so. */
async function answerText(parts: ExecDoorParts, start: StartExec, reply: FastifyReply): Promise<unknown> {
  const { raw } = reply
  let isOpen = false
  const running = start(
    async (_stream, chunk) => {
      if (raw.destroyed || raw.write(chunk)) return
      const waited = new AbortController()
      await Promise.race(['drain', 'close'].map((event) => once(raw, event, { signal: waited.signal }))).catch(() => undefined)
      waited.abort()
    },
    () => {
      isOpen = true
      reply.hijack()
      raw.writeHead(200, {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
        'x-trace': String(reply.request.id),
      })
      raw.flushHeaders()
    },
  )
  raw.once('close', running.leave)
  const { error } = await running.end
  if (error && !isOpen) {
    raw.off('close', running.leave)
    reply.code(error.httpStatus)
    return { ...errorBody(error), trace: reply.request.id }
  }
  if (error) {
    parts.log.info({ error }, 'logs.cut')
    raw.destroy()
  } else raw.end()
  return reply
}

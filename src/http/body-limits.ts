/**
 * How long the body of a request may take. Node's own limit is one for the whole server, and would cut an upload that takes
 * its time; so the body of each route has its own: a short one whole, and an upload (`config: { body: 'upload' }`) only
 * between two of its bytes.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `upload`: the body may take as long as it needs, as long as bytes come. */
    readonly body?: 'upload'
  }
}

export interface BodyLimits {
  /** The whole body of any request but an upload; 30 s. */
  readonly wholeMs: number
  /** Between two bytes of an upload that is being read; 60 s. */
  readonly idleMs: number
  /** What is left of a body whose answer is out; 10 s. */
  readonly leftMs: number
}
export const BODY_LIMITS: BodyLimits = { wholeMs: 30_000, idleMs: 60_000, leftMs: 10_000 }

/** @returns a route for `startHttpServer`: must stand before those whose bodies it limits */
export function bodyLimits(limits: BodyLimits): (app: FastifyInstance) => void {
  return (app) => {
    app.addHook('onRequest', async ({ raw, routeOptions }, reply) => {
      if (raw.complete || !hasBody(raw)) return
      const late = () => cut(raw, !reply.raw.headersSent)
      const stop = routeOptions.config.body === 'upload' ? whenIdle(raw, limits.idleMs, late) : after(limits.wholeMs, late)
      raw.once('end', stop).once('close', stop)
      // whoever was refused, perhaps without a login, has no claim to the limits of an upload
      reply.raw.once('finish', () => {
        stop()
        if (!raw.complete)
          raw.once(
            'close',
            after(limits.leftMs, () => raw.socket.destroy()),
          )
      })
    })
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

function after(ms: number, late: () => void): () => void {
  const timer = setTimeout(late, ms).unref()
  return () => clearTimeout(timer)
}

/** Bytes that wait to be read count as ours to take: a slow container is not a silent client. */
function whenIdle(raw: IncomingMessage, idleMs: number, late: () => void): () => void {
  let seen = raw.socket.bytesRead
  let heardMs = performance.now()
  const timer = setInterval(
    () => {
      const { bytesRead } = raw.socket
      if (bytesRead !== seen || raw.readableLength > 0) heardMs = performance.now()
      seen = bytesRead
      if (performance.now() - heardMs < idleMs) return
      clearInterval(timer)
      late()
    },
    Math.max(1, idleMs / 8),
  ).unref()
  return () => clearInterval(timer)
}

/** Nothing answers a body that never ends but the connection itself. */
function cut(raw: IncomingMessage, isUnanswered: boolean): void {
  const { socket } = raw
  if (!isUnanswered) return void socket.destroy()
  const body = JSON.stringify({ code: 'IDLE_TIMEOUT', message: 'the body of the request took too long' })
  const head = `HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
  socket.end(`${head}\r\n\r\n${body}`, () => raw.destroy())
}

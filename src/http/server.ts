/** The HTTP listener: fastify with the routes it is handed, errors as `{ code, message, trace }`. */
import { randomUUID } from 'node:crypto'
import { type FastifyInstance, type FastifyServerOptions, fastify } from 'fastify'
import { toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'

export interface HttpServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer }
  readonly routes: readonly ((app: FastifyInstance) => void)[]
  readonly log: Logger
}
export interface HttpServer {
  readonly address: { readonly host: string; readonly port: number }
  close(): Promise<void>
}

/** Header block and body of one request; uploads will have limits of their own. */
const MAX_BODY_BYTES = 1024 * 1024
const REQUEST_TIMEOUT_MS = 30_000

/** Listens and resolves with the real port. @throws Error of listen(2): the address is taken, or not ours */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listen, tls, routes, log } = options
  // `https` is read at run time, but is part of another overload of fastify's type, whose instances no route could share
  const serverOptions: FastifyServerOptions = {
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    genReqId: () => randomUUID(),
    ...(tls && { https: tls }),
  }
  const app: FastifyInstance = fastify(serverOptions)
  app.setErrorHandler((error: unknown, request, reply) => {
    const status = statusOf(error)
    const known = toOpsError(error, status < 500 ? 'BAD_REQUEST' : 'INTERNAL')
    if (status >= 500) log.error({ error, trace: request.id }, 'http.failed')
    reply.code(status).send({ code: known.code, message: known.userText, trace: request.id })
  })
  app.setNotFoundHandler((request, reply) => {
    reply.code(404).send({ code: 'NOT_FOUND', message: 'not found', trace: request.id })
  })
  for (const route of routes) route(app)
  await app.listen({ host: listen.host, port: listen.port })
  const bound = app.server.address()
  const port = typeof bound === 'object' && bound ? bound.port : listen.port
  return { address: { host: listen.host, port }, close: () => app.close() }
}

/** fastify's own errors carry statusCode; ours carry httpStatus. */
function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 500
  if ('httpStatus' in error && typeof error.httpStatus === 'number') return error.httpStatus
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
}

/** The HTTP listener: fastify with the routes it is handed, errors as `{ code, message, trace }`. */
import { randomUUID } from 'node:crypto'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifyServerOptions, fastify } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { type ErrorCode, OpsError, toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import { BODY_LIMITS, type BodyLimits, bodyLimits } from './body-limits.js'

export interface HttpServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer }
  readonly routes: readonly ((app: FastifyInstance) => void)[]
  /** One of the routes answers what no other does. */
  readonly isNotFoundTaken?: boolean
  readonly bodyLimits?: BodyLimits
  readonly log: Logger
}
export interface HttpServer {
  readonly address: { readonly host: string; readonly port: number }
  close(): Promise<void>
}

/** Bodies that are parsed; what is streamed has no limit of size here. */
const MAX_BODY_BYTES = 1024 * 1024
/** node looks every 5 s; how long bodies may take is each route's (body-limits.ts), so the whole request has no limit here. */
const TIMING = { headersTimeout: 30_000, connectionsCheckingInterval: 5000 }
/** How long a stop waits for answers under way; a reader who takes nothing must not hold it. */
const CLOSE_MS = 3000

/** Listens and resolves with the real port. @throws Error of listen(2): the address is taken, or not ours */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { listen, tls, routes, log } = options
  // `https` is read at run time, but is part of another overload of fastify's type, whose instances no route could share
  const serverOptions: FastifyServerOptions = {
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: 0,
    genReqId: () => randomUUID(),
    // what the router itself cannot read, in the same words as every other refusal
    frameworkErrors: (error: Error & { readonly statusCode?: number }, request: FastifyRequest, reply: FastifyReply) => {
      const known = asOpsError(error, error.statusCode ?? 400)
      void reply.code(error.statusCode ?? 400).send({ code: known.code, message: known.userText, trace: request.id })
    },
    ...(tls ? { https: { ...tls, ...TIMING } } : { http: TIMING }),
  }
  const app: FastifyInstance = fastify(serverOptions)
  app.setErrorHandler((error: unknown, request, reply) => {
    const status = statusOf(error)
    const known = asOpsError(error, status)
    if (status >= 500) log.error({ error, trace: request.id }, 'http.failed')
    const rule = known.rule === undefined ? {} : { rule: known.rule }
    reply.code(status).send({ code: known.code, message: known.userText, ...rule, trace: request.id })
  })
  if (!options.isNotFoundTaken) {
    app.setNotFoundHandler((request, reply) => {
      reply.code(404).send({ code: 'NOT_FOUND', message: 'not found', trace: request.id })
    })
  }
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-trace', request.id)
  })
  bodyLimits(options.bodyLimits ?? BODY_LIMITS)(app)
  for (const route of routes) route(app)
  await app.listen({ host: listen.host, port: listen.port })
  const bound = app.server.address()
  const port = typeof bound === 'object' && bound ? bound.port : listen.port
  return { address: { host: listen.host, port }, close: () => closeWithin(app, CLOSE_MS) }
}

async function closeWithin(app: FastifyInstance, limitMs: number): Promise<void> {
  const late = setTimeout(() => app.server.closeAllConnections(), limitMs)
  try {
    await app.close()
  } finally {
    clearTimeout(late)
  }
}

/** fastify's own errors carry statusCode; ours carry httpStatus. */
function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 500
  if ('httpStatus' in error && typeof error.httpStatus === 'number') return error.httpStatus
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
}

/** What fastify itself refuses, in our words: only mistakes of the request say more than their code. */
const CODES: Readonly<Record<number, ErrorCode>> = { 401: 'AUTH_FAILED', 403: 'POLICY_REFUSED', 404: 'NOT_FOUND', 408: 'IDLE_TIMEOUT', 429: 'LIMIT_EXCEEDED' }

function asOpsError(error: unknown, status: number): OpsError {
  if (error instanceof OpsError) return error
  if (status >= 500) return toOpsError(error)
  const cause = { cause: error }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [issue] = error.validation
    const at = issue?.instancePath.split('/').filter(Boolean).join('.') ?? ''
    const detail = `${error.validationContext ?? 'request'}: ${at === '' ? '' : `${at}: `}${issue?.message ?? 'not valid'}`
    return new OpsError('BAD_REQUEST', `request refused: ${detail}`, { ...cause, detail: detail.slice(0, 500) })
  }
  const message = error instanceof Error ? error.message : String(error)
  const code = CODES[status] ?? 'BAD_REQUEST'
  return new OpsError(code, message, { ...cause, ...(code === 'BAD_REQUEST' && { detail: message.slice(0, 200) }) })
}

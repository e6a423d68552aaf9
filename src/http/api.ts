/** The routes of wire/api: each operation of the table with who may call it, its schemas, its limits, and its page in /openapi.json. */
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { createJsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { OpsError } from '../core/errors.js'
import { errorSchema } from '../wire/api/common.js'
import type { Operation } from '../wire/api/operation.js'
import { OPERATIONS } from '../wire/api/operations.js'
import { type ApiParts, type Call, type Handlers, mayCall } from './api-parts.js'
import { approvalHandlers } from './approval-routes.js'
import { auditHandlers } from './audit-routes.js'
import type { Bearer } from './authenticate.js'
import { peerOf, requestText } from './authenticate.js'
import { commandHandlers } from './command-routes.js'
import { factHandlers } from './fact-routes.js'
import type { Followers } from './line-stream.js'
import { listHandlers } from './list-routes.js'
import { LoginRate } from './login-rate.js'
import { loginHandlers } from './login-routes.js'
import { pageOfOperation } from './openapi-elsewhere.js'
import { recordingHandlers } from './recording-routes.js'
import { sessionHandlers } from './session-routes.js'
import { targetHandlers } from './target-routes.js'
import { topHandlers } from './top-routes.js'

export interface ApiLimits {
  /** Requests a minute from one address, which an office may share; 6000. */
  readonly perAddress?: number
  /** Requests a minute of one login; 1200. */
  readonly perLogin?: number
  /** Logins and refreshes a minute from one address; 60. Wrong passwords are slowed by identity/throttle. */
  readonly logins?: number
}
export interface ApiOptions {
  readonly version: string
  readonly limits?: ApiLimits
  /** Routes of other files, counted together with these: one address has one limit. */
  readonly also?: readonly ((app: FastifyInstance) => void)[]
}

/** Bodies of the API are small; an exec's stdin has a limit of its own. */
const MAX_BODY_BYTES = 256 * 1024
const MINUTE_MS = 60_000

/** @returns a route for `startHttpServer`: everything below /api/v1 that the table names, and /openapi.json */
export function apiRoutes(parts: ApiParts, options: ApiOptions): (app: FastifyInstance) => void {
  const followers: Followers = new Map()
  const handlers: Handlers = {
    ...loginHandlers(parts),
    ...targetHandlers(parts, followers),
    ...topHandlers(parts),
    ...sessionHandlers(parts),
    ...recordingHandlers(parts),
    ...commandHandlers(parts),
    ...auditHandlers(parts, followers),
    ...factHandlers(parts),
    ...approvalHandlers(parts),
    ...listHandlers(parts),
  }
  return (app) => {
    void app.register(async (api) => {
      api.addHook('preClose', async () => {
        for (const end of followers.keys()) end('DRAINING', 'this gateway is shutting down')
      })
      api.setValidatorCompiler(({ schema, httpPart, ...rest }) => {
        const validate = validatorCompiler({ schema: schema as z.ZodType, ...(httpPart !== undefined && { httpPart }), ...rest })
        // fastify says null where no body came
        return (data: unknown) => validate(httpPart === 'body' && data === null ? undefined : data)
      })
      api.setSerializerCompiler(serializerCompiler)
      await api.register(swagger, { openapi: openapi(options.version), transform: createJsonSchemaTransform({}), hideUntagged: true })
      const { perAddress = 6000, perLogin = 1200, logins = 60 } = options.limits ?? {}
      await api.register(rateLimit, {
        max: perAddress,
        timeWindow: MINUTE_MS,
        cache: 20_000,
        keyGenerator: (request) => peerOf(request.raw).host,
        errorResponseBuilder: (_request, { after }) => new OpsError('LIMIT_EXCEEDED', 'too many requests', { detail: `too many requests, again in ${after}` }),
      })
      const bearers = new WeakMap<FastifyRequest, Bearer>()
      const rate = new LoginRate(perLogin)
      const elsewhere: (readonly [string, Operation])[] = []
      for (const [name, each] of Object.entries(OPERATIONS)) {
        const operation: Operation = each
        const handler = Reflect.get(handlers, name) as ((call: Call) => unknown) | undefined
        if (operation.variantOf !== undefined) continue
        if (!handler && operation.answer.kind !== 'socket') {
          elsewhere.push([name, operation])
          continue
        }
        api.route({
          method: operation.method,
          url: operation.path.replace(/\{(\w+)\}/g, ':$1'),
          bodyLimit: operation.maxBodyBytes ?? MAX_BODY_BYTES,
          schema: schemaOf(name, operation),
          ...(operation.access === 'anyone' && { config: { rateLimit: { max: logins, timeWindow: MINUTE_MS } } }),
          // who asks is known before the body is read: nobody learns the shape of a request without a login
          onRequest: async (request: FastifyRequest) => {
            if (operation.access === 'anyone') return
            const bearer = await admit(parts, operation, request)
            rate.take(bearer.sid)
            bearers.set(request, bearer)
          },
          handler: async (request: FastifyRequest, reply: FastifyReply) => {
            if (!handler) throw new OpsError('BAD_REQUEST', 'no upgrade', { detail: 'this is a WebSocket: ask for an upgrade' })
            const { params, query, body } = request
            const bearer = bearers.get(request)
            return handler({ params, query, body, request, reply, bearer, identity: bearer?.identity } as Call)
          },
        })
      }
      // facts of now, also from the routes of other files
      api.addHook('onRequest', async (_request, reply) => void reply.header('cache-control', 'no-store'))
      for (const route of options.also ?? []) route(api)
      api.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
        reply.serializer(JSON.stringify)
        const document = api.swagger()
        const paths: Record<string, object | undefined> = { ...document.paths }
        for (const [name, operation] of elsewhere) {
          paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: pageOfOperation(name, operation) }
        }
        return { ...document, paths }
      })
    })
  }
}

/** @throws OpsError AUTH_FAILED, POLICY_REFUSED */
async function admit(parts: ApiParts, { access }: Operation, { raw }: FastifyRequest): Promise<Bearer> {
  const bearer = await parts.auth.bearer(raw)
  const { identity } = bearer
  if (mayCall(identity, access)) return bearer
  const reason = `needs the role ${access}`
  parts.refusals.note({ from: identity.from, request: requestText(raw), reason, user: identity.user })
  throw new OpsError('POLICY_REFUSED', `${identity.user} ${reason}`, { detail: reason })
}

function schemaOf(name: string, { params, query, body, answer, summary, topic, access }: Operation): FastifySchema {
  const content =
    answer.kind === 'stream'
      ? { [answer.mediaType]: { schema: z.string() } }
      : answer.kind === 'json'
        ? { 'application/json': { schema: answer.schema } }
        : { 'application/json': { schema: errorSchema } }
  const schema = {
    operationId: name,
    tags: [topic],
    summary,
    description: access === 'anyone' ? 'Without a login.' : `Needs the role ${access}.`,
    ...(access === 'anyone' ? { security: [] } : {}),
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(body && { body }),
    response: {
      ...(answer.kind === 'socket' ? {} : { 200: { description: 'Done', content } }),
      '4xx': { description: 'Refused', content: { 'application/json': { schema: errorSchema } } },
      '5xx': { description: 'Failed', content: { 'application/json': { schema: errorSchema } } },
    },
  }
  return schema
}

function openapi(version: string) {
  return {
    openapi: '3.1.0',
    info: { title: 'Dockin Ops', version, description: 'What a person may do over ssh, and what the security team needs, for programs.' },
    components: {
      securitySchemes: {
        bearer: { type: 'http' as const, scheme: 'bearer', bearerFormat: 'JWT' },
        cookie: { type: 'apiKey' as const, in: 'cookie' as const, name: '__Host-dockin' },
      },
    },
    security: [{ bearer: [] }, { cookie: [] }],
  }
}

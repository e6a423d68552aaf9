/**
 * The resource manager's interface for other tools of the family, in the original's own paths, and GET /api/v1/cmdb for
 * dockctl. Both answer only pods that the identity may see.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { OpsError, toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { Identity } from '../core/types.js'
import { type CmdbAnswer, type CmdbPod, cmdbQuerySchema, MAX_NAMES, RM_PREFIX, type RmPod } from '../wire/api/resource-manager.js'
import type { Identify } from './exec-parts.js'
import { parsed } from './parsed.js'

export interface RmRoutesParts {
  readonly identify: Identify
  readonly cmdb: {
    readonly source: string
    query(identity: Identity, text: string, dcns: readonly string[], signal: AbortSignal): Promise<readonly CmdbPod[]>
    visible(identity: Identity, records: readonly RmPod[]): readonly CmdbPod[]
    seesHost(identity: Identity, hostIp: string): boolean
  }
  /** Unfiltered answers: every one of them passes `cmdb.visible` here. */
  readonly manager: {
    byPodName(podName: string, signal: AbortSignal): Promise<readonly RmPod[]>
    byPodIp(podIp: string, signal: AbortSignal): Promise<readonly RmPod[]>
    byHostIp(hostIp: string, signal: AbortSignal): Promise<readonly RmPod[]>
    bySubsystem(subsystem: string, dcn: string | undefined, signal: AbortSignal): Promise<readonly RmPod[]>
    byPodSetId(podSetId: string, signal: AbortSignal): Promise<readonly RmPod[]>
    byPodNames(podNames: readonly string[], signal: AbortSignal): Promise<readonly RmPod[]>
    clusterIdOf(hostIp: string, signal: AbortSignal): Promise<string | undefined>
  }
  readonly log: Logger
}

/** The original's answer where there is none, and for every failure; its clients look at nothing but "not 0". */
const FAILED = 1

const name = z.string().min(1).max(253)
const byPodName = z.object({ podName: name })
const byPodIp = z.object({ podIp: name })
const byHostIp = z.object({ hostIp: name })
const bySubsystem = z
  .object({ subsystem: z.string().max(253).default(''), dcn: name.optional() })
  .refine(({ subsystem, dcn }) => subsystem !== '' || dcn, 'subsystem or dcn')
const byPodSetId = z.object({ podSetId: name })
const nameList = z.array(name).max(MAX_NAMES)

/** Whether the answer is a list, or the first of it: what each method of the original answers. */
interface Method {
  readonly one: boolean
  readonly ask: (parts: RmRoutesParts, input: unknown, signal: AbortSignal) => Promise<readonly RmPod[]>
}
const METHODS: Readonly<Record<string, Method>> = {
  getPodInfoByPodName: { one: true, ask: ({ manager }, input, signal) => manager.byPodName(parsed(byPodName, input, 'resource manager').podName, signal) },
  getPodInfoByPodIp: { one: true, ask: ({ manager }, input, signal) => manager.byPodIp(parsed(byPodIp, input, 'resource manager').podIp, signal) },
  getPodInfoByHostIp: { one: false, ask: ({ manager }, input, signal) => manager.byHostIp(parsed(byHostIp, input, 'resource manager').hostIp, signal) },
  getPodInfoBySubsystem: {
    one: false,
    ask: ({ manager }, input, signal) => {
      const { subsystem, dcn } = parsed(bySubsystem, input, 'resource manager')
      return manager.bySubsystem(subsystem, dcn, signal)
    },
  },
  getPodInfoByPodSetId: { one: false, ask: ({ manager }, input, signal) => manager.byPodSetId(parsed(byPodSetId, input, 'resource manager').podSetId, signal) },
}

export function rmRoutes(parts: RmRoutesParts): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/api/v1/cmdb', async (request, reply): Promise<CmdbAnswer> => {
      const identity = await parts.identify(request.raw)
      const { query, dcn } = parsed(cmdbQuerySchema, request.query, 'resource manager')
      return { source: parts.cmdb.source, pods: [...(await parts.cmdb.query(identity, query, dcn, untilClosed(reply)))] }
    })
    for (const [method, { one, ask }] of Object.entries(METHODS)) {
      app.get(`${RM_PREFIX}/${method}`, (request, reply) =>
        enveloped(parts, request, reply, async (identity) => {
          const records = onlyVisible(parts, identity, await ask(parts, request.query, untilClosed(reply)))
          return one ? records[0] : records
        }),
      )
    }
    app.post(`${RM_PREFIX}/getPodInfosByPodNameList`, (request, reply) =>
      enveloped(parts, request, reply, async (identity) => {
        const records = await parts.manager.byPodNames(parsed(nameList, request.body, 'resource manager'), untilClosed(reply))
        return onlyVisible(parts, identity, records)
      }),
    )
    app.get(`${RM_PREFIX}/getClusterId`, (request, reply) =>
      enveloped(parts, request, reply, async (identity) => {
        const { hostIp } = parsed(byHostIp, request.query, 'resource manager')
        if (!parts.cmdb.seesHost(identity, hostIp)) return undefined
        const clusterId = await parts.manager.clusterIdOf(hostIp, untilClosed(reply))
        return clusterId === undefined ? undefined : { clusterId }
      }),
    )
  }
}

/** A record stands for one pod; it is answered when that one may be seen. */
function onlyVisible({ cmdb }: RmRoutesParts, identity: Identity, records: readonly RmPod[]): readonly RmPod[] {
  return records.filter((record) => cmdb.visible(identity, [record]).length > 0)
}

/** The original's envelope. Who may not ask at all gets an HTTP status as well; none found is HTTP 200 and a code, as there. */
async function enveloped(
  parts: RmRoutesParts,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: (identity: Identity) => Promise<unknown>,
): Promise<object> {
  const reqId = String(request.id)
  try {
    const data = await answer(await parts.identify(request.raw))
    const isNone = data === undefined || (Array.isArray(data) && data.length === 0)
    return isNone ? { code: FAILED, message: 'none found', data: null, reqId } : { code: 0, message: 'success', data, reqId }
  } catch (thrown) {
    const error = toOpsError(thrown)
    if (error.httpStatus >= 500) parts.log.warn({ code: error.code, reason: error.message, trace: reqId }, 'rm.failed')
    reply.code(error.httpStatus)
    return { code: FAILED, message: error.userText, data: null, reqId }
  }
}

/** Ends with the request: an answer that nobody reads is not waited for. */
function untilClosed(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort(new OpsError('CLIENT_GONE', 'the caller of the API hung up')))
  return gone.signal
}

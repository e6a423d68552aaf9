/**
 * The resource manager's HTTP interface (Dockin-rm) and GET /api/v1/cmdb, which dockctl asks.
 *
 * Known of Dockin-rm, from its public source: the paths below /rmController with their parameters, the envelope
 * `{code, message, data, reqId}` where code 0 is success, and the fields of a pod. Not known: what each installation puts
 * into `type`, `state` and `status` beyond "ALLOCATED"; those pass through as text.
 */
import { z } from 'zod'
import { json, operation } from './operation.js'

/** Where the original answers; opserver answers there too. */
export const RM_PREFIX = '/rmController'
export const MAX_NAMES = 1000

/** The original writes null for what it does not know, and some installations leave fields out. */
const text = z
  .union([z.string().max(1024), z.number()])
  .nullish()
  .transform((value) => (value === null || value === undefined ? '' : String(value)))

/** One pod as the resource manager knows it; unknown fields of the answer are dropped. */
export const rmPodSchema = z.object({
  podName: text,
  podSetId: text,
  subSystem: text,
  subSystemId: text,
  dcn: text,
  podIp: text,
  hostIp: text,
  /** The original prints it in capitals. */
  namespace: text,
  clusterId: text,
  cpu: text,
  mem: text,
  type: text,
  state: text,
  /** "ALLOCATED" for a pod that exists. */
  status: text,
})
export type RmPod = z.infer<typeof rmPodSchema>

const code = z.union([
  z.int(),
  z
    .string()
    .regex(/^-?\d{1,9}$/)
    .transform(Number),
])
export const rmEnvelopeSchema = z.object({ code, message: z.string().nullish(), data: z.unknown() })
/** Some methods answer one pod and some a list; both are read. */
export const rmPodsSchema = z.union([
  z.null().transform((): RmPod[] => []),
  z.undefined().transform((): RmPod[] => []),
  z.array(rmPodSchema).max(100_000),
  rmPodSchema.transform((pod) => [pod]),
])
export const rmClusterSchema = z.object({ clusterId: text })

export const cmdbQuerySchema = z.strictObject({
  /** Subsystem, its id, node IP, pod IP, pod name or pod-set id. */
  query: z.string().min(1).max(253),
  /** "1C1,1D1": only these. */
  dcn: z
    .string()
    .max(1024)
    .optional()
    .transform((list) => [...new Set((list ?? '').split(',').map((one) => one.trim()))].filter((one) => one !== '')),
})
export const cmdbPodSchema = z.object({
  /** What ssh and exec take: POD.NAMESPACE.CLUSTER */
  target: z.string(),
  pod: z.string(),
  namespace: z.string(),
  cluster: z.string(),
  subsystem: z.string(),
  subsystemId: z.string(),
  dcn: z.string(),
  podIp: z.string(),
  hostIp: z.string(),
  node: z.string(),
  /** "Running", "Pending", "CrashLoopBackOff", … */
  state: z.string(),
  ready: z.boolean(),
  /** Limits as Kubernetes writes quantities; empty where there are none. */
  cpu: z.string(),
  mem: z.string(),
})
export type CmdbPod = z.infer<typeof cmdbPodSchema>
export const cmdbAnswerSchema = z.object({
  /** Who answered: "embedded", or the address of the resource manager. */
  source: z.string(),
  /** Sorted by subsystem, DCN, cluster, namespace and name. Only pods that the asker may see. */
  pods: z.array(cmdbPodSchema),
})
export type CmdbAnswer = z.infer<typeof cmdbAnswerSchema>

export const resourceManagerOperations = {
  queryCmdb: operation({
    topic: 'targets',
    method: 'GET',
    path: '/api/v1/cmdb',
    access: 'user',
    summary: 'Pods of a subsystem, its id, a node IP, a pod IP, a pod name or a pod-set id that you may see',
    query: cmdbQuerySchema,
    answer: json(cmdbAnswerSchema),
  }),
}

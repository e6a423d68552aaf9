/** What one may enter: containers, with their clusters and nodes. */
import { z } from 'zod'
import { pageOf, pageQuery, targetSchema, textQuery, timeSchema } from './common.js'
import { json, operation, stream } from './operation.js'

export const targetItem = z.object({
  target: targetSchema.extend({ labels: z.record(z.string(), z.string()) }),
  name: z.string().describe('cluster/namespace/pod/container'),
  address: z.string().describe('What stands after USER+ in ssh: POD.NAMESPACE.CLUSTER+CONTAINER'),
  state: z.string().describe('Running, Pending, CrashLoopBackOff, …'),
  ready: z.boolean(),
  podIp: z.string(),
  rule: z.string().optional().describe('The rule by which you see it'),
})
export type TargetItem = z.output<typeof targetItem>

export const clusterItem = z.object({
  name: z.string(),
  kind: z.enum(['kubernetes', 'docker', 'local']),
  via: z.string().describe('agent, apiserver, auto, docker or local'),
  pods: z.int(),
  synced: z.boolean().describe('Every pod has been read once'),
  staleSince: timeSchema.optional().describe('Since when the cluster does not answer'),
})
export type ClusterItem = z.output<typeof clusterItem>

export const nodeItem = z.object({
  name: z.string(),
  cluster: z.string(),
  hostIp: z.string(),
  pods: z.int().describe('That you may see'),
})
export type NodeItem = z.output<typeof nodeItem>

const name = z.string().min(1).max(253)

const filters = { cluster: name.optional(), namespace: name.optional(), pod: name.optional(), node: name.optional(), text: textQuery.optional(), ...pageQuery }

/** One line of a watch: all that there is as `added`, then `synced`, then what changes. `code` says why it ends. */
export const targetLineSchema = z.union([
  z.object({ kind: z.enum(['added', 'changed', 'gone']), item: targetItem }),
  z.object({ kind: z.literal('synced') }),
  z.object({ code: z.string(), message: z.string() }),
])
export type TargetLine = z.output<typeof targetLineSchema>

export const targetOperations = {
  listTargets: operation({
    topic: 'targets',
    method: 'GET',
    path: '/api/v1/targets',
    access: 'user',
    summary: 'Containers that you may see. With follow=1 a stream (application/x-ndjson): all of them, then what changes',
    query: z.strictObject({ ...filters, follow: z.enum(['0', '1']).optional().describe('1: a line for each, a line "synced", a line for each change') }),
    answer: json(pageOf(targetItem)),
  }),
  watchTargets: operation({
    topic: 'targets',
    method: 'GET',
    path: '/api/v1/targets',
    access: 'user',
    summary: 'A line for each container that you may see, then one for each change; an empty line is a sign of life',
    query: z.strictObject({ ...filters, follow: z.literal('1') }),
    answer: stream('application/x-ndjson'),
    variantOf: 'listTargets',
  }),
  listClusters: operation({
    topic: 'targets',
    method: 'GET',
    path: '/api/v1/clusters',
    access: 'user',
    summary: 'Clusters in which you may see something; all of them for auditors',
    answer: json(pageOf(clusterItem)),
  }),
  listNodes: operation({
    topic: 'targets',
    method: 'GET',
    path: '/api/v1/nodes',
    access: 'user',
    summary: 'Nodes of the containers that you may see',
    query: z.strictObject({ cluster: name.optional() }),
    answer: json(pageOf(nodeItem)),
  }),
}

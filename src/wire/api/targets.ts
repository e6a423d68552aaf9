/** What one may enter: containers, with their clusters and nodes. */
import { z } from 'zod'
import { pageOf, pageQuery, targetSchema, textQuery, timeSchema } from './common.js'
import { json, operation } from './operation.js'

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

export const targetOperations = {
  listTargets: operation({
    topic: 'targets',
    method: 'GET',
    path: '/api/v1/targets',
    access: 'user',
    summary: 'Containers that you may see',
    query: z.strictObject({
      cluster: name.optional(),
      namespace: name.optional(),
      pod: name.optional(),
      node: name.optional(),
      text: textQuery.optional(),
      ...pageQuery,
    }),
    answer: json(pageOf(targetItem)),
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

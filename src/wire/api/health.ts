/** How the gateway is. */
import { z } from 'zod'
import { timeSchema } from './common.js'
import { json, operation } from './operation.js'
import { clusterItem } from './targets.js'

export const healthAnswer = z.object({
  version: z.string(),
  startedAt: timeSchema,
  ready: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), reason: z.string().optional() })),
  draining: z.boolean(),
  sessions: z.int(),
  connections: z.int().describe('SSH connections'),
  clusters: z.array(clusterItem),
  audit: z.object({
    seq: z.int().describe('Number of the last event'),
    hash: z.string(),
    committed: z.int(),
    pending: z.int(),
    spooling: z.boolean(),
    publicKey: z.string().describe('PEM; checks checkpoints, to be kept elsewhere'),
    stores: z.array(z.object({ name: z.string(), state: z.string(), held: z.int(), reason: z.string().optional() })),
  }),
})
export type Health = z.output<typeof healthAnswer>

export const healthOperations = {
  health: operation({
    topic: 'health',
    method: 'GET',
    path: '/api/v1/health',
    access: 'auditor',
    summary: 'State of the gateway, its clusters and its audit log',
    answer: json(healthAnswer),
  }),
}

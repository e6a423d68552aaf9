/** POST /api/v1/top: what pods use, what they may use, and how they ended last. */
import { z } from 'zod'
import { timeSchema } from './common.js'
import { json, operation } from './operation.js'

/** Pods of one question. */
export const MAX_TOP_PODS = 1000
const name = z.string().min(1).max(253)

export const topContainer = z.object({
  name: z.string(),
  state: z.string().describe('Running, CrashLoopBackOff, OOMKilled, …'),
  cpuMillis: z.number().optional().describe('Thousandths of a core that it uses now; absent: not known'),
  cpuLimitMillis: z.number().optional(),
  memoryBytes: z.number().optional().describe('Without what the kernel would give back first'),
  memoryLimitBytes: z.number().optional(),
  restarts: z.int().optional(),
  oomKills: z.int().optional().describe('Processes of it that were killed for want of memory since it was started'),
  lastEnd: z.object({ reason: z.string(), exitCode: z.int(), at: timeSchema }).optional().describe('How it ended last'),
})
export const topItem = z.object({
  cluster: z.string(),
  namespace: z.string(),
  pod: z.string(),
  node: z.string(),
  ready: z.boolean(),
  containers: z.array(topContainer),
})
export type TopItem = z.output<typeof topItem>
export const topAnswer = z.object({
  items: z.array(topItem).describe('Of the pods that were named, those that you may see'),
  problems: z.array(z.string()).describe('Why something is not known'),
})
export type TopAnswer = z.output<typeof topAnswer>

export const topOperations = {
  top: operation({
    topic: 'targets',
    method: 'POST',
    path: '/api/v1/top',
    access: 'user',
    summary: 'CPU, memory against its limit, restarts and last end of pods that you may see',
    body: z.strictObject({
      pods: z
        .array(z.strictObject({ cluster: name, namespace: name, pod: name }))
        .min(1)
        .max(MAX_TOP_PODS),
    }),
    answer: json(topAnswer),
  }),
}

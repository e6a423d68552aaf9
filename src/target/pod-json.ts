/** Pod facts as JSON and back. What comes back was written by a gateway, perhaps by an older one, and is checked all the same. */
import { z } from 'zod'
import type { PodFacts } from './inventory.js'

const text = z.string().max(64 * 1024)
const container = z.object({
  name: text,
  kind: z.enum(['app', 'init', 'ephemeral']),
  containerId: text,
  running: z.boolean(),
  ready: z.boolean(),
  state: text,
  restarts: z.number().exactOptional(),
  lastEnd: z.object({ reason: text, exitCode: z.number(), atMs: z.number() }).exactOptional(),
  limits: z.object({ cpu: text.exactOptional(), memory: text.exactOptional() }).exactOptional(),
})
const pod = z.object({
  cluster: text.min(1),
  namespace: text.min(1),
  name: text.min(1),
  uid: text.min(1),
  ip: text,
  node: text,
  hostIp: text,
  phase: text,
  reason: text.exactOptional(),
  ready: z.boolean(),
  containers: z.array(container).max(1000),
  labels: z.record(z.string(), text),
  workloads: z.array(z.object({ kind: text, name: text })).max(16),
  setId: text.exactOptional(),
  defaultContainer: text.exactOptional(),
  createdMs: z.number(),
  deletedMs: z.number().exactOptional(),
})

export function printPod(facts: PodFacts): string {
  return JSON.stringify(facts)
}

/** @returns undefined for anything but a whole pod of `cluster` */
export function parsePod(json: string, cluster: string): PodFacts | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // not JSON is one of the things that are no pod
    return undefined
  }
  const result = pod.safeParse(value)
  return result.success && result.data.cluster === cluster ? result.data : undefined
}

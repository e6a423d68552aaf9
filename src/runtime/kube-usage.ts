/** What containers use, from metrics.k8s.io (metrics-server and its kin), where a cluster has it. */
import { z } from 'zod'
import { toOpsError } from '../core/errors.js'
import type { ContainerUsage, Target, UsageReport } from '../core/types.js'
import { quantity } from '../core/units.js'
import type { KubeApi } from './kube-api.js'
import { readLimited } from './read-limited.js'

/** Of one namespace; a pod takes about 400 bytes. */
const ANSWER_BYTES = 32 * 1024 * 1024

const podMetrics = z.object({
  metadata: z.object({ name: z.string() }),
  containers: z.array(z.object({ name: z.string(), usage: z.object({ cpu: z.string().optional(), memory: z.string().optional() }) })),
})
const listSchema = z.object({ items: z.array(podMetrics) })

/** One question for each namespace. Clusters without it answer 404, which is one problem and no failure. */
export async function kubeUsage(api: KubeApi, targets: readonly Target[], signal: AbortSignal): Promise<UsageReport> {
  const usage = new Map<string, ContainerUsage>()
  const problems = new Set<string>()
  const namespaces = new Set(targets.map(({ namespace }) => namespace))
  await Promise.all(
    [...namespaces].map(async (namespace) => {
      try {
        const known = await ofNamespace(api, namespace, signal)
        for (const target of targets) {
          const one = target.namespace === namespace ? known.get(`${target.pod}/${target.container}`) : undefined
          if (one) usage.set(target.containerId, one)
        }
      } catch (error) {
        signal.throwIfAborted()
        problems.add(error instanceof NoMetrics ? `cluster ${api.name}: ${error.message}` : `cluster ${api.name}: ${toOpsError(error).userText}`)
      }
    }),
  )
  return { usage, problems: [...problems] }
}

class NoMetrics extends Error {}

async function ofNamespace(api: KubeApi, namespace: string, signal: AbortSignal): Promise<Map<string, ContainerUsage>> {
  const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/pods`
  const answer = await api.stream(path, new URLSearchParams(), signal)
  const body = await readLimited(answer, ANSWER_BYTES)
  if (answer.statusCode === 404) throw new NoMetrics('it has no metrics.k8s.io, so what is used is not known')
  if (answer.statusCode !== 200) throw new NoMetrics(`metrics.k8s.io answered ${answer.statusCode}`)
  const { items } = listSchema.parse(JSON.parse(body))
  const known = new Map<string, ContainerUsage>()
  for (const { metadata, containers } of items) {
    for (const { name, usage } of containers) {
      const [cpu, memory] = [quantity(usage.cpu), quantity(usage.memory)]
      known.set(`${metadata.name}/${name}`, {
        ...(cpu !== undefined && { cpuMillis: Math.round(cpu * 1000) }),
        ...(memory !== undefined && { memoryBytes: Math.round(memory) }),
      })
    }
  }
  return known
}

/** What pods use: the inventories know limits, restarts and ends, the executors what is used now. */
import type { ContainerUsage, Identity, Policy, Target, UsageReport } from '../core/types.js'
import { quantity } from '../core/units.js'
import { targetOf } from '../target/container-choice.js'
import type { ContainerFacts, PodFacts } from '../target/inventory.js'
import type { TopAnswer, TopItem } from '../wire/api/top.js'
import type { Cluster } from './clusters.js'

export interface PodName {
  readonly cluster: string
  readonly namespace: string
  readonly pod: string
}
/** Asked of every cluster at once; one that is slower is a problem of the answer. */
const LIMIT_MS = 10_000

/** @returns of the pods that were named, what the identity may see */
export function podUsage(clusters: ReadonlyMap<string, Cluster>, policy: Policy) {
  return async (identity: Identity, names: readonly PodName[], signal: AbortSignal): Promise<TopAnswer> => {
    const pods = names.flatMap(({ cluster, namespace, pod }) => clusters.get(cluster)?.inventory.find.byNamespacedName(namespace, pod) ?? [])
    const seen = pods.map((pod) => ({ pod, containers: seenContainers(pod, identity, policy) })).filter(({ containers }) => containers.length > 0)
    const targets = seen.flatMap(({ pod, containers }) => containers.filter(({ running }) => running).map((container) => targetOf(pod, container)))
    const { usage, problems } = await usageOf(clusters, targets, signal)
    return { items: seen.map(({ pod, containers }) => itemOf(pod, containers, usage)), problems: [...problems] }
  }
}

function seenContainers(pod: PodFacts, identity: Identity, policy: Policy): readonly ContainerFacts[] {
  return pod.containers.filter(
    (container) => (container.kind === 'app' || container.running) && policy.decide({ kind: 'see', identity, target: targetOf(pod, container) }).allow,
  )
}

async function usageOf(clusters: ReadonlyMap<string, Cluster>, targets: readonly Target[], signal: AbortSignal): Promise<UsageReport> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])
  const reports = await Promise.all(
    [...new Set(targets.map(({ cluster }) => cluster))].map(async (name): Promise<UsageReport> => {
      const executor = clusters.get(name)?.executor
      if (!executor?.usage) return { usage: new Map(), problems: [`cluster ${name}: what its pods use is not known there`] }
      try {
        const own = targets.filter(({ cluster }) => cluster === name)
        return await executor.usage(own, within)
      } catch (error) {
        signal.throwIfAborted()
        return { usage: new Map(), problems: [`cluster ${name}: ${within.aborted ? `no answer in ${LIMIT_MS / 1000} s` : String(error)}`] }
      }
    }),
  )
  return { usage: new Map(reports.flatMap(({ usage }) => [...usage])), problems: reports.flatMap(({ problems }) => problems) }
}

function itemOf(pod: PodFacts, containers: readonly ContainerFacts[], usage: ReadonlyMap<string, ContainerUsage>): TopItem {
  return {
    cluster: pod.cluster,
    namespace: pod.namespace,
    pod: pod.name,
    node: pod.node,
    ready: pod.ready && pod.deletedMs === undefined,
    containers: containers.map((container) => containerOf(container, usage.get(container.containerId))),
  }
}

function containerOf({ name, state, restarts, lastEnd, limits }: ContainerFacts, usage: ContainerUsage = {}): TopItem['containers'][number] {
  const cpu = quantity(limits?.cpu)
  const memory = quantity(limits?.memory)
  return {
    name,
    state,
    ...usage,
    ...(cpu !== undefined && { cpuLimitMillis: Math.round(cpu * 1000) }),
    ...(memory !== undefined && { memoryLimitBytes: Math.round(memory) }),
    ...(restarts !== undefined && { restarts }),
    ...(lastEnd && { lastEnd: { reason: lastEnd.reason, exitCode: lastEnd.exitCode, at: new Date(lastEnd.atMs).toISOString() } }),
  }
}

/** What the readings of an address stand for among the pods that one person may see. */
import type { Address, AddressReading } from './address.js'
import type { Inventory, PodFacts } from './inventory.js'
import { compare } from './pod-index.js'

/** One thing that an address may mean: a pod, or the pods of a workload or pod set in one namespace. */
export interface Candidate {
  readonly kind: 'pod' | 'ip' | 'workload' | 'set'
  readonly cluster: string
  readonly namespace: string
  /** What was typed for POD. */
  readonly text: string
  /** "deployment", "statefulset"; for `workload` only. */
  readonly workload?: string
  /** Never empty. */
  readonly pods: readonly PodFacts[]
  /** Whether the reading named pod, namespace and cluster. */
  readonly complete: boolean
}

/**
 * All candidates, sorted; empty when there are none.
 * Within one namespace a pod's own name comes before an IP, a workload and a pod set, so that what a refusal lists can be typed.
 * A complete reading comes before every other, for the same reason: there is no longer form to tell them apart.
 */
export function candidatesOf(address: Address, inventories: readonly Inventory[], maySee: (pod: PodFacts) => boolean): readonly Candidate[] {
  const found = address.readings.flatMap((reading) => inventories.flatMap((inventory) => ofReading(reading, inventory, maySee)))
  const complete = found.filter((candidate) => candidate.complete)
  const candidates = complete.length > 0 ? complete : found
  return candidates.sort((a, b) => compare(a.cluster, b.cluster) || compare(a.namespace, b.namespace) || compare(a.text, b.text))
}

function ofReading(reading: AddressReading, inventory: Inventory, maySee: (pod: PodFacts) => boolean): Candidate[] {
  if (reading.cluster !== undefined && reading.cluster !== inventory.cluster) return []
  const complete = reading.cluster !== undefined
  const byNamespace = new Map<string, Candidate[]>()
  for (const lookup of LOOKUPS) {
    const pods = lookup.find(inventory, reading.pod).filter((pod) => reading.namespace === undefined || pod.namespace === reading.namespace)
    for (const [namespace, group] of groupBy(pods.filter(maySee), (pod) => pod.namespace)) {
      if (byNamespace.has(namespace)) continue
      const base = { kind: lookup.kind, cluster: inventory.cluster, namespace, text: reading.pod, complete }
      byNamespace.set(namespace, lookup.split(base, group))
    }
  }
  return [...byNamespace.values()].flat()
}

type Base = Omit<Candidate, 'pods'>
interface Lookup {
  readonly kind: Candidate['kind']
  readonly find: (inventory: Inventory, text: string) => readonly PodFacts[]
  /** The pods that one namespace holds -> candidates. */
  readonly split: (base: Base, pods: readonly PodFacts[]) => Candidate[]
}
const eachPod: Lookup['split'] = (base, pods) => pods.map((pod) => ({ ...base, pods: [pod] }))
/** In order of precedence within a namespace. */
const LOOKUPS: readonly Lookup[] = [
  { kind: 'pod', find: (inventory, text) => inventory.find.byName(text), split: eachPod },
  // Pods on the host's network share its IP.
  { kind: 'ip', find: (inventory, text) => inventory.find.byIp(text), split: eachPod },
  { kind: 'workload', find: (inventory, text) => inventory.find.byWorkload(text), split: eachWorkload },
  { kind: 'set', find: (inventory, text) => inventory.find.bySetId(text), split: (base, pods) => [{ ...base, pods }] },
]

function eachWorkload(base: Base, pods: readonly PodFacts[]): Candidate[] {
  const kindOf = (pod: PodFacts) => pod.workloads.find((owner) => owner.name === base.text)?.kind ?? ''
  return [...groupBy(pods, kindOf)].map(([kind, group]) => ({ ...base, workload: kind.toLowerCase(), pods: group }))
}

function groupBy<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const value of values) {
    const group = groups.get(key(value))
    if (group) group.push(value)
    else groups.set(key(value), [value])
  }
  return groups
}

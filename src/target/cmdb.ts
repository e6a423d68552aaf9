/** From what the resource manager says to pods that exist here and that the asker may see. */
import { isIP } from 'node:net'
import type { Identity, Target } from '../core/types.js'
import type { CmdbPod, RmPod } from '../wire/api/resource-manager.js'
import { enterable, fullAddress, stateOf, targetOf } from './container-choice.js'
import type { Inventory, PodFacts } from './inventory.js'
import { compare } from './pod-index.js'
import type { ResourceManager } from './resource-manager.js'
import { limitsOf } from './rm-embedded.js'

export interface CmdbParts {
  readonly manager: ResourceManager
  readonly inventories: readonly Inventory[]
  /** `policy.decide({ kind: 'see', … }).allow` */
  readonly maySee: (identity: Identity, target: Target) => boolean
}

export class Cmdb {
  readonly #parts: CmdbParts

  constructor(parts: CmdbParts) {
    this.#parts = parts
  }

  /** Who answers. */
  get source(): string {
    return this.#parts.manager.name
  }

  /**
   * The pods that `text` stands for: a pod IP, else a node IP; else a subsystem or its id, a pod name, a pod-set id.
   * @param dcns only these; all when empty
   * @throws OpsError TARGET_UNREACHABLE when the resource manager is away
   */
  async query(identity: Identity, text: string, dcns: readonly string[], signal: AbortSignal): Promise<readonly CmdbPod[]> {
    const wanted = new Set(dcns.map((dcn) => dcn.toUpperCase()))
    for (const ask of this.#questions(text)) {
      const records = await ask(signal)
      if (records.length === 0) continue
      const pods = this.visible(identity, records).filter(({ dcn }) => wanted.size === 0 || wanted.has(dcn.toUpperCase()))
      return pods.sort(byPlace)
    }
    return []
  }

  #questions(text: string): readonly ((signal: AbortSignal) => Promise<readonly RmPod[]>)[] {
    const { manager } = this.#parts
    if (isIP(text) !== 0) return [(signal) => manager.byPodIp(text, signal), (signal) => manager.byHostIp(text, signal)]
    return [(signal) => manager.bySubsystem(text, undefined, signal), (signal) => manager.byPodName(text, signal), (signal) => manager.byPodSetId(text, signal)]
  }

  /** A record is worth as much as the pod behind it: one that no inventory knows, or that may not be seen, is left out. */
  visible(identity: Identity, records: readonly RmPod[]): CmdbPod[] {
    return records.flatMap((record) =>
      this.#podsOf(record)
        .filter((pod) => this.#sees(identity, pod))
        .map((pod) => row(record, pod)),
    )
  }

  /** Whether any pod of a node may be seen: its cluster is then no secret. */
  seesHost(identity: Identity, hostIp: string): boolean {
    return this.#parts.inventories.some((inventory) => [...inventory.pods()].some((pod) => pod.hostIp === hostIp && this.#sees(identity, pod)))
  }

  #sees(identity: Identity, pod: PodFacts): boolean {
    return enterable(pod).some((container) => this.#parts.maySee(identity, targetOf(pod, container)))
  }

  /** The same name in another namespace, cluster or at another address is another pod. Cluster ids of a foreign manager are not our names. */
  #podsOf(record: RmPod): PodFacts[] {
    const named = this.#parts.inventories.filter(({ cluster }) => cluster === record.clusterId)
    const inventories = named.length > 0 ? named : this.#parts.inventories
    return inventories
      .flatMap((inventory) => inventory.find.byName(record.podName))
      .filter((pod) => record.namespace === '' || pod.namespace === record.namespace.toLowerCase())
      .filter((pod) => record.podIp === '' || pod.ip === '' || pod.ip === record.podIp)
  }
}

function row(record: RmPod, pod: PodFacts): CmdbPod {
  const [first] = enterable(pod)
  const limits = limitsOf(pod)
  return {
    target: fullAddress(pod),
    pod: pod.name,
    namespace: pod.namespace,
    cluster: pod.cluster,
    subsystem: record.subSystem,
    subsystemId: record.subSystemId,
    dcn: record.dcn,
    podIp: pod.ip,
    hostIp: pod.hostIp,
    node: pod.node,
    state: first ? stateOf(pod, first) : pod.phase,
    ready: pod.ready,
    cpu: record.cpu || limits.cpu,
    mem: record.mem || limits.mem,
  }
}

function byPlace(a: CmdbPod, b: CmdbPod): number {
  return (
    compare(a.subsystem, b.subsystem) || compare(a.dcn, b.dcn) || compare(a.cluster, b.cluster) || compare(a.namespace, b.namespace) || compare(a.pod, b.pod)
  )
}

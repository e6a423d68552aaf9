/** The embedded resource manager: the answers of Dockin-rm, read off the labels of the pods that this gateway follows. */
import type { RmPod } from '../wire/api/resource-manager.js'
import type { Inventory, PodFacts } from './inventory.js'
import type { ResourceManager } from './resource-manager.js'

/** Labels that hold what the resource manager knows. */
export interface RmLabels {
  readonly subsystem: string
  readonly subsystemId: string
  readonly dcn: string
}
export const DEFAULT_RM_LABELS: RmLabels = { subsystem: 'subsystem', subsystemId: 'subsystem-id', dcn: 'dcn' }

export class EmbeddedResourceManager implements ResourceManager {
  readonly name = 'embedded'
  readonly #inventories: readonly Inventory[]
  readonly #labels: RmLabels

  constructor(inventories: readonly Inventory[], labels: RmLabels = DEFAULT_RM_LABELS) {
    this.#inventories = inventories
    this.#labels = labels
  }

  async byPodName(podName: string): Promise<readonly RmPod[]> {
    return this.#found((inventory) => inventory.find.byName(podName))
  }
  async byPodIp(podIp: string): Promise<readonly RmPod[]> {
    return podIp === '' ? [] : this.#found((inventory) => inventory.find.byIp(podIp))
  }
  async byHostIp(hostIp: string): Promise<readonly RmPod[]> {
    return hostIp === '' ? [] : this.#where((pod) => pod.hostIp === hostIp)
  }
  /** Names without regard to case: the original prints subsystems in small letters and DCNs in capitals. */
  async bySubsystem(subsystem: string, dcn: string | undefined): Promise<readonly RmPod[]> {
    const [name, wanted] = [subsystem.toLowerCase(), dcn?.toUpperCase()]
    return this.#where(({ labels }) => {
      const own = labels[this.#labels.subsystem]?.toLowerCase()
      if (name !== '' && own !== name && labels[this.#labels.subsystemId] !== subsystem) return false
      return wanted === undefined || labels[this.#labels.dcn]?.toUpperCase() === wanted
    })
  }
  async byPodSetId(podSetId: string): Promise<readonly RmPod[]> {
    return podSetId === '' ? [] : this.#found((inventory) => inventory.find.bySetId(podSetId))
  }
  async byPodNames(podNames: readonly string[]): Promise<readonly RmPod[]> {
    return [...new Set(podNames)].flatMap((name) => this.#found((inventory) => inventory.find.byName(name)))
  }
  async clusterIdOf(hostIp: string): Promise<string | undefined> {
    return this.#inventories.find((inventory) => [...inventory.pods()].some((pod) => pod.hostIp === hostIp && hostIp !== ''))?.cluster
  }
  close(): void {}

  #found(find: (inventory: Inventory) => readonly PodFacts[]): RmPod[] {
    return this.#inventories.flatMap((inventory) => find(inventory).map((pod) => this.#record(pod)))
  }
  #where(matches: (pod: PodFacts) => boolean): RmPod[] {
    return this.#found((inventory) => inventory.find.sorted().filter(matches))
  }

  #record(pod: PodFacts): RmPod {
    const { subsystem, subsystemId, dcn } = this.#labels
    const { cpu, mem } = limitsOf(pod)
    return {
      podName: pod.name,
      podSetId: pod.setId ?? '',
      subSystem: pod.labels[subsystem] ?? '',
      subSystemId: pod.labels[subsystemId] ?? '',
      dcn: pod.labels[dcn] ?? '',
      podIp: pod.ip,
      hostIp: pod.hostIp,
      namespace: pod.namespace,
      clusterId: pod.cluster,
      cpu,
      mem,
      type: '',
      state: pod.reason ?? pod.phase,
      status: pod.phase === 'Succeeded' || pod.phase === 'Failed' ? 'RELEASED' : 'ALLOCATED',
    }
  }
}

/** The limits of the only container that has some; of several, each in the pod's order: "500m,1". */
export function limitsOf(pod: PodFacts): { readonly cpu: string; readonly mem: string } {
  const of = (kind: 'cpu' | 'memory') =>
    pod.containers
      .map(({ limits }) => limits?.[kind])
      .filter((limit) => limit !== undefined)
      .join(',')
  return { cpu: of('cpu'), mem: of('memory') }
}

/** Pods that exist only as names in the config: shells on this machine, for the demo and for tests. */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type { Target } from '../core/types.js'
import type { Inventory, InventoryStatus, PodChange, PodFacts, PodLookup } from './inventory.js'
import { PodIndex } from './pod-index.js'

export interface StaticInventoryOptions {
  /** Name in the config; part of every target. */
  readonly cluster: string
  /** Names of the pods. */
  readonly pods: readonly string[]
  /** Labels of all of them, for rules. Default: app = the name without its number, "web-0" -> "web". */
  readonly labels?: (pod: string) => Readonly<Record<string, string>>
  /** Default: the host's name. */
  readonly node?: string
}

/** Namespace "default", container "shell", containerId "local://NAME"; a uid is the same in every run. */
export class StaticInventory implements Inventory {
  readonly cluster: string
  readonly find: PodLookup
  readonly #index = new PodIndex()

  constructor(options: StaticInventoryOptions) {
    this.cluster = options.cluster
    this.find = this.#index
    for (const name of new Set(options.pods)) this.#index.set(staticPod(name, options))
  }

  pods(): Iterable<PodFacts> {
    return this.#index.all()
  }
  status(): InventoryStatus {
    return { synced: true, pods: this.#index.size }
  }
  async ready(): Promise<void> {}
  isCurrent(target: Target): boolean {
    return target.cluster === this.cluster && this.#index.isCurrent(target)
  }
  onChange(listener: (change: PodChange) => void): () => void {
    return this.#index.onChange(listener)
  }
  onGone(uid: string, callback: () => void): () => void {
    return this.#index.onGone(uid, callback)
  }
  start(): void {}
  async close(): Promise<void> {}
}

function staticPod(name: string, options: StaticInventoryOptions): PodFacts {
  return {
    cluster: options.cluster,
    namespace: 'default',
    name,
    uid: stableUid(`${options.cluster}/default/${name}`),
    ip: '',
    node: options.node ?? hostname(),
    hostIp: '',
    phase: 'Running',
    ready: true,
    containers: [{ name: 'shell', kind: 'app', containerId: `local://${name}`, running: true, ready: true, state: 'Running' }],
    labels: options.labels?.(name) ?? { app: name.replace(/-\d+$/, '') },
    workloads: [],
    createdMs: 0,
  }
}

/** In the shape of a UUID (RFC 9562 version 8, "custom"), from the name alone. */
function stableUid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

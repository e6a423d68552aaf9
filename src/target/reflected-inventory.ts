/** An Inventory kept by reflectors: what Kubernetes and docker inventories have in common. */
import { OpsError, toOpsError } from '../core/errors.js'
import type { Target } from '../core/types.js'
import type { Inventory, InventoryStatus, PodChange, PodFacts, PodLookup } from './inventory.js'
import type { PodIndex } from './pod-index.js'
import { raced } from './raced.js'
import type { Reflector, ReflectorStatus } from './reflector.js'

export interface ReflectedParts {
  readonly cluster: string
  readonly index: PodIndex
  readonly reflectors: readonly Reflector[]
  /** Called once, after the reflectors have stopped. */
  readonly release?: () => void
}

export class ReflectedInventory implements Inventory {
  readonly cluster: string
  readonly find: PodLookup
  readonly #parts: ReflectedParts
  readonly #closing = new AbortController()
  #running: Promise<unknown> = Promise.resolve()
  #started = false
  #closed: Promise<void> | undefined

  constructor(parts: ReflectedParts) {
    this.cluster = parts.cluster
    this.find = parts.index
    this.#parts = parts
  }

  pods(): Iterable<PodFacts> {
    return this.find.all()
  }
  isCurrent(target: Target): boolean {
    return target.cluster === this.cluster && this.#parts.index.isCurrent(target)
  }
  onChange(listener: (change: PodChange) => void): () => void {
    return this.#parts.index.onChange(listener)
  }
  onGone(uid: string, callback: () => void): () => void {
    return this.#parts.index.onGone(uid, callback)
  }

  seed(pods: readonly PodFacts[]): void {
    if (this.status().synced) return
    for (const pod of pods) if (pod.cluster === this.cluster && !this.find.byUid(pod.uid)) this.#parts.index.set(pod)
  }

  status(): InventoryStatus {
    const all = this.#parts.reflectors.map((reflector) => reflector.status())
    const error = all.find((one) => one.lastError !== undefined)?.lastError
    return {
      synced: all.every((one) => one.synced),
      pods: this.find.size,
      ...earliest(all, 'lastSyncMs'),
      ...earliest(all, 'staleSinceMs'),
      ...(error === undefined ? {} : { lastError: error }),
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    try {
      const first = Promise.all(this.#parts.reflectors.map((reflector) => reflector.firstList))
      await raced(first, AbortSignal.any([signal, this.#closing.signal]))
    } catch (thrown) {
      throw this.#unreachable(this.status().lastError ?? toOpsError(thrown).message)
    }
    const { staleSinceMs, lastError } = this.status()
    if (staleSinceMs !== undefined) throw this.#unreachable(`stale since ${new Date(staleSinceMs).toISOString()}: ${lastError}`)
  }

  start(signal: AbortSignal): void {
    if (this.#started || this.#closed) return
    this.#started = true
    const both = AbortSignal.any([signal, this.#closing.signal])
    this.#running = Promise.all(this.#parts.reflectors.map((reflector) => reflector.run(both)))
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new OpsError('DRAINING', `close inventory of ${this.cluster}`))
    await this.#running
    this.#parts.release?.()
  }

  #unreachable(why: string): OpsError {
    return new OpsError('TARGET_UNREACHABLE', `read pods of ${this.cluster}: ${why}`, { detail: `cluster ${this.cluster}` })
  }
}

function earliest<K extends 'lastSyncMs' | 'staleSinceMs'>(all: readonly ReflectorStatus[], key: K): { readonly [P in K]?: number } {
  const times = all.map((one) => one[key]).filter((ms) => ms !== undefined)
  return times.length === 0 ? {} : ({ [key]: Math.min(...times) } as { readonly [P in K]?: number })
}

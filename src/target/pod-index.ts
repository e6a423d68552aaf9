/** The pods of one cluster in memory, with an index for everything that an address may name. */
import type { Target } from '../core/types.js'
import type { PodChange, PodFacts, PodLookup } from './inventory.js'

/** Finished pods keep their IP in status.podIP although it belongs to others now. */
const FINISHED: ReadonlySet<string> = new Set(['Succeeded', 'Failed'])

/** One text -> the pods it stands for. Empty entries are removed, so it is never larger than the pods it holds. */
class TextIndex {
  readonly #entries = new Map<string, Set<PodFacts>>()

  add(key: string, pod: PodFacts): void {
    const pods = this.#entries.get(key)
    if (pods) pods.add(pod)
    else this.#entries.set(key, new Set([pod]))
  }

  remove(key: string, pod: PodFacts): void {
    const pods = this.#entries.get(key)
    if (!pods) return
    pods.delete(pod)
    if (pods.size === 0) this.#entries.delete(key)
  }

  get(key: string): readonly PodFacts[] {
    const pods = this.#entries.get(key)
    return pods ? [...pods] : []
  }
}

/** Writable side of a PodLookup: an inventory owns one, and tells who listens. */
export class PodIndex implements PodLookup {
  readonly #byUid = new Map<string, PodFacts>()
  readonly #byNamespacedName = new Map<string, PodFacts>()
  readonly #names = new TextIndex()
  readonly #ips = new TextIndex()
  readonly #workloads = new TextIndex()
  readonly #setIds = new TextIndex()
  readonly #listeners = new Set<(change: PodChange) => void>()
  readonly #goneListeners = new Map<string, Set<() => void>>()
  #version = 0
  #sorted: readonly PodFacts[] | undefined

  get version(): number {
    return this.#version
  }
  get size(): number {
    return this.#byUid.size
  }
  all(): Iterable<PodFacts> {
    return this.#byUid.values()
  }
  sorted(): readonly PodFacts[] {
    this.#sorted ??= [...this.#byUid.values()].sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name))
    return this.#sorted
  }
  byName(name: string): readonly PodFacts[] {
    return this.#names.get(name)
  }
  byNamespacedName(namespace: string, name: string): PodFacts | undefined {
    return this.#byNamespacedName.get(keyOf({ namespace, name }))
  }
  byUid(uid: string): PodFacts | undefined {
    return this.#byUid.get(uid)
  }
  byIp(ip: string): readonly PodFacts[] {
    return this.#ips.get(ip)
  }
  byWorkload(name: string): readonly PodFacts[] {
    return this.#workloads.get(name)
  }
  bySetId(setId: string): readonly PodFacts[] {
    return this.#setIds.get(setId)
  }

  /** Adds a pod or replaces what was known of it. A pod of the same name and another uid is gone. */
  set(pod: PodFacts): void {
    const namesake = this.#byNamespacedName.get(keyOf(pod))
    if (namesake && namesake.uid !== pod.uid) this.deleteUid(namesake.uid)
    const before = this.#byUid.get(pod.uid)
    if (before) this.#unlink(before)
    this.#link(pod)
    this.#changed({ kind: before ? 'changed' : 'added', pod })
  }

  /** Removes a pod; a uid that is not known is nothing. */
  deleteUid(uid: string): void {
    const pod = this.#byUid.get(uid)
    if (!pod) return
    this.#unlink(pod)
    this.#changed({ kind: 'gone', pod })
    const callbacks = this.#goneListeners.get(uid)
    this.#goneListeners.delete(uid)
    for (const callback of callbacks ?? []) callback()
  }

  /** See Inventory.isCurrent. */
  isCurrent(target: Target): boolean {
    const pod = this.#byUid.get(target.uid)
    if (!pod || pod.name !== target.pod || pod.namespace !== target.namespace) return false
    return pod.containers.some((container) => container.name === target.container && container.containerId === target.containerId && container.running)
  }

  /** See Inventory.onChange. */
  onChange(listener: (change: PodChange) => void): () => void {
    // Wrapped, so that one function given twice is two listeners.
    const entry = (change: PodChange) => listener(change)
    this.#listeners.add(entry)
    return () => {
      this.#listeners.delete(entry)
    }
  }

  /** See Inventory.onGone. */
  onGone(uid: string, callback: () => void): () => void {
    let wanted = true
    const once = () => {
      if (wanted) callback()
      wanted = false
    }
    const stop = () => {
      wanted = false
      const callbacks = this.#goneListeners.get(uid)
      callbacks?.delete(once)
      if (callbacks?.size === 0) this.#goneListeners.delete(uid)
    }
    // Not at once: the caller does not hold `stop` yet.
    if (!this.#byUid.has(uid)) queueMicrotask(once)
    else {
      const callbacks = this.#goneListeners.get(uid)
      if (callbacks) callbacks.add(once)
      else this.#goneListeners.set(uid, new Set([once]))
    }
    return stop
  }

  #link(pod: PodFacts): void {
    this.#byUid.set(pod.uid, pod)
    this.#byNamespacedName.set(keyOf(pod), pod)
    for (const [index, key] of this.#keysOf(pod)) index.add(key, pod)
  }

  #unlink(pod: PodFacts): void {
    this.#byUid.delete(pod.uid)
    this.#byNamespacedName.delete(keyOf(pod))
    for (const [index, key] of this.#keysOf(pod)) index.remove(key, pod)
  }

  *#keysOf(pod: PodFacts): Generator<readonly [TextIndex, string]> {
    yield [this.#names, pod.name]
    if (pod.ip !== '' && !FINISHED.has(pod.phase)) yield [this.#ips, pod.ip]
    for (const owner of pod.workloads) yield [this.#workloads, owner.name]
    if (pod.setId !== undefined) yield [this.#setIds, pod.setId]
  }

  #changed(change: PodChange): void {
    this.#version++
    this.#sorted = undefined
    for (const listener of this.#listeners) listener(change)
  }
}

/** Neither name can hold a "/". */
function keyOf(pod: { readonly namespace: string; readonly name: string }): string {
  return `${pod.namespace}/${pod.name}`
}

/** Code unit order: the same on every machine, and quick. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

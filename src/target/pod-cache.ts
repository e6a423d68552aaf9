/** Keeps the shared cache of one cluster's pods as its inventory is, while this gateway holds the writer's lease. */
import type { Logger } from '../core/log.js'
import type { Inventory, PodChange, PodFacts } from './inventory.js'
import { parsePod, printPod } from './pod-json.js'

/** What the store does for it; store/pod-cache-redis.ts. */
export interface PodCacheStore {
  readonly leaseMs: number
  readonly expireMs: number
  lead(): Promise<'taken' | 'kept' | false>
  resign(): Promise<void>
  load(): Promise<readonly CacheRow[]>
  write(changes: readonly CacheChange[]): Promise<boolean>
  refresh(): Promise<void>
}
interface CacheRow {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly json: string
}
interface CacheChange extends CacheRow {
  readonly kind: PodChange['kind']
  readonly atMs: number
}

export interface PodCacheParts {
  readonly inventory: Inventory
  readonly store: PodCacheStore
  readonly log: Logger
  readonly now?: () => number
}

/** Renewals within one lease: two may fail before another gateway takes over. */
const RENEWALS = 3
/** Changes that come within this are one round trip. */
const GATHER_MS = 20

export class PodCache {
  readonly #parts: PodCacheParts
  readonly #now: () => number
  /** What the store holds, by uid; undefined while it is not known, and then everything is compared anew. */
  #written: Map<string, CacheRow> | undefined
  #waiting = new Map<string, CacheChange>()
  #isLeading = false
  #timer: NodeJS.Timeout | undefined
  #flushTimer: NodeJS.Timeout | undefined
  #refreshedMs = 0
  #work: Promise<void> = Promise.resolve()
  #stop: (() => void) | undefined
  #trouble: string | undefined

  constructor(parts: PodCacheParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
  }

  get isLeading(): boolean {
    return this.#isLeading
  }

  /** Gives the inventory what the cache knows. @returns how many pods; 0 for an empty cache, and for one that does not answer */
  async warm(): Promise<number> {
    const { inventory, store, log } = this.#parts
    try {
      const pods = (await store.load()).flatMap(({ json }) => parsePod(json, inventory.cluster) ?? [])
      inventory.seed?.(pods)
      return pods.length
    } catch (error) {
      log.warn({ cluster: inventory.cluster, reason: reasonOf(error) }, 'pod-cache.cold')
      return 0
    }
  }

  /** From now on the cache follows the inventory, whenever this gateway is the writer. */
  start(): void {
    if (this.#stop) return
    this.#stop = this.#parts.inventory.onChange((change) => this.#take(change))
    const { leaseMs } = this.#parts.store
    this.#timer = setInterval(() => this.#then(() => this.#turn()), leaseMs / RENEWALS).unref()
    this.#then(() => this.#turn())
  }

  /** Lets another gateway write. May be called twice. */
  async close(): Promise<void> {
    this.#stop?.()
    clearInterval(this.#timer)
    clearTimeout(this.#flushTimer)
    await this.#work
    if (!this.#isLeading) return
    this.#isLeading = false
    await this.#parts.store.resign().catch(() => undefined) // the lease runs out by itself
  }

  #take({ kind, pod }: PodChange): void {
    if (!this.#isLeading || !this.#written) return
    this.#note(kind, pod)
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined
      this.#then(() => this.#flush())
    }, GATHER_MS).unref()
  }

  /** The last word on a pod counts; a list that says what is known already says nothing. */
  #note(kind: PodChange['kind'], pod: PodFacts): void {
    const json = printPod(pod)
    const before = this.#written?.get(pod.uid)
    if (kind === 'gone' ? !before && !this.#waiting.has(pod.uid) : before?.json === json) {
      this.#waiting.delete(pod.uid)
      return
    }
    const told = kind === 'gone' ? 'gone' : before ? 'changed' : 'added'
    const { namespace, name, uid } = pod
    this.#waiting.set(uid, { kind: told, atMs: this.#now(), namespace, name, uid, json })
  }

  /** One step at a time, in order; a failure is told once and tried again with the next renewal. */
  #then(step: () => Promise<void>): void {
    this.#work = this.#work.then(step).then(
      () => {
        this.#trouble = undefined
      },
      (error: unknown) => {
        this.#written = undefined
        const reason = reasonOf(error)
        if (reason !== this.#trouble) this.#parts.log.warn({ cluster: this.#parts.inventory.cluster, reason }, 'pod-cache.failed')
        this.#trouble = reason
      },
    )
  }

  async #turn(): Promise<void> {
    const { store, inventory, log } = this.#parts
    const wasLeading = this.#isLeading
    const lease = await store.lead()
    this.#isLeading = lease !== false
    if (lease === 'taken') this.#forget()
    if (this.#isLeading !== wasLeading) log.info({ cluster: inventory.cluster, leads: this.#isLeading }, 'pod-cache.lease')
    if (!this.#isLeading) {
      this.#forget()
      return
    }
    // a list that is not whole would make everything else look gone
    if (!inventory.status().synced) return
    if (!this.#written) await this.#compare()
    await this.#flush()
    if (this.#now() - this.#refreshedMs < store.expireMs / RENEWALS) return
    this.#refreshedMs = this.#now()
    await store.refresh()
  }

  /** What another writer left, or what was missed while Redis was away, is brought up to the inventory. */
  async #compare(): Promise<void> {
    const { store, inventory } = this.#parts
    const rows = await store.load()
    this.#written = new Map(rows.map((row) => [row.uid, row]))
    this.#waiting = new Map()
    for (const pod of inventory.pods()) this.#note('changed', pod)
    for (const row of rows) if (!inventory.find.byUid(row.uid)) this.#waiting.set(row.uid, { ...row, kind: 'gone', atMs: this.#now() })
  }

  async #flush(): Promise<void> {
    const written = this.#written
    if (!this.#isLeading || !written || this.#waiting.size === 0) return
    const changes = [...this.#waiting.values()]
    this.#waiting = new Map()
    if (!(await this.#parts.store.write(changes))) {
      this.#isLeading = false
      this.#forget()
      return
    }
    for (const { kind, ...row } of changes) {
      if (kind === 'gone') written.delete(row.uid)
      else written.set(row.uid, row)
    }
  }

  #forget(): void {
    this.#written = undefined
    this.#waiting = new Map()
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

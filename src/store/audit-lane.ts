/**
 * One store's way through the log: appends events in order, one batch at a time, and after a failure finds out what the store
 * holds and goes on from there.
 *
 *   ready  --append fails, or is silent for patienceMs-->  behind
 *   behind --asked what it holds, back-filled, in step-->  ready
 *   behind --it holds events that are not ours-->          forked   (for good: a person must look)
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditEvent, AuditStore, StoredEvent } from '../core/types.js'

/** An AuditStore that may also tell what opening it brought to light (a torn line). */
export interface LogStore extends AuditStore {
  found?(): readonly AuditEvent[]
  /** Whether a signed head should come next: a file is full and ends with one. */
  wantsCheckpoint?(): boolean
  /** Forgets events up to this number, which a tombstone stands for. */
  removeThrough?(seq: number): Promise<void>
}

export type LaneState = 'ready' | 'behind' | 'forked'

/** What a lane needs of the log. */
export interface LaneHost {
  readonly patienceMs: number
  /** The number of the newest event. */
  head(): number
  /** Events after `seq` that are still in memory, a batch at most; undefined when they no longer begin there. */
  window(seq: number): readonly StoredEvent[] | undefined
  /** The number of the oldest event in memory; the next one to come when there is none. */
  oldest(): number
  /** Whether `event` is the one of our chain; undefined when nobody can tell now. */
  isOurs(event: StoredEvent, lane: AuditLane): Promise<boolean | undefined>
  /** Events after `seq` from where else they rest. @throws while somebody who may hold them cannot be asked */
  backfill(seq: number, lane: AuditLane): AsyncIterable<StoredEvent>
  /** `lane` holds more, or has changed its state. */
  progressed(lane: AuditLane, before: LaneState): void
  /** Events between `from` and `to` rest nowhere any more. */
  lost(lane: AuditLane, from: number, to: number): void
  found(events: readonly AuditEvent[]): void
}

const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 2000
const BACKFILL_EVENTS = 1000

export class AuditLane {
  readonly store: LogStore
  /** Events up to this number rest in the store. */
  acked: number
  reason: string | undefined
  readonly #host: LaneHost
  readonly #stop = new AbortController()
  #state: LaneState
  #running: Promise<void> | undefined
  /** Hash of event `acked`, once this lane has seen it. */
  #ackedHash: string | undefined
  readonly #floor: number
  #asked: boolean
  /** An append failed, or none was made yet: only the store knows what it holds. */
  #unsure: boolean
  #scheduled = false
  #retryMs = FIRST_RETRY_MS

  /**
   * @param acked what the store was found to hold; undefined when it could not be asked
   * @param reason why it is not in step, which makes the lane begin behind
   * @param floor events up to this number are none of its business (a spool begins where the stores end)
   */
  constructor(store: LogStore, host: LaneHost, acked: number | undefined, reason?: string, floor = 0) {
    this.store = store
    this.#host = host
    this.acked = acked ?? floor
    this.#asked = acked !== undefined
    this.#floor = floor
    this.reason = reason
    this.#state = reason === undefined ? 'ready' : 'behind'
    this.#unsure = this.#state === 'behind'
  }

  get state(): LaneState {
    return this.#state
  }

  /** Whether the store may hold event `seq`, as far as anyone knows. */
  mayHold(seq: number): boolean {
    return this.acked >= seq || !this.#asked
  }

  /** There may be work. Begins in the next turn of the event loop, so that what arrives together rests together. */
  kick(): void {
    if (this.#running || this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined
        if (this.#hasWork()) this.kick() // a write answered by the last append may have brought the next event meanwhile
      })
    })
  }

  /** Lets the append in hand finish, then closes the store. */
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.store.close()
  }

  #hasWork(): boolean {
    if (this.#stop.signal.aborted || this.#state === 'forked') return false
    return this.#state === 'behind' || this.acked < this.#host.head()
  }

  async #run(): Promise<void> {
    while (this.#hasWork()) {
      try {
        await this.#step()
        this.#retryMs = FIRST_RETRY_MS
      } catch (error) {
        this.#unsure = true
        this.#become('behind', (error as Error).message)
        await sleep(this.#retryMs, undefined, { signal: this.#stop.signal }).catch(() => undefined) // aborted: the loop's condition ends it
        this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS)
      }
    }
  }

  async #step(): Promise<void> {
    if (this.#unsure && !(await this.#recover())) return
    let batch = this.#host.window(this.acked)
    if (batch === undefined) {
      const before = this.acked
      await this.#backfill()
      batch = this.#host.window(this.acked)
      if (batch === undefined) {
        if (this.acked === before) this.#skip(this.#host.oldest())
        return
      }
    }
    const newest = this.#host.head()
    await this.#append(batch)
    if (this.acked >= newest) this.#become('ready')
  }

  async #append(batch: readonly StoredEvent[]): Promise<void> {
    const last = batch.at(-1)
    if (!last) return
    const silent = setTimeout(() => this.#become('behind', `it has not answered for ${this.#host.patienceMs} ms`), this.#host.patienceMs)
    try {
      await this.store.append(batch)
    } finally {
      clearTimeout(silent)
    }
    this.acked = last.seq
    this.#ackedHash = last.hash
    this.#host.progressed(this, this.#state)
  }

  /** Asks the store what it holds: after a failure that is the only one who knows. */
  async #recover(): Promise<boolean> {
    const last = await this.store.last()
    this.#host.found(this.store.found?.() ?? [])
    if (last) {
      const ours = await this.#isOurs(last)
      if (ours === undefined) throw new Error(`nobody can tell now whether its event ${last.seq} belongs to this log`)
      if (!ours) {
        this.#become('forked', `its event ${last.seq} belongs to another log`)
        return false
      }
    }
    this.acked = Math.max(last?.seq ?? 0, this.#floor)
    this.#ackedHash = last?.hash
    this.#asked = true
    this.#unsure = false
    return true
  }

  async #isOurs(last: StoredEvent): Promise<boolean | undefined> {
    if (last.seq > this.#host.head()) return false
    if (last.seq === this.acked && this.#ackedHash !== undefined) return last.hash === this.#ackedHash
    return await this.#host.isOurs(last, this)
  }

  async #backfill(): Promise<void> {
    let batch: StoredEvent[] = []
    const flush = async () => {
      const first = batch[0]
      if (first && first.seq > this.acked + 1) this.#host.lost(this, this.acked + 1, first.seq - 1)
      await this.#append(batch)
      batch = []
    }
    for await (const event of this.#host.backfill(this.acked, this)) {
      if (this.#stop.signal.aborted) return
      batch.push(event)
      if (batch.length >= BACKFILL_EVENTS) await flush()
    }
    await flush()
  }

  /** Nobody holds what comes next, and everybody was asked. */
  #skip(oldest: number): void {
    this.#host.lost(this, this.acked + 1, oldest - 1)
    this.acked = oldest - 1
  }

  #become(state: LaneState, reason?: string): void {
    const before = this.#state
    this.reason = reason
    if (before === state || before === 'forked') return
    this.#state = state
    this.#host.progressed(this, before)
  }
}

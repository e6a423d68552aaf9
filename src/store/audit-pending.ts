/** Events that were linked and do not rest everywhere yet, in order, with who waits for them. */
import type { StoredEvent } from '../core/types.js'

export interface Waiter {
  resolve(event: StoredEvent): void
  reject(error: Error): void
}

interface Entry {
  readonly event: StoredEvent
  readonly bytes: number
  waiter: Waiter | undefined
}

/** One append: big enough that the cost of a sync is shared, small enough to answer the first of it soon. */
const BATCH_EVENTS = 2048
const BATCH_BYTES = 4 * 1024 * 1024

/** A queue that is read by number. Numbers have no gaps. */
export class Pending {
  #entries: Entry[] = []
  /** Index of the oldest entry; those before it are gone and their slots are given back in bulk. */
  #start = 0
  #oldest: number
  #bytes = 0

  /** @param oldest the number of the first event to come */
  constructor(oldest: number) {
    this.#oldest = oldest
  }

  /** The number of the oldest event held; of the next to come when there is none. */
  get oldest(): number {
    return this.#oldest
  }

  get count(): number {
    return this.#entries.length - this.#start
  }

  /** Rough size of what is held. */
  get bytes(): number {
    return this.#bytes
  }

  push(event: StoredEvent, waiter?: Waiter): void {
    const bytes = sizeOf(event)
    this.#entries.push({ event, bytes, waiter })
    this.#bytes += bytes
  }

  at(seq: number): StoredEvent | undefined {
    return this.#entry(seq)?.event
  }

  /** Takes the waiter of an event: each is answered once. */
  takeWaiter(seq: number): Waiter | undefined {
    const entry = this.#entry(seq)
    const waiter = entry?.waiter
    if (entry) entry.waiter = undefined
    return waiter
  }

  /** Events after `seq`, a batch at most; undefined when the next one is no longer held. */
  window(seq: number): readonly StoredEvent[] | undefined {
    const from = seq + 1 - this.#oldest
    if (from < 0) return undefined
    const batch: StoredEvent[] = []
    let bytes = 0
    for (let i = this.#start + from; i < this.#entries.length && batch.length < BATCH_EVENTS && bytes < BATCH_BYTES; i++) {
      const entry = this.#entries[i] as Entry
      batch.push(entry.event)
      bytes += entry.bytes
    }
    return batch
  }

  /** Forgets the events up to `seq`. */
  forget(seq: number): void {
    while (this.#start < this.#entries.length && this.#oldest <= seq) {
      this.#bytes -= (this.#entries[this.#start] as Entry).bytes
      this.#start++
      this.#oldest++
    }
    if (this.#start === this.#entries.length) {
      this.#entries = []
      this.#start = 0
    } else if (this.#start > 4096 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start)
      this.#start = 0
    }
  }

  #entry(seq: number): Entry | undefined {
    return seq < this.#oldest ? undefined : this.#entries[this.#start + seq - this.#oldest]
  }
}

/** Counts what can be long. Forgotten slots keep their entry until the next slice; the bound is on what is counted here. */
function sizeOf(event: StoredEvent): number {
  let bytes = 512
  if (event.type === 'command') bytes += (event.line?.length ?? event.lineBase64?.length ?? 0) * 2 + (event.commands?.length ?? 0) * 64
  if (event.type === 'file') bytes += event.path.length
  return bytes
}

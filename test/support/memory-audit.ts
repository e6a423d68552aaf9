/** An AuditStore in memory, whose failures a test commands. */
import { OpsError } from '../../src/core/errors.js'
import type { AuditFilter, AuditStore, StoredEvent } from '../../src/core/types.js'
import { eventFilter } from '../../src/store/audit-filter.js'

export class MemoryAudit implements AuditStore {
  readonly name: string
  readonly events: StoredEvent[] = []
  /** Sizes of the batches that were appended. */
  readonly batches: number[] = []
  /** While set, every call fails with it. */
  failing: string | undefined
  /** While set, appends wait for it. */
  gate: Promise<void> | undefined
  /** Fails the next append after it took this many of its events (a batch that was cut). */
  cutNext: number | undefined
  closed = false

  constructor(name = 'memory') {
    this.name = name
  }

  async append(events: readonly StoredEvent[]): Promise<void> {
    await this.gate
    this.#check()
    const copies = events.map((event) => JSON.parse(JSON.stringify(event)) as StoredEvent)
    if (this.cutNext !== undefined) {
      this.events.push(...copies.slice(0, this.cutNext))
      this.cutNext = undefined
      throw new OpsError('AUDIT_UNAVAILABLE', `Cannot append to ${this.name}: the batch was cut`)
    }
    this.events.push(...copies)
    this.batches.push(events.length)
  }

  async last(): Promise<StoredEvent | undefined> {
    this.#check()
    return this.events.at(-1)
  }

  async *query(filter: AuditFilter, signal?: AbortSignal): AsyncGenerator<StoredEvent> {
    this.#check()
    const passes = eventFilter(filter)
    let left = filter.limit ?? Number.POSITIVE_INFINITY
    for (const event of this.events) {
      signal?.throwIfAborted()
      if (left <= 0) return
      if (!passes(event)) continue
      yield event
      left--
    }
  }

  async close(): Promise<void> {
    this.closed = true
  }

  #check(): void {
    if (this.closed) throw new OpsError('AUDIT_UNAVAILABLE', `Cannot use ${this.name}: it is closed`)
    if (this.failing !== undefined) throw new OpsError('AUDIT_UNAVAILABLE', `Cannot use ${this.name}: ${this.failing}`)
  }
}

/**
 * The AuditSink: numbers events, chains them, and hands them to every store (evidence.md, "Log").
 *
 * Each store has a lane of its own (audit-lane.ts). A lane appends whatever has gathered while its last append was under way, so
 * an idle log commits at once and a busy one in groups. An event is *committed*, and its write resolves, when
 *   onFailure refuse:    every store holds it;
 *   onFailure continue:  every store that is ready holds it, or, while none is ready, the spool does.
 *
 * States:
 *   ready     nothing stands in the way of a commit.
 *   troubled  something does, since less than `patienceMs`: unavailable() says what, writes are taken and wait.
 *   refusing  it lasted: every waiting write is rejected. From now on a *gate* (an event that lets something happen: login,
 *             session.open, an allowed command or transfer) is rejected before it gets a number, so it leaves no hole. A *fact*
 *             (something that has happened: session.close, command.exit, a refusal) is numbered, chained and kept for the stores,
 *             and its write is rejected too, since not every store holds it yet.
 *
 * A numbered event is never taken back. Lanes that fell behind are filled, in order, from memory, from a store that is ready, or
 * from the spool. Gates that had a number when refusing began may have been told of failure and yet rest in the log: an `admin`
 * event `audit.withdrawn` names them. What no place holds any more (data lost) is named by `audit.lost`.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { AuditEvent, AuditFilter, AuditSink, StoredEvent } from '../core/types.js'
import { type ChainHead, link } from '../wire/evidence/chain.js'
import type { CheckpointKey } from '../wire/evidence/checkpoint.js'
import { AuditClock } from './audit-clock.js'
import { AuditLane, type LaneHost, type LaneState, type LogStore } from './audit-lane.js'
import { openingOf } from './audit-opening.js'
import { Pending, type Waiter } from './audit-pending.js'
import type { Spool } from './audit-spool.js'

export interface AuditLogOptions {
  /** At least one. Every one is required. */
  readonly stores: readonly LogStore[]
  readonly onFailure: 'refuse' | 'continue'
  readonly logger: Logger
  /** Signs checkpoints; without it there are none. */
  readonly key?: CheckpointKey
  /** Keeps events while no store is ready. Without it they are kept in memory only, and `continue` behaves like `refuse`. */
  readonly spool?: Spool
  /** How long a write may wait for a store in trouble before it is rejected; 2000 ms. */
  readonly patienceMs?: number
  /** How long close() waits for stores that are behind; 5000 ms. */
  readonly closeMs?: number
  /** Most events in memory that do not rest everywhere yet; 50,000. Beyond it writes are rejected. */
  readonly maxPending?: number
  /** 60,000 ms and 10,000 events (evidence.md). */
  readonly checkpointMs?: number
  readonly checkpointEvents?: number
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number
}

/** For /readyz and metrics. */
export interface AuditStatus {
  readonly head: ChainHead
  readonly committed: number
  readonly pending: number
  readonly spooling: boolean
  readonly stores: readonly { readonly name: string; readonly state: LaneState; readonly held: number; readonly reason?: string }[]
}

const MAX_PENDING_BYTES = 128 * 1024 * 1024
const MAX_LISTENERS = 256

export class AuditLog implements AuditSink {
  readonly #options: AuditLogOptions
  readonly #logger: Logger
  readonly #patienceMs: number
  readonly #clock: AuditClock
  readonly #lanes: readonly AuditLane[]
  readonly #pending: Pending
  readonly #listeners = new Set<(event: StoredEvent) => void>()
  #spoolLane: AuditLane | undefined
  /** The end of emptying the spool; it is not used again before. */
  #spoolTurn: Promise<void> | undefined
  #head: ChainHead
  /** Numbers up to which: writes were answered; events were shown to listeners. */
  #answered: number
  #shown: number
  #sinceCheckpoint: number
  #dropped = 0
  #refusing = false
  #patience: NodeJS.Timeout | undefined
  readonly #checkpointTimer: NodeJS.Timeout
  #closing: Promise<void> | undefined

  /**
   * Asks every store what it holds and goes on from the newest event. Stores that cannot be asked, or hold less, are filled
   * in the background; until then unavailable() says so.
   * @throws OpsError AUDIT_UNAVAILABLE when no store answers, or when two hold different events under one number
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const opening = await openingOf(options.stores, options.spool)
    return new AuditLog(options, opening)
  }

  private constructor(options: AuditLogOptions, opening: Awaited<ReturnType<typeof openingOf>>) {
    this.#options = options
    this.#logger = options.logger
    this.#patienceMs = options.patienceMs ?? 2000
    this.#clock = new AuditClock(options.now ?? Date.now, opening.last?.time)
    this.#head = opening.head
    this.#answered = this.#shown = opening.head.seq
    this.#pending = new Pending(opening.head.seq + 1)
    this.#sinceCheckpoint = opening.last && opening.last.type !== 'checkpoint' ? 1 : 0
    const host = this.#host()
    this.#lanes = opening.stores.map(({ store, held, reason }) => new AuditLane(store, host, held, reason))
    if (options.spool && opening.spooled) this.#spoolLane = new AuditLane(options.spool, host, opening.spooled)
    this.#checkpointTimer = setInterval(() => this.#checkpoint(), options.checkpointMs ?? 60_000).unref()
    for (const lane of this.#lanes) if (lane.state !== 'ready') this.#noteState(lane)
    for (const event of opening.found) this.#link(event)
    this.#watchTrouble()
    this.#kick()
  }

  /** @throws OpsError AUDIT_UNAVAILABLE; BAD_REQUEST when the event cannot be written as JSON */
  write(event: AuditEvent): Promise<StoredEvent> {
    if (this.#closing) return Promise.reject(new OpsError('AUDIT_UNAVAILABLE', `Cannot write event "${event.type}": the audit log is closed`))
    if (this.#refusing && isGate(event)) return Promise.reject(this.#refusal(event))
    if (!this.#hasRoom()) {
      this.#dropped++
      return Promise.reject(new OpsError('AUDIT_UNAVAILABLE', `Cannot write event "${event.type}": ${this.#pending.count} events wait for a store`))
    }
    return new Promise((resolve, reject) => {
      try {
        // While nothing holds events durably a fact waits for nobody: it is kept in memory and its writer told at once.
        const told = this.#refusing && !this.#holder()
        this.#link(event, told ? undefined : { resolve, reject })
        if (told) reject(this.#refusal(event))
      } catch (error) {
        reject(new OpsError('BAD_REQUEST', `Cannot write event "${event.type}": ${(error as Error).message}`, { cause: error }))
      }
    })
  }

  unavailable(): string | undefined {
    return this.#closing ? 'the audit log is closed' : this.#trouble()
  }

  /**
   * Calls back with every event once it is committed, in order. The listener must not block and keeps its own bounds.
   * @returns the way to stop listening
   * @throws OpsError LIMIT_EXCEEDED beyond 256 listeners
   */
  onAppend(listener: (event: StoredEvent) => void): () => void {
    if (this.#listeners.size >= MAX_LISTENERS) throw new OpsError('LIMIT_EXCEEDED', `Cannot follow the audit log: ${MAX_LISTENERS} listeners already do`)
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reads from the first store that is ready. @throws OpsError AUDIT_UNAVAILABLE */
  query(filter: AuditFilter, signal?: AbortSignal): AsyncIterable<StoredEvent> {
    const lane = this.#lanes.find((each) => each.state === 'ready') ?? (this.#lanes[0] as AuditLane)
    return lane.store.query(filter, signal)
  }

  /** Signs the head now, so that what came before can be proven without what comes later. */
  checkpoint(): void {
    if (!this.#closing) this.#checkpoint()
  }

  status(): AuditStatus {
    return {
      head: this.#head,
      committed: this.#committed(),
      pending: this.#pending.count,
      spooling: this.#spoolLane !== undefined,
      stores: this.#lanes.map((lane) => ({
        name: lane.store.name,
        state: lane.state,
        held: lane.acked,
        ...(lane.reason === undefined ? {} : { reason: lane.reason }),
      })),
    }
  }

  /** Signs the head, waits for the stores for at most `closeMs`, closes them. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#checkpointTimer)
    this.#checkpoint()
    const limit = Date.now() + (this.#options.closeMs ?? 5000)
    const places = () => [...this.#lanes, ...(this.#spoolLane ? [this.#spoolLane] : [])]
    const lagging = () => places().filter((lane) => lane.acked < this.#head.seq && lane.state !== 'forked')
    // Once everything rests somewhere, stores in trouble are not waited for: the next start fills them.
    const waits = () => lagging().some((lane) => lane.state === 'ready' || this.#durable() < this.#head.seq)
    while (waits() && Date.now() < limit) await sleep(5)
    clearTimeout(this.#patience)
    const unkept = this.#head.seq - Math.max(this.#durable(), ...this.#lanes.map((lane) => lane.acked))
    if (unkept > 0) this.#logger.error({ events: unkept, head: this.#head.seq }, 'audit.lost-at-stop')
    this.#answerAll('the audit log was closed before every store held it')
    await this.#spoolTurn
    await Promise.all(places().map((lane) => lane.close()))
    if (!this.#spoolLane) await this.#options.spool?.close()
  }

  // ---------------------------------------------------------------- linking

  #link(event: AuditEvent, waiter?: Waiter): StoredEvent {
    const before = this.#clock.last
    const back = this.#clock.steppedBackMs()
    const time = this.#clock.read()
    if (back !== undefined) {
      this.#logger.warn({ backMs: back, keptTime: time }, 'audit.clock-stepped-back')
      this.#push({ type: 'admin', action: 'audit.clock-stepped-back', object: 'gateway', after: { backMs: back } }, time)
    }
    if (before.slice(0, 10) !== time.slice(0, 10)) this.#checkpoint(before)
    const stored = this.#push(event, time, waiter)
    if (this.#sinceCheckpoint >= (this.#options.checkpointEvents ?? 10_000)) this.#checkpoint()
    this.#kick()
    return stored
  }

  #push(event: AuditEvent, time: string, waiter?: Waiter): StoredEvent {
    const stored = link(event, this.#head, time)
    this.#head = { seq: stored.seq, hash: stored.hash }
    this.#sinceCheckpoint++
    this.#pending.push(stored, waiter)
    return stored
  }

  /** @param time the last time of a day that has ended: its checkpoint rests in that day's file */
  #checkpoint(time = this.#clock.read()): void {
    const { key } = this.#options
    if (!key || this.#sinceCheckpoint === 0 || !this.#hasRoom()) return
    const { seq, hash } = this.#head
    this.#push({ type: 'checkpoint', head: hash, count: seq, signature: key.sign(seq, hash, time), keyId: key.keyId }, time)
    this.#sinceCheckpoint = 0
    this.#kick()
  }

  #note(action: string, object: string, after: object): void {
    if (this.#hasRoom()) this.#link({ type: 'admin', action, object, after })
  }

  #kick(): void {
    for (const lane of this.#lanes) lane.kick()
    this.#spoolLane?.kick()
  }

  // ---------------------------------------------------------------- committing

  /** The number up to which events are committed. */
  #committed(): number {
    const counted = this.#options.onFailure === 'refuse' ? this.#lanes : this.#lanes.filter((lane) => lane.state === 'ready')
    if (counted.length > 0) return Math.min(...counted.map((lane) => lane.acked))
    return this.#spoolLane?.acked ?? 0
  }

  /** The number up to which events rest in some place that can be read now. */
  #durable(): number {
    return Math.max(0, ...this.#lanes.filter((lane) => lane.state === 'ready').map((lane) => lane.acked), this.#spoolLane?.acked ?? 0)
  }

  /** Somewhere that takes events now. */
  #holder(): AuditLane | undefined {
    return this.#lanes.find((lane) => lane.state === 'ready') ?? (this.#spoolLane?.state === 'ready' ? this.#spoolLane : undefined)
  }

  #settle(): void {
    const committed = this.#committed()
    for (; this.#answered < committed; this.#answered++) {
      const seq = this.#answered + 1
      const event = this.#pending.at(seq)
      if (event) this.#pending.takeWaiter(seq)?.resolve(event)
    }
    if (this.#refusing) this.#answerKept()
    this.#show(committed)
    const filled = this.#lanes.filter((lane) => lane.state !== 'forked').map((lane) => lane.acked)
    this.#forget(Math.min(committed, ...filled))
  }

  /** While refusing: facts that rest somewhere are as safe as they can be now, and their writers need not wait. */
  #answerKept(): void {
    const durable = this.#durable()
    for (; this.#answered < durable; this.#answered++) {
      this.#pending.takeWaiter(this.#answered + 1)?.reject(this.#unkept(`event ${this.#answered + 1} is kept and will be filled in`))
    }
  }

  #answerAll(why: string): number[] {
    const gates: number[] = []
    for (; this.#answered < this.#head.seq; this.#answered++) {
      const seq = this.#answered + 1
      const waiter = this.#pending.takeWaiter(seq)
      if (!waiter) continue
      const event = this.#pending.at(seq)
      if (event && isGate(event)) gates.push(seq)
      waiter.reject(this.#unkept(why))
    }
    return gates
  }

  #show(seq: number): void {
    for (; this.#shown < seq; this.#shown++) {
      const event = this.#pending.at(this.#shown + 1)
      if (!event) continue
      for (const listener of this.#listeners) this.#tell(listener, event)
    }
  }

  #tell(listener: (event: StoredEvent) => void, event: StoredEvent): void {
    try {
      listener(event)
    } catch (error) {
      this.#logger.error({ error, seq: event.seq }, 'audit.listener-failed')
    }
  }

  #forget(seq: number): void {
    this.#show(seq)
    this.#pending.forget(seq)
  }

  /** Makes room by forgetting what rests somewhere it can be read from again. */
  #hasRoom(): boolean {
    const max = this.#options.maxPending ?? 50_000
    if (this.#pending.count < max && this.#pending.bytes < MAX_PENDING_BYTES) return true
    this.#forget(Math.min(this.#durable(), this.#answered))
    return this.#pending.count < max && this.#pending.bytes < MAX_PENDING_BYTES
  }

  // ---------------------------------------------------------------- trouble

  #trouble(): string | undefined {
    const troubled = this.#lanes.filter((lane) => lane.state !== 'ready')
    const first = troubled[0]
    if (!first) return undefined
    const continues = this.#options.onFailure === 'continue' && this.#holder() !== undefined
    return continues ? undefined : `${first.store.name}: ${first.reason ?? first.state}`
  }

  #watchTrouble(): void {
    if (this.#trouble() === undefined) {
      clearTimeout(this.#patience)
      this.#patience = undefined
      if (this.#refusing) this.#resume()
    } else if (this.#refusing) {
      if (!this.#holder()) this.#answerAll('it is kept in memory only')
    } else this.#patience ??= setTimeout(() => this.#refuse(), this.#patienceMs)
  }

  #refuse(): void {
    this.#patience = undefined
    const reason = this.#trouble()
    if (reason === undefined || this.#refusing) return
    this.#refusing = true
    this.#logger.error({ reason, pending: this.#pending.count }, 'audit.refusing')
    const withdrawn = this.#answerAll(`not every store held it within ${this.#patienceMs} ms`)
    if (withdrawn.length > 0) this.#note('audit.withdrawn', `events ${ranges(withdrawn)}`, { reason })
    this.#answered = this.#head.seq
  }

  #resume(): void {
    this.#refusing = false
    this.#logger.info({ head: this.#head.seq }, 'audit.resumed')
    if (this.#dropped > 0) this.#note('audit.dropped', `${this.#dropped} events`, { reason: 'too many waited for a store' })
    this.#dropped = 0
  }

  #refusal(event: AuditEvent): OpsError {
    return this.#unkept(`event "${event.type}" was not taken`)
  }

  #unkept(what: string): OpsError {
    return new OpsError('AUDIT_UNAVAILABLE', `Cannot keep the audit log: ${this.#trouble() ?? 'it recovers'}; ${what}`)
  }

  #noteState(lane: AuditLane): void {
    const { name } = lane.store
    const fields = { store: name, state: lane.state, held: lane.acked, reason: lane.reason }
    if (lane.state === 'ready') this.#logger.info(fields, 'audit.store-ready')
    else this.#logger.error(fields, 'audit.store-failed')
    if (lane !== this.#spoolLane) this.#note(`audit.store-${lane.state}`, name, { held: lane.acked, reason: lane.reason })
  }

  /** The spool takes over when no store is ready, from the first event that none of them holds. */
  #useSpool(): void {
    const { spool } = this.#options
    const ready = this.#lanes.some((lane) => lane.state === 'ready')
    if (spool && !this.#spoolLane && !ready && !this.#spoolTurn) {
      this.#spoolLane = new AuditLane(spool, this.#host(), undefined, undefined, Math.max(...this.#lanes.map((lane) => lane.acked)))
      this.#spoolLane.kick()
    }
    const lane = this.#spoolLane
    if (!spool || !lane || !this.#lanes.some((each) => each.state === 'ready' && each.acked >= lane.acked)) return
    this.#spoolLane = undefined
    this.#spoolTurn = lane
      .close()
      .then(() => spool.clear())
      .catch((error: unknown) => this.#logger.error({ error }, 'audit.spool-not-emptied'))
      .finally(() => {
        this.#spoolTurn = undefined
        if (!this.#closing) this.#useSpool()
      })
  }

  // ---------------------------------------------------------------- what lanes ask

  #host(): LaneHost {
    return {
      patienceMs: this.#patienceMs,
      head: () => this.#head.seq,
      oldest: () => this.#pending.oldest,
      window: (seq) => this.#pending.window(seq),
      isOurs: (event, lane) => this.#isOurs(event, lane),
      backfill: (seq, lane) => this.#backfill(seq, lane),
      progressed: (lane, before) => this.#progressed(lane, before),
      lost: (lane, from, to) => {
        this.#logger.error({ store: lane.store.name, from, to }, 'audit.lost')
        this.#note('audit.lost', lane.store.name, { from, to })
      },
      found: (events) => {
        for (const event of events) this.#link(event)
      },
    }
  }

  #progressed(lane: AuditLane, before: LaneState): void {
    if (lane.state !== before) {
      this.#noteState(lane)
      this.#useSpool()
      this.#watchTrouble()
    } else if (this.#spoolLane) this.#useSpool()
    if (lane.store.wantsCheckpoint?.()) this.#checkpoint()
    this.#settle()
  }

  /** Others that may hold an event, those that can be read now first. */
  #others(lane: AuditLane, seq: number): readonly AuditLane[] {
    const all = [...this.#lanes, ...(this.#spoolLane ? [this.#spoolLane] : [])]
    return all
      .filter((each) => each !== lane && each.state !== 'forked' && each.mayHold(seq))
      .sort((a, b) => Number(b.state === 'ready') - Number(a.state === 'ready'))
  }

  async #isOurs(event: StoredEvent, lane: AuditLane): Promise<boolean | undefined> {
    if (event.seq === this.#head.seq) return event.hash === this.#head.hash
    const known = this.#pending.at(event.seq)
    if (known) return known.hash === event.hash
    const others = this.#others(lane, event.seq)
    for (const other of others) {
      if (other.state !== 'ready') return undefined
      for await (const held of other.store.query({ after: event.seq - 1, limit: 1 })) {
        if (held.seq === event.seq) return held.hash === event.hash
      }
    }
    return true // it is older than anything else there is: nobody can contradict it
  }

  async *#backfill(seq: number, lane: AuditLane): AsyncGenerator<StoredEvent> {
    const others = this.#others(lane, seq + 1)
    for (const isExact of [true, false]) {
      for (const other of others) {
        let next = isExact ? seq + 1 : 0
        for await (const event of other.store.query({ after: seq })) {
          if (next !== 0 && event.seq !== next) break
          yield event
          next = event.seq + 1
          if (next >= this.#pending.oldest) return
        }
        if (next > seq + 1) return
      }
    }
  }
}

/** Whether something will happen only if this event rests. */
export function isGate(event: AuditEvent): boolean {
  switch (event.type) {
    case 'login':
    case 'session.open':
      return true
    case 'command':
      return event.verdict === 'allow' || event.verdict === 'approved'
    case 'file': // with a size or a hash it tells of what was transferred
      return event.verdict === 'allow' && event.bytes === undefined && event.sha256 === undefined
    default:
      return false
  }
}

/** [3, 4, 5, 9] -> "3-5, 9" */
function ranges(numbers: readonly number[]): string {
  const parts: string[] = []
  let from = numbers[0] ?? 0
  for (let i = 0; i < numbers.length; i++) {
    const here = numbers[i] as number
    const next = numbers[i + 1]
    if (next === here + 1) continue
    parts.push(from === here ? String(here) : `${from}-${here}`)
    from = next ?? 0
  }
  return parts.join(', ')
}

/**
 * The hash chain over audit events (evidence.md, "Log"). The gateway links with this code and the verifier reads with it.
 * `hash = sha256(prev || canonical JSON of the event without "hash")`, where `prev` is the 64 lower-case hex digits of the event
 * before as text (64 zeros before the first), and `seq` counts from 1 without gaps.
 */
import { hash as digest } from 'node:crypto'
import type { AuditEvent, StoredEvent } from '../../core/types.js'
import { canonicalJson } from './canonical-json.js'

/** Where a chain stands: the last event's number and hash. */
export interface ChainHead {
  readonly seq: number
  readonly hash: string
}

/** The head of a chain that has no event yet. */
export const GENESIS: ChainHead = { seq: 0, hash: '0'.repeat(64) }

/** The hash that `event` must carry, whatever it carries now. @throws RangeError, TypeError when it has no canonical form */
export function eventHash(event: Omit<StoredEvent, 'hash'>): string {
  return digest('sha256', event.prev + canonicalJson(event, 'hash'))
}

/**
 * Makes `event` the one after `head`.
 * @param time RFC 3339 with milliseconds; the caller sees to it that it never goes backwards
 * @throws RangeError, TypeError when the event has no canonical form; nothing is linked then
 */
export function link(event: AuditEvent, head: ChainHead, time: string): StoredEvent {
  const stored = { seq: head.seq + 1, time, ...facts(event), prev: head.hash, hash: '' }
  stored.hash = eventHash(stored)
  return stored
}

/** Only what belongs into an event: the six fields of a target, no reserved names, and a copy of what others could still change. */
function facts(event: AuditEvent): AuditEvent {
  const copy = { ...event } as AuditEvent & Partial<Record<'seq' | 'time' | 'prev' | 'hash', unknown>>
  for (const name of ['seq', 'time', 'prev', 'hash'] as const) if (name in copy) delete copy[name]
  const subject = event.target
  if (subject) {
    const { cluster, namespace, pod, container, uid, node } = subject
    Object.assign(copy, { target: { cluster, namespace, pod, container, uid, node } })
  }
  return copy.type === 'admin' ? (JSON.parse(JSON.stringify(copy)) as AuditEvent) : copy
}

/** What is wrong with the first bad event. */
export type ChainFault = 'changed' | 'missing' | 'reordered' | 'unsigned'

export type ChainReport =
  | {
      readonly ok: true
      readonly count: number
      readonly first: number
      readonly last: ChainHead
      readonly checkpoints: number
      readonly lastCheckpoint: number
    }
  | {
      readonly ok: false
      readonly fault: ChainFault
      /** The first event that is not what it was. */
      readonly seq: number
      /** One line for the report: "event 41 was changed: …". */
      readonly message: string
      /** Events before it that are whole. */
      readonly count: number
    }

export interface VerifyOptions {
  /** Where the events go on from; without it the first event given is taken as it is (a copy of a few days). */
  readonly after?: ChainHead
  /** Answers whether a checkpoint's signature is good; without it signatures are not looked at. */
  readonly checkpoint?: (event: Extract<StoredEvent, { type: 'checkpoint' }>) => boolean
}

/** How many events a look for one that was moved may read on. */
const LOOK_AHEAD = 100_000

/** Reads events in the order in which they rest and names the first that was changed, is missing or was moved. */
export async function verifyChain(events: Iterable<unknown> | AsyncIterable<unknown>, options: VerifyOptions = {}): Promise<ChainReport> {
  const rest = toIterator(events)
  let head = options.after
  const seen = { first: 0, count: 0, checkpoints: 0, lastCheckpoint: 0 }
  for (let next = await rest.next(); !next.done; next = await rest.next()) {
    const event = next.value
    const fault = await judge(event, head, rest, options)
    if (fault) return { ok: false, ...fault, count: seen.count }
    const whole = event as StoredEvent
    head = { seq: whole.seq, hash: whole.hash }
    seen.first ||= whole.seq
    seen.count++
    if (whole.type === 'checkpoint') {
      seen.checkpoints++
      seen.lastCheckpoint = whole.seq
    }
  }
  return { ok: true, ...seen, last: head ?? GENESIS }
}

type Fault = { readonly fault: ChainFault; readonly seq: number; readonly message: string }

async function judge(event: unknown, head: ChainHead | undefined, rest: AsyncIterator<unknown>, options: VerifyOptions): Promise<Fault | undefined> {
  const expected = head ? head.seq + 1 : undefined
  if (!isLinked(event)) return fault('changed', expected ?? 0, 'it is not an event any more')
  if (hashOrNone(event) !== event.hash) return fault('changed', event.seq, 'its hash does not match what it holds')
  if (head && expected !== undefined && event.seq !== expected) {
    if (event.seq < expected) return fault('reordered', event.seq, `it stands after event ${head.seq}`)
    if (await appears(expected, rest)) return fault('reordered', expected, `event ${event.seq} stands in its place`)
    return fault('missing', expected, `event ${head.seq} is followed by event ${event.seq}`)
  }
  // The event itself is whole, so it is the one before that was rewritten together with its own hash.
  if (head && event.prev !== head.hash) return fault('changed', head.seq, `event ${event.seq} was chained to another hash`)
  if (event.type !== 'checkpoint') return undefined
  if (event.head !== event.prev || event.count !== event.seq - 1) return fault('changed', event.seq, 'the checkpoint does not sign the event before it')
  if (options.checkpoint && !options.checkpoint(event)) return fault('unsigned', event.seq, 'the signature of the checkpoint is not good')
  return undefined
}

const VERB = { changed: 'was changed', missing: 'is missing', reordered: 'was moved', unsigned: 'is not signed' } as const

function fault(kind: ChainFault, seq: number, why: string): Fault {
  return { fault: kind, seq, message: `event ${seq} ${VERB[kind]}: ${why}` }
}

/** Whether a parsed line has what the chain needs. Says nothing about its other fields. */
export function isLinked(value: unknown): value is StoredEvent {
  if (typeof value !== 'object' || value === null) return false
  const { seq, time, type, prev, hash } = value as Record<string, unknown>
  return Number.isSafeInteger(seq) && typeof time === 'string' && typeof type === 'string' && typeof prev === 'string' && typeof hash === 'string'
}

/** The hash, or undefined where a hostile file gave something that has none. */
export function hashOrNone(event: StoredEvent): string | undefined {
  try {
    return eventHash(event)
  } catch {
    return undefined // nested without end: it is not what was written, and that is all the caller needs
  }
}

async function appears(seq: number, rest: AsyncIterator<unknown>): Promise<boolean> {
  for (let read = 0; read < LOOK_AHEAD; read++) {
    const next = await rest.next()
    if (next.done) return false
    if (isLinked(next.value) && next.value.seq === seq) return true
  }
  return false
}

async function* toIterator(events: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<unknown, void, undefined> {
  yield* events
}

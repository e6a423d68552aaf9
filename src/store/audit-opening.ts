/** What the stores hold when the log starts, and whether they agree. */
import { OpsError } from '../core/errors.js'
import type { AuditEvent, StoredEvent } from '../core/types.js'
import { type ChainHead, GENESIS } from '../wire/evidence/chain.js'
import type { LogStore } from './audit-lane.js'

export interface OpenedStore {
  readonly store: LogStore
  /** Number of the last event it holds; undefined when it could not be asked. */
  readonly held: number | undefined
  /** Why it is not in step. */
  readonly reason: string | undefined
}

export interface Opening {
  readonly stores: readonly OpenedStore[]
  readonly head: ChainHead
  readonly last: StoredEvent | undefined
  /** Number of the last event in the spool; undefined when that is empty. */
  readonly spooled: number | undefined
  readonly found: readonly AuditEvent[]
}

interface Asked {
  readonly store: LogStore
  readonly last?: StoredEvent | undefined
  readonly error?: Error
}

/** @throws OpsError AUDIT_UNAVAILABLE when nobody answers, or two hold different events under one number */
export async function openingOf(stores: readonly LogStore[], spool: LogStore | undefined): Promise<Opening> {
  const asked = await Promise.all(stores.map(ask))
  const spoolAsked = spool ? await ask(spool) : undefined
  if (spoolAsked?.error) throw spoolAsked.error
  if (asked.every((each) => each.error) && !spoolAsked?.last) {
    const reasons = asked.map((each) => `${each.store.name}: ${each.error?.message}`)
    throw new OpsError('AUDIT_UNAVAILABLE', `Cannot open the audit log, no store tells where it ends: ${reasons.join('; ')}`)
  }
  const answers = spoolAsked ? [...asked, spoolAsked] : asked
  const newest = answers.reduce((best, each) => ((each.last?.seq ?? 0) > (best.last?.seq ?? 0) ? each : best))
  for (const each of answers) if (each !== newest) await checkAgree(each, newest)
  const { last } = newest
  return {
    stores: asked.map((each) => toOpened(each, last?.seq ?? 0)),
    head: last ? { seq: last.seq, hash: last.hash } : GENESIS,
    last,
    spooled: spoolAsked?.last?.seq,
    found: answers.flatMap((each) => each.store.found?.() ?? []),
  }
}

async function ask(store: LogStore): Promise<Asked> {
  try {
    return { store, last: await store.last() }
  } catch (error) {
    return { store, error: error as Error }
  }
}

function toOpened({ store, last, error }: Asked, head: number): OpenedStore {
  if (error) return { store, held: undefined, reason: error.message }
  const held = last?.seq ?? 0
  return { store, held, reason: held < head ? `it holds ${held} of ${head} events and is being filled` : undefined }
}

async function checkAgree(one: Asked, newest: Asked): Promise<void> {
  if (!one.last || !newest.last) return
  const { seq, hash } = one.last
  if (seq === newest.last.seq) {
    if (hash !== newest.last.hash) throw disagree(one, newest, seq)
    return
  }
  for await (const event of newest.store.query({ after: seq - 1, limit: 1 })) {
    if (event.seq === seq && event.hash !== hash) throw disagree(one, newest, seq)
  }
}

function disagree(one: Asked, other: Asked, seq: number): OpsError {
  return new OpsError('AUDIT_UNAVAILABLE', `Cannot open the audit log: ${one.store.name} and ${other.store.name} hold different events under number ${seq}`)
}

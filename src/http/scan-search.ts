/** AuditSearch without an index: reads the log at each question. For small logs, and until an index has been built. */
import { OpsError } from '../core/errors.js'
import {
  type AuditFilter,
  type AuditSearch,
  type EventFilter,
  type Page,
  type SessionFilter,
  type SessionSummary,
  type StoredEvent,
  targetText,
} from '../core/types.js'

type Query = (filter: AuditFilter, signal?: AbortSignal) => AsyncIterable<StoredEvent>
type Draft = { -readonly [K in keyof SessionSummary]: SessionSummary[K] }

/** @param query in the order of `seq`: AuditLog.query */
export function scanSearch(query: Query): AuditSearch {
  return {
    events: (filter, signal) => scanEvents(query, filter, signal),
    sessions: (filter, signal) => scanSessions(query, filter, signal),
    session: async (id, signal) => (await summaries(query, { session: id }, signal)).get(id),
  }
}

async function scanEvents(query: Query, filter: EventFilter, signal?: AbortSignal): Promise<Page<StoredEvent>> {
  const { cursor, limit = 100, order = 'newest', verdict, batch, ...rest } = filter
  const at = cursor === undefined ? undefined : placeOf(cursor)
  const passes = (event: StoredEvent): boolean =>
    (verdict === undefined || Reflect.get(event, 'verdict') === verdict) && (batch === undefined || event.batch === batch)
  const found: StoredEvent[] = []
  const isOldest = order === 'oldest'
  for await (const event of query({ ...rest, ...(isOldest && at !== undefined && { after: at }) }, signal)) {
    if (!isOldest && at !== undefined && event.seq >= at) break
    if (!passes(event)) continue
    found.push(event)
    if (found.length <= limit) continue
    // the one too many says that something follows
    if (isOldest) break
    if (found.length > 2 * limit + 2) found.splice(0, found.length - limit - 1)
  }
  const ordered = isOldest ? found : found.reverse()
  const items = ordered.slice(0, limit)
  const last = items.at(-1)
  return { items, ...(ordered.length > limit && last && { next: String(last.seq) }) }
}

async function scanSessions(query: Query, filter: SessionFilter, signal?: AbortSignal): Promise<Page<SessionSummary>> {
  const { cursor, limit = 100, order = 'newest', user, target, door, state, from, to, text, batch } = filter
  const start = cursor === undefined ? 0 : placeOf(cursor)
  const named = text === undefined ? undefined : new Set<string>()
  if (named && text !== undefined) for await (const { session } of query({ text }, signal)) if (session !== undefined) named.add(session)
  const all = [...(await summaries(query, {}, signal)).values()].filter(
    (each) =>
      (user === undefined || each.user === user) &&
      (target === undefined || (each.target !== undefined && targetText(each.target).includes(target))) &&
      (door === undefined || each.door === door) &&
      (state === undefined || each.state === state) &&
      (from === undefined || each.startedAt >= from.toISOString()) &&
      (to === undefined || each.startedAt <= to.toISOString()) &&
      (batch === undefined || each.batch === batch) &&
      (named === undefined || named.has(each.id)),
  )
  if (order === 'newest') all.reverse()
  const end = start + limit
  return { items: all.slice(start, end), ...(end < all.length && { next: String(end) }) }
}

/** Every session of the events that pass, in the order of their first event. */
async function summaries(query: Query, filter: AuditFilter, signal?: AbortSignal): Promise<ReadonlyMap<string, SessionSummary>> {
  const drafts = new Map<string, Draft>()
  for await (const event of query(filter, signal)) if (event.session !== undefined) learn(drafts, event.session, event)
  return drafts
}

function learn(drafts: Map<string, Draft>, id: string, event: StoredEvent): void {
  const known = drafts.get(id)
  if (event.type === 'session.open' || event.type === 'session.refused') {
    const draft = known ?? begun(id, event)
    drafts.set(id, draft)
    if (event.rule !== undefined) draft.rule = event.rule
    if (event.type === 'session.open' && event.pty) draft.pty = event.pty
    if (event.type === 'session.refused')
      Object.assign(draft, { state: 'refused', reason: event.reason, endedAt: event.time }, event.address !== undefined && { address: event.address })
    return
  }
  // a command that waits for approval rests before the session is opened
  const draft = known ?? (event.type === 'command' ? begun(id, event) : undefined)
  if (!draft) return
  drafts.set(id, draft)
  if (event.type === 'session.start') draft.via = event.via
  if (event.type === 'file') draft.files++
  if (event.type === 'command') draft.commands++
  if ((event.type === 'command' || event.type === 'file') && (event.verdict === 'deny' || event.verdict === 'refused')) draft.denied++
  if (event.type === 'session.close') {
    const { exit, reason, bytesIn, bytesOut, ms, recording, recordingSha256 } = event
    Object.assign(draft, { state: 'ended', endedAt: event.time, exit, reason, bytesIn, bytesOut, ms })
    if (recording !== undefined) draft.recording = recording
    if (recordingSha256 !== undefined) draft.recordingSha256 = recordingSha256
  }
  if (event.type === 'admin' && event.action === 'session.review') {
    draft.review = { by: event.user ?? '', at: event.time, note: noteOf(event.after) }
  }
}

function begun(id: string, { user = '', from = '', door = 'shell', target, time, batch }: StoredEvent): Draft {
  return {
    id,
    state: 'live',
    user,
    from,
    door,
    startedAt: time,
    commands: 0,
    denied: 0,
    files: 0,
    ...(target && { target }),
    ...(batch !== undefined && { batch }),
  }
}

function noteOf(after: unknown): string {
  const note: unknown = typeof after === 'object' && after !== null ? Reflect.get(after, 'note') : undefined
  return typeof note === 'string' ? note : ''
}

function placeOf(cursor: string): number {
  const place = Number(cursor)
  if (!Number.isSafeInteger(place) || place < 0) throw new OpsError('BAD_REQUEST', 'cursor is none', { detail: 'the cursor is none of ours' })
  return place
}

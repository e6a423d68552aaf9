/**
 * Questions to the index. Candidates come in order from the narrowest way in (a session, a user, a target, words, or all); the rest
 * of the filter is applied to each. A question that would take too long ends early with what it has and a cursor: a page may
 * hold fewer items than asked for, even none, and still have a `next`.
 */
import { OpsError } from '../core/errors.js'
import type { EventFilter, Page, SessionFilter, SessionSummary, StoredEvent } from '../core/types.js'
import { searchText } from './audit-filter.js'
import type { SearchIndex } from './search-index.js'

/** After this a question ends with what it has (evidence.md: under 100 ms). */
const BUDGET_MS = 50
/** Events whose words are asked for at once at first, then twice as many each time: in between the time is looked at. */
const WINDOW = 25_000
/** A way in with more candidates than this is no better than the words. */
const NARROW = 10_000
const MAX_LIMIT = 1000

interface Row {
  readonly seq: number
  readonly type: string
  readonly user: string | null
  readonly session: string | null
  readonly target: number | null
  readonly verdict: string | null
  readonly batch: string | null
  readonly json: string
}

interface Bounds {
  readonly low: number
  readonly high: number
}

const COLUMNS = 'seq, type, user, session, target, verdict, batch, json'

export function searchEvents(index: SearchIndex, filter: EventFilter): Page<StoredEvent> {
  const isNewest = filter.order !== 'oldest'
  const bounds = boundsOf(index, filter, isNewest)
  const limit = limitOf(filter.limit)
  const passes = rowFilter(index, filter)
  const deadline = performance.now() + BUDGET_MS
  const items: StoredEvent[] = []
  let at: number | undefined
  for (const row of candidates(index, filter, bounds, isNewest)) {
    if (typeof row === 'number') at = row
    else {
      if (items.length === limit && passes(row)) return { items, next: String(items.at(-1)?.seq) }
      at = row.seq
      if (items.length < limit && passes(row)) items.push(JSON.parse(row.json) as StoredEvent)
    }
    if (performance.now() > deadline && at !== undefined) return { items, next: String(items.length === limit ? items.at(-1)?.seq : at) }
  }
  return { items }
}

export function searchSessions(index: SearchIndex, filter: SessionFilter): Page<SessionSummary> {
  const { user, door, state, from, to, text, target, batch } = filter
  const isNewest = filter.order !== 'oldest'
  const limit = limitOf(filter.limit)
  const place = placeOf(filter.cursor)
  const where: [string, unknown][] = []
  const narrow = text === undefined ? undefined : sessionsOfWords(index, text)
  if (place !== undefined) where.push([`start ${isNewest ? '<' : '>'} ?`, place])
  for (const [column, value] of Object.entries({ user, door, state, batch })) if (value !== undefined) where.push([`${column} = ?`, value])
  if (from) where.push(['started >= ?', from.toISOString()])
  if (to) where.push(['started <= ?', to.toISOString()])
  if (narrow) where.push(['id IN (SELECT value FROM json_each(?))', JSON.stringify([...narrow])])
  const clause = where.length === 0 ? '' : `WHERE ${where.map(([sql]) => sql).join(' AND ')}`
  const rows = index.db.prepare(`SELECT id, start, target, json FROM sessions ${clause} ORDER BY start ${isNewest ? 'DESC' : 'ASC'}`)
  const targets = target === undefined ? undefined : index.targetsWith(target)
  const says = text === undefined || narrow ? () => true : sessionSays(index, text)
  const deadline = performance.now() + BUDGET_MS
  const items: SessionSummary[] = []
  let [last, seen] = [0, 0]
  for (const row of rows.iterate(...where.map(([, value]) => value)) as Iterable<{ id: string; start: number; target: number | null; json: string }>) {
    if ((targets === undefined || (row.target !== null && targets.has(row.target))) && says(row.id)) {
      if (items.length === limit) return { items, next: String(last) }
      items.push(JSON.parse(row.json) as SessionSummary)
      last = row.start
    }
    seen = row.start
    if (performance.now() > deadline) return { items, next: String(items.length === limit ? last : seen) }
  }
  return { items }
}

export function findSession(index: SearchIndex, id: string): SessionSummary | undefined {
  const json = index.db.prepare('SELECT json FROM sessions WHERE id = ?').pluck().get(id) as string | undefined
  return json === undefined ? undefined : (JSON.parse(json) as SessionSummary)
}

/** Rows in order, and numbers up to which there are none. */
function* candidates(index: SearchIndex, filter: EventFilter, bounds: Bounds, isNewest: boolean): Generator<Row | number> {
  const { low, high } = bounds
  if (low > high) return
  const way = wayIn(index, filter, bounds)
  const order = isNewest ? 'DESC' : 'ASC'
  if (way) {
    yield* rowsOf(index, way, bounds, isNewest)
    return
  }
  const words = index.grams.match(filter.text ?? '')
  if (words === undefined) {
    yield* index.db.prepare(`SELECT ${COLUMNS} FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq ${order}`).iterate(low, high) as Iterable<Row>
    return
  }
  for (const { from, to } of windows(bounds, isNewest)) {
    yield* wordRows(index, words, from, to, order)
    yield isNewest ? from : to
  }
}

function wordRows(index: SearchIndex, words: string, from: number, to: number, order: 'ASC' | 'DESC'): Iterable<Row> {
  const columns = COLUMNS.replace('seq', 'events.seq AS seq')
  const sql = `SELECT ${columns} FROM words CROSS JOIN events ON events.seq = words.rowid WHERE words MATCH ? AND words.rowid BETWEEN ? AND ? ORDER BY words.rowid ${order}`
  return index.db.prepare(sql).iterate(words, from, to) as Iterable<Row>
}

/** Where the index has to sort, it sorts numbers, not rows. */
function* rowsOf(index: SearchIndex, way: Way, { low, high }: Bounds, isNewest: boolean): Generator<Row> {
  const where = `WHERE ${way.sql} AND seq BETWEEN ? AND ?`
  if (!way.isUnordered) {
    yield* index.db
      .prepare(`SELECT ${COLUMNS} FROM events ${where} ORDER BY seq ${isNewest ? 'DESC' : 'ASC'}`)
      .iterate(...way.values, low, high) as Iterable<Row>
    return
  }
  const numbers = index.db
    .prepare(`SELECT seq FROM events ${where}`)
    .pluck()
    .all(...way.values, low, high) as number[]
  const one = index.db.prepare(`SELECT ${COLUMNS} FROM events WHERE seq = ?`)
  for (const seq of numbers.sort((a, b) => (isNewest ? b - a : a - b))) yield one.get(seq) as Row
}

/** Growing steps through the numbers, from the end that is asked for first. */
function* windows({ low, high }: Bounds, isNewest: boolean): Generator<{ readonly from: number; readonly to: number }> {
  let size = WINDOW
  for (let done = 0; done <= high - low; ) {
    const [from, to] = isNewest ? [Math.max(low, high - done - size + 1), high - done] : [low + done, Math.min(high, low + done + size - 1)]
    yield { from, to }
    done += size
    size *= 2
  }
}

interface Way {
  readonly sql: string
  readonly values: readonly unknown[]
  /** Its rows do not come by number. */
  readonly isUnordered?: boolean
}

/** The narrowest index that serves the filter; undefined where words or a plain scan are better. */
function wayIn(index: SearchIndex, { session, batch, user, verdict, target, text }: EventFilter, { low, high }: Bounds): Way | undefined {
  const ways: Way[] = []
  if (session !== undefined) ways.push({ sql: 'session = ?', values: [session] })
  if (batch !== undefined) ways.push({ sql: 'batch = ?', values: [batch] })
  if (user !== undefined) ways.push({ sql: 'user = ?', values: [user] })
  if (verdict !== undefined) ways.push({ sql: "type IN ('command', 'file') AND verdict = ?", values: [verdict], isUnordered: true })
  if (target !== undefined) {
    ways.push({ sql: 'target IN (SELECT value FROM json_each(?))', values: [JSON.stringify([...index.targetsWith(target)])], isUnordered: true })
  }
  let best: (Way & { readonly count: number }) | undefined
  for (const way of ways) {
    const counted = index.db.prepare(`SELECT count(*) FROM (SELECT 1 FROM events WHERE ${way.sql} AND seq BETWEEN ? AND ? LIMIT ${NARROW})`)
    const count = counted.pluck().get(...way.values, low, high) as number
    if (!best || count < best.count) best = { ...way, count }
  }
  if (best && best.count < NARROW) return best
  // what is found often is also near: with words to go by, or a plain look through the newest, it comes soon
  return best && !best.isUnordered && index.grams.match(text ?? '') === undefined ? best : undefined
}

function rowFilter(index: SearchIndex, { user, session, type, verdict, batch, target, text }: EventFilter): (row: Row) => boolean {
  const targets = target === undefined ? undefined : index.targetsWith(target)
  const says = textCheck(text)
  return (row) =>
    (user === undefined || row.user === user) &&
    (session === undefined || row.session === session) &&
    (type === undefined || row.type === type) &&
    (verdict === undefined || row.verdict === verdict) &&
    (batch === undefined || row.batch === batch) &&
    (targets === undefined || (row.target !== null && targets.has(row.target))) &&
    says(row.json)
}

/** Whether an event's own text holds the words: trigrams say only that it may. */
function textCheck(text: string | undefined): (json: string) => boolean {
  if (text === undefined || text === '') return () => true
  const wanted = text.toLowerCase()
  return (json) =>
    searchText(JSON.parse(json) as StoredEvent)
      .toLowerCase()
      .includes(wanted)
}

/** The sessions of all events with these words; undefined where they are too many, or the text too short, to say. */
function sessionsOfWords(index: SearchIndex, text: string): ReadonlySet<string> | undefined {
  const words = index.grams.match(text)
  if (words === undefined) return undefined
  const { first, last } = index.range()
  const says = textCheck(text)
  const sessions = new Set<string>()
  const deadline = performance.now() + BUDGET_MS / 2
  let count = 0
  for (const { from, to } of windows({ low: first, high: last }, true)) {
    for (const { session, json } of wordRows(index, words, from, to, 'DESC')) {
      if (session !== null && !sessions.has(session) && says(json)) sessions.add(session)
      if (++count > NARROW || (count % 100 === 0 && performance.now() > deadline)) return undefined
    }
    if (performance.now() > deadline) return undefined
  }
  return sessions
}

function sessionSays(index: SearchIndex, text: string): (id: string) => boolean {
  const events = index.db.prepare('SELECT json FROM events WHERE session = ?').pluck()
  const says = textCheck(text)
  return (id) => (events.all(id) as string[]).some(says)
}

/** Numbers between which the answer lies: times grow with numbers, so a time is found by halving. */
function boundsOf(index: SearchIndex, { cursor, from, to }: EventFilter, isNewest: boolean): Bounds {
  const { first, last } = index.range()
  const place = placeOf(cursor)
  const timeOf = index.db.prepare('SELECT time FROM events WHERE seq = ?').pluck()
  const firstSuch = (is: (time: string) => boolean) => {
    let [low, high] = [first, last + 1]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const time = timeOf.get(middle) as string | undefined
      if (time !== undefined && is(time)) high = middle
      else low = middle + 1
    }
    return low
  }
  const low = from ? firstSuch((time) => time >= from.toISOString()) : first
  const high = to ? firstSuch((time) => time > to.toISOString()) - 1 : last
  if (place === undefined) return { low, high }
  return isNewest ? { low, high: Math.min(high, place - 1) } : { low: Math.max(low, place + 1), high }
}

function placeOf(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined
  if (!/^\d{1,15}$/.test(cursor)) throw new OpsError('BAD_REQUEST', 'cursor is none', { detail: 'the cursor is none of ours' })
  return Number(cursor)
}

function limitOf(limit = 100): number {
  return Math.min(Math.max(Math.floor(limit) || 0, 1), MAX_LIMIT)
}

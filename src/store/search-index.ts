/**
 * The index beside the log: SQLite with an index of trigrams, so that any part of a path or a command is found. It holds
 * nothing that the log does not, and is made again from it whenever it is missing, damaged or of another log. Runs in a thread.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { type StoredEvent, targetText } from '../core/types.js'
import { learnSession, type SessionDraft } from '../wire/session-summary.js'
import { searchText } from './audit-filter.js'
import { GramSample } from './gram-sample.js'

/** Another layout has another number: an index of an older one is made again. */
const VERSION = '2'
/** Of one event: nobody searches behind this in a line of a megabyte. */
const MAX_TEXT = 16 * 1024

const SCHEMA = `
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events(seq INTEGER PRIMARY KEY, time TEXT NOT NULL, type TEXT NOT NULL, user TEXT, session TEXT, target INTEGER, verdict TEXT, batch TEXT, json TEXT NOT NULL);
CREATE INDEX events_session ON events(session, seq) WHERE session IS NOT NULL;
CREATE INDEX events_user ON events(user, seq) WHERE user IS NOT NULL;
CREATE INDEX events_type ON events(type, verdict, seq);
CREATE INDEX events_target ON events(target, seq) WHERE target IS NOT NULL;
CREATE INDEX events_batch ON events(batch, seq) WHERE batch IS NOT NULL;
CREATE TABLE targets(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE sessions(id TEXT PRIMARY KEY, start INTEGER NOT NULL, last INTEGER NOT NULL, started TEXT NOT NULL, user TEXT NOT NULL, door TEXT NOT NULL, target INTEGER, state TEXT NOT NULL, batch TEXT, json TEXT NOT NULL);
CREATE INDEX sessions_start ON sessions(start);
CREATE INDEX sessions_user ON sessions(user, start);
CREATE INDEX sessions_batch ON sessions(batch, start) WHERE batch IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5(text, content='', contentless_delete=1, detail=none, tokenize='trigram');
`

export type Db = InstanceType<typeof Database>

export class SearchIndex {
  readonly db: Db
  readonly #statements: ReturnType<typeof prepare>
  readonly #targets = new Map<string, number>()
  readonly grams = new GramSample()

  /** Opens the index, or begins an empty one in the place of what is no index of this version. @param path its file; 0600 */
  static open(path: string): SearchIndex {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    try {
      const index = new SearchIndex(path)
      if (index.#version() === VERSION) return index
      index.close()
    } catch (error) {
      if (!isDamage(error)) throw error
    }
    return SearchIndex.fresh(path)
  }

  /** An empty index, whatever was there. */
  static fresh(path: string): SearchIndex {
    for (const ending of ['', '-wal', '-shm']) rmSync(path + ending, { force: true })
    return new SearchIndex(path)
  }

  private constructor(path: string) {
    this.db = new Database(path)
    try {
      if (path !== ':memory:') chmodSync(path, 0o600)
      this.db.pragma('journal_mode = WAL')
      // it can be made again: a power cut may cost its end, never the log
      this.db.pragma('synchronous = NORMAL')
      this.db.pragma('cache_size = -65536')
      const isEmpty = this.db.prepare("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").pluck().get() === 0
      if (isEmpty) this.db.transaction(() => this.db.exec(SCHEMA).prepare("INSERT INTO meta VALUES('version', ?)").run(VERSION))()
      this.#statements = prepare(this.db)
      for (const { id, text } of this.#statements.targets.all() as { id: number; text: string }[]) this.#targets.set(text, id)
      this.#sample()
    } catch (error) {
      this.db.close()
      throw error
    }
  }

  /** Numbers of the first and the last event that are in it; 0 while there are none. */
  range(): { readonly first: number; readonly last: number } {
    const { first, last } = this.#statements.range.get() as { first: number | null; last: number | null }
    return { first: first ?? 0, last: last ?? 0 }
  }

  /** Hash of the last event in it: whoever goes on from there compares it with the log's. */
  lastHash(): string | undefined {
    const json = this.#statements.last.get() as string | undefined
    return json === undefined ? undefined : (JSON.parse(json) as StoredEvent).hash
  }

  /** Adds events that follow, all or none. */
  readonly add = (events: readonly StoredEvent[]): void => {
    this.db.transaction(() => {
      const drafts = new Map<string, { draft: SessionDraft; start: number; last: number }>()
      for (const event of events) {
        this.#addEvent(event)
        this.#learn(drafts, event)
      }
      for (const { draft, start, last } of drafts.values()) this.#saveSession(draft, start, last)
    })()
  }

  /** Forgets events before `first`, and sessions whose last event was one of them. */
  removeBefore(first: number): void {
    this.db.transaction(() => {
      this.#statements.removeWords.run(first)
      this.#statements.removeEvents.run(first)
      this.#statements.removeSessions.run(first)
    })()
  }

  /** Ids of the targets whose text holds `part`. */
  targetsWith(part: string): ReadonlySet<number> {
    return new Set([...this.#targets].filter(([text]) => text.includes(part)).map(([, id]) => id))
  }

  close(): void {
    this.db.close()
  }

  #version(): unknown {
    return this.db.prepare("SELECT value FROM meta WHERE key = 'version'").pluck().get()
  }

  #addEvent(event: StoredEvent): void {
    const verdict: unknown = Reflect.get(event, 'verdict')
    const { seq, time, type, user, session, target, batch } = event
    this.#statements.addEvent.run(
      seq,
      time,
      type,
      user ?? null,
      session ?? null,
      target ? this.#targetId(targetText(target)) : null,
      typeof verdict === 'string' ? verdict : null,
      batch ?? null,
      JSON.stringify(event),
    )
    const text = searchText(event).slice(0, MAX_TEXT)
    if (text.length < 3) return
    this.#statements.addWords.run(seq, text)
    this.grams.look(text)
  }

  /** What the words are like, of some events of an index that was there before. */
  #sample(): void {
    const { first, last } = this.range()
    const step = Math.max(1, Math.floor((last - first) / 2000))
    const text = this.db.prepare('SELECT json FROM events WHERE seq = ?').pluck()
    for (let seq = first; seq <= last; seq += step) {
      const json = text.get(seq) as string | undefined
      if (json !== undefined) this.grams.look(searchText(JSON.parse(json) as StoredEvent), true)
    }
  }

  #targetId(text: string): number {
    const known = this.#targets.get(text)
    if (known !== undefined) return known
    const id = Number(this.#statements.addTarget.run(text).lastInsertRowid)
    this.#targets.set(text, id)
    return id
  }

  #learn(drafts: Map<string, { draft: SessionDraft; start: number; last: number }>, event: StoredEvent): void {
    const { session: id, seq } = event
    if (id === undefined) return
    const known = drafts.get(id) ?? this.#loadSession(id)
    const draft = learnSession(known?.draft, event)
    if (draft) drafts.set(id, { draft, start: known?.start ?? seq, last: seq })
  }

  #loadSession(id: string): { draft: SessionDraft; start: number; last: number } | undefined {
    const row = this.#statements.session.get(id) as { start: number; last: number; json: string } | undefined
    return row && { draft: JSON.parse(row.json) as SessionDraft, start: row.start, last: row.last }
  }

  #saveSession(draft: SessionDraft, start: number, last: number): void {
    const target = draft.target ? this.#targetId(targetText(draft.target)) : null
    this.#statements.saveSession.run(
      draft.id,
      start,
      last,
      draft.startedAt,
      draft.user,
      draft.door,
      target,
      draft.state,
      draft.batch ?? null,
      JSON.stringify(draft),
    )
  }
}

/** Whether SQLite says that the file is not, or no longer, a database of ours. */
export function isDamage(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && /^SQLITE_(CORRUPT|NOTADB|ERROR|IOERR_SHORT_READ|FORMAT|SCHEMA)/.test(code)
}

function prepare(db: Db) {
  return {
    range: db.prepare('SELECT (SELECT min(seq) FROM events) AS first, (SELECT max(seq) FROM events) AS last'),
    last: db.prepare('SELECT json FROM events ORDER BY seq DESC LIMIT 1').pluck(),
    addEvent: db.prepare('INSERT INTO events VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    addWords: db.prepare('INSERT INTO words(rowid, text) VALUES(?, ?)'),
    addTarget: db.prepare('INSERT INTO targets(text) VALUES(?)'),
    targets: db.prepare('SELECT id, text FROM targets'),
    session: db.prepare('SELECT start, last, json FROM sessions WHERE id = ?'),
    saveSession: db.prepare('INSERT OR REPLACE INTO sessions VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    removeWords: db.prepare('DELETE FROM words WHERE rowid IN (SELECT seq FROM events WHERE seq < ?)'),
    removeEvents: db.prepare('DELETE FROM events WHERE seq < ?'),
    removeSessions: db.prepare('DELETE FROM sessions WHERE last < ?'),
  }
}

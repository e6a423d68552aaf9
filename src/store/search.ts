/** AuditSearch on the index: asks its thread, so that no question and no rebuild ever holds up the gateway's event loop. */
import type { Worker } from 'node:worker_threads'
import { abortReason, type ErrorCode, OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { AuditSearch, EventFilter, Page, SessionFilter, SessionSummary, StoredEvent } from '../core/types.js'
import { startWorker } from './worker-thread.js'

/** The log that the thread reads. */
export type SearchSource = { readonly type: 'file'; readonly dir: string } | { readonly type: 'redis'; readonly url: string; readonly stream?: string }

export type SearchAsk =
  | { readonly kind: 'events'; readonly id: number; readonly filter: EventFilter }
  | { readonly kind: 'sessions'; readonly id: number; readonly filter: SessionFilter }
  | { readonly kind: 'session'; readonly id: number; readonly session: string }
  /** There is more to read. */
  | { readonly kind: 'follow' }
  /** Retention: the log begins here now. */
  | { readonly kind: 'removed'; readonly first: number }
export type SearchAnswer =
  | { readonly id: number; readonly value?: unknown; readonly error?: { readonly code: ErrorCode; readonly message: string; readonly detail?: string } }
  | { readonly indexed: number }
  | { readonly note: string; readonly reason: string }

export interface SearchOptions {
  /** The file of the index; beside it SQLite's -wal and -shm. */
  readonly path: string
  readonly source: SearchSource
  readonly logger: Logger
}

/** The log is looked at for more at most this often, unless somebody asks: each look costs about a millisecond of the thread. */
const FOLLOW_MS = 250
/** Questions that wait. */
const MAX_ASKED = 256
/** A thread that dies at once must not be started in a circle. */
const RESTART_MS = 1000

/** Filters without what cannot be sent to a thread. */
type Question = SearchAsk extends infer A ? (A extends { id: number } ? Omit<A, 'id'> : never) : never

export class Search implements AuditSearch {
  readonly #options: SearchOptions
  readonly #asked = new Map<number, (answer: { readonly value?: unknown; readonly error?: Error }) => void>()
  readonly #waiting = new Set<() => void>()
  #worker: Worker
  #ids = 0
  #indexed = 0
  #follow: NodeJS.Timeout | undefined
  #restart: NodeJS.Timeout | undefined
  #closed = false

  /** Starts the thread, which begins to read the log at once. */
  constructor(options: SearchOptions) {
    this.#options = options
    this.#worker = this.#start()
  }

  events(filter: EventFilter, signal?: AbortSignal): Promise<Page<StoredEvent>> {
    return this.#ask({ kind: 'events', filter: plain(filter) }, signal) as Promise<Page<StoredEvent>>
  }

  sessions(filter: SessionFilter, signal?: AbortSignal): Promise<Page<SessionSummary>> {
    return this.#ask({ kind: 'sessions', filter: plain(filter) }, signal) as Promise<Page<SessionSummary>>
  }

  session(id: string, signal?: AbortSignal): Promise<SessionSummary | undefined> {
    return this.#ask({ kind: 'session', session: id }, signal) as Promise<SessionSummary | undefined>
  }

  /** Events have rested. Cheap: for AuditLog.onAppend. */
  readonly noted = (): void => {
    this.#follow ??= setTimeout(() => this.follow(), FOLLOW_MS).unref()
  }

  /** Looks for more now: somebody waits for it. */
  follow(): void {
    clearTimeout(this.#follow)
    this.#follow = undefined
    this.#worker.postMessage({ kind: 'follow' } satisfies SearchAsk)
  }

  /** Retention has removed the events before `first`. */
  removed(first: number): void {
    this.#worker.postMessage({ kind: 'removed', first } satisfies SearchAsk)
  }

  /** The number of the newest event that can be found. */
  get indexed(): number {
    return this.#indexed
  }

  /** Resolves when event `seq` can be found. */
  async caughtUp(seq: number, signal: AbortSignal): Promise<void> {
    while (this.#indexed < seq) {
      await new Promise<void>((resolve, reject) => {
        const stop = () => reject(abortReason(signal))
        signal.addEventListener('abort', stop, { once: true })
        this.#waiting.add(() => {
          signal.removeEventListener('abort', stop)
          resolve()
        })
        if (signal.aborted) stop()
      })
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#follow)
    clearTimeout(this.#restart)
    await this.#worker.terminate()
    this.#failAll('the gateway is closing')
  }

  #ask(question: Question, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(abortReason(signal))
    if (this.#closed) return Promise.reject(new OpsError('DRAINING', 'Cannot search: the index is closed'))
    if (this.#asked.size >= MAX_ASKED) return Promise.reject(new OpsError('LIMIT_EXCEEDED', `Cannot search: ${MAX_ASKED} questions wait`))
    const id = ++this.#ids
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#asked.delete(id)
        reject(signal ? abortReason(signal) : undefined)
      }
      signal?.addEventListener('abort', stop, { once: true })
      this.#asked.set(id, ({ value, error }) => {
        signal?.removeEventListener('abort', stop)
        if (error) reject(error)
        else resolve(value)
      })
      this.#worker.postMessage({ ...question, id })
    })
  }

  #start(): Worker {
    const { path, source, logger } = this.#options
    const worker = startWorker(import.meta.url, 'search-worker', { path, source })
    worker.unref()
    worker.on('message', (answer: SearchAnswer) => this.#hear(answer))
    worker.on('error', (error) => logger.error({ reason: error.message }, 'search.thread-failed'))
    worker.on('exit', () => {
      if (this.#closed) return
      this.#failAll('its thread ended')
      this.#restart = setTimeout(() => {
        this.#worker = this.#start()
      }, RESTART_MS).unref()
    })
    return worker
  }

  #hear(answer: SearchAnswer): void {
    if ('indexed' in answer) {
      this.#indexed = answer.indexed
      for (const tell of this.#waiting) tell()
      this.#waiting.clear()
    } else if ('note' in answer) this.#options.logger.warn({ reason: answer.reason }, answer.note)
    else {
      const { error, value } = answer
      this.#asked.get(answer.id)?.(
        error ? { error: new OpsError(error.code, error.message, error.detail === undefined ? {} : { detail: error.detail }) } : { value },
      )
      this.#asked.delete(answer.id)
    }
  }

  #failAll(why: string): void {
    for (const tell of this.#asked.values()) tell({ error: new OpsError('INTERNAL', `Cannot search: ${why}`) })
    this.#asked.clear()
  }
}

/** Only what is set: a class or a function among it could not be sent. */
function plain<T extends object>(filter: T): T {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as T
}

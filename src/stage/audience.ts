/**
 * Live watchers of running sessions. Who joins gets a header, the last output up to this byte, and from the next byte on what
 * the client gets, so nothing is missing and nothing comes twice (the offset splice is Warpgate's idea). A watcher that does
 * not read fast enough is dropped with a note; the session never waits for one.
 */
import { Readable, Transform } from 'node:stream'
import { OpsError } from '../core/errors.js'
import { type Interceptor, type Session, type Stage, targetText, type WindowSize } from '../core/types.js'
import { castEventLine, castHeaderLine, castSize, TextDecoding } from '../wire/asciicast.js'
import { Backlog } from './backlog.js'

export interface AudienceOptions {
  /** Output kept for those who join; 64 KiB. */
  readonly backlogBytes?: number
  /** What may wait for one watcher before it is dropped; 1 MiB. */
  readonly maxWaitingBytes?: number
  /** Watchers of one session; 16. */
  readonly maxWatchers?: number
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

/** The audience of all sessions. Its `intercept` is the stage factory. */
export class Audience {
  readonly #options: AudienceOptions
  readonly #shows = new Map<string, Show>()

  constructor(options: AudienceOptions = {}) {
    this.#options = options
  }

  readonly intercept: Interceptor = (session): Stage => {
    const show = new Show(session, this.#options, () => this.#shows.delete(session.id))
    this.#shows.set(session.id, show)
    return show.stage
  }

  /**
   * Watches a running session: a stream of asciicast v2 lines. The header's `dockin.offset` is how many bytes of output came
   * before the first that is shown. Ends with the session, or after a marker when the watcher was too slow. Destroy it to leave.
   * @throws OpsError NOT_FOUND when the session does not run (here); LIMIT_EXCEEDED
   */
  join(sessionId: string): Readable {
    const show = this.#shows.get(sessionId)
    if (!show) throw new OpsError('NOT_FOUND', `Cannot watch session "${sessionId}": it does not run here`)
    return show.join()
  }

  /** How many watch a session now. */
  watchers(sessionId: string): number {
    return this.#shows.get(sessionId)?.watchers ?? 0
  }
}

class Show {
  readonly stage: Stage
  readonly #session: Session
  readonly #options: AudienceOptions
  readonly #now: () => number
  readonly #startMs: number
  readonly #backlog: Backlog
  readonly #watchers = new Set<Readable>()
  readonly #forget: () => void
  #size: Pick<WindowSize, 'columns' | 'rows'>
  /** Only while somebody watches: text of live events, with what a character lacks carried over. */
  #text: TextDecoding | undefined

  constructor(session: Session, options: AudienceOptions, forget: () => void) {
    this.#session = session
    this.#options = options
    this.#forget = forget
    this.#now = options.now ?? (() => performance.now())
    this.#startMs = this.#now()
    this.#backlog = new Backlog(options.backlogBytes ?? 64 * 1024)
    this.#size = session.pty?.size ?? { columns: 80, rows: 24 }
    const down = this.#lane()
    this.stage = {
      name: 'audience',
      down,
      // Without a terminal stderr is a lane of its own; a watcher sees both as the user's screen would show them.
      ...(session.pty ? {} : { err: this.#lane() }),
      resize: (size) => this.#resize(size),
      finish: async () => this.#end(),
    }
  }

  get watchers(): number {
    return this.#watchers.size
  }

  join(): Readable {
    const max = this.#options.maxWatchers ?? 16
    if (this.#watchers.size >= max) throw new OpsError('LIMIT_EXCEEDED', `Cannot watch session "${this.#session.id}": ${max} already do`)
    const watcher = new Readable({ read: () => {} })
    watcher.on('close', () => this.#leave(watcher))
    const shown = this.#shownBacklog()
    watcher.push(castHeaderLine(this.#header(shown.offset)))
    // Fresh decoding of the same bytes ends in the same half character as the shared one, which will complete it.
    const text = new TextDecoding().push(shown.bytes)
    if (text !== '') watcher.push(this.#line('o', text))
    if (!this.#text) {
      this.#text = new TextDecoding()
      this.#text.push(shown.bytes)
    }
    this.#watchers.add(watcher)
    return watcher
  }

  /** Held output; where older bytes were dropped it begins after a line end, not in the middle of an escape sequence. */
  #shownBacklog(): { readonly bytes: Buffer; readonly offset: number } {
    const bytes = this.#backlog.bytes()
    const cut = this.#backlog.offset > 0 ? bytes.indexOf(0x0a) + 1 : 0
    return { bytes: bytes.subarray(cut), offset: this.#backlog.offset + cut }
  }

  #lane(): Transform {
    return new Transform({
      highWaterMark: 64 * 1024,
      transform: (chunk: Buffer, _encoding, done) => {
        this.#backlog.push(chunk)
        const text = this.#text?.push(chunk)
        if (text) this.#send(this.#line('o', text))
        done(null, chunk)
      },
    })
  }

  #resize({ columns, rows }: WindowSize): void {
    this.#size = { columns, rows }
    this.#send(this.#line('r', castSize(columns, rows)))
  }

  #send(line: string): void {
    if (this.#watchers.size === 0) return
    const bytes = Buffer.from(line)
    const max = this.#options.maxWaitingBytes ?? 1024 * 1024
    for (const watcher of this.#watchers) {
      if (watcher.readableLength + bytes.length <= max) watcher.push(bytes)
      else this.#drop(watcher)
    }
  }

  #drop(watcher: Readable): void {
    this.#leave(watcher)
    watcher.push(this.#line('m', 'dockin: this view fell behind and was closed, open it again'))
    watcher.push(null)
  }

  #leave(watcher: Readable): void {
    this.#watchers.delete(watcher)
    if (this.#watchers.size === 0) this.#text = undefined
  }

  #end(): void {
    this.#forget()
    for (const watcher of this.#watchers) watcher.push(null)
    this.#watchers.clear()
    this.#text = undefined
  }

  #line(code: string, data: string): string {
    return castEventLine((this.#now() - this.#startMs) / 1000, code, data)
  }

  #header(offset: number): Parameters<typeof castHeaderLine>[0] {
    const { id, identity, target, startedAt, pty } = this.#session
    return {
      version: 2,
      width: this.#size.columns,
      height: this.#size.rows,
      timestamp: Math.floor(startedAt.getTime() / 1000),
      title: `${identity.user} in ${targetText(target)}`,
      ...(pty ? { env: { TERM: pty.term } } : {}),
      dockin: { session: id, user: identity.user, target: targetText(target), offset },
    }
  }
}

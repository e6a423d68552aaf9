/**
 * Records what the client saw: every chunk of output becomes one asciicast event before it goes on. A slow tape slows the
 * session (back-pressure); a tape that fails ends the session, or is let go, as `onFailure` says. Input is recorded only where the
 * rule asks for it, by whole lines that the terminal echoed (typed.ts).
 */
import { Transform } from 'node:stream'
import { OpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import {
  type AuditSink,
  type Interceptor,
  type Session,
  type Stage,
  type StoredEvent,
  type Tape,
  type TapeStore,
  targetText,
  type WindowSize,
} from '../core/types.js'
import { type CastHeader, castEventBytes, castEventLine, castHeaderLine, castSize, WholeCharacters } from '../wire/asciicast.js'
import { TypedLines } from './typed.js'

export interface RecorderOptions {
  readonly tapes: TapeStore
  readonly logger: Logger
  /** refuse: a session that cannot be recorded does not run. continue: it does, and the audit says that it was not recorded. */
  readonly onFailure: 'refuse' | 'continue'
  /** Takes the note of a recording that was given up with `continue`. */
  readonly audit?: Pick<AuditSink, 'write'>
  /** Which sessions are recorded; those with a terminal by default. */
  readonly records?: (session: Session) => boolean
  /** Bytes of output after which a session's recording is closed with a marker; no cap by default. */
  readonly maxBytes?: (session: Session) => number | undefined
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

/** Command events that came before their session's recording was open (an exec's line is vetted first). */
const MAX_EARLY = 1000
/** Characters of a command line in its marker: enough to know it by. */
const MAX_LABEL = 200

/** The recorder of all sessions. Its `intercept` is the stage factory. */
export class Recorder {
  readonly #options: RecorderOptions
  readonly #running = new Map<string, Recording>()
  readonly #early = new Map<string, string>()

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /**
   * Opens the tape; the session runs only once it is there.
   * @throws OpsError RECORDING_FAILED with `onFailure: refuse`
   */
  readonly intercept: Interceptor = async (session): Promise<Stage | undefined> => {
    const records = this.#options.records ?? ((each: Session) => each.pty !== undefined)
    if (!records(session)) return undefined
    const tape = await this.#create(session)
    if (!tape) return undefined
    const recording = new Recording(session, tape, this.#options, () => this.#running.delete(session.id))
    this.#running.set(session.id, recording)
    const early = this.#early.get(session.id)
    if (early !== undefined) recording.event('m', early)
    this.#early.delete(session.id)
    return recording.stage
  }

  /**
   * Marks the command that an event tells of: "NUMBER LINE", "NUMBER denied: LINE". Call it with every event that rests, in order
   * (AuditLog.onAppend): a command runs only after that, so its marker comes before its output.
   */
  readonly note = (event: StoredEvent): void => {
    const { session } = event
    if (session === undefined) return
    if (event.type === 'session.close' || event.type === 'session.refused') this.#early.delete(session)
    if (event.type !== 'command') return
    const line = escapePeerText(event.line ?? '(not UTF-8)', MAX_LABEL)
    const label = `${event.seq} ${event.verdict === 'deny' || event.verdict === 'refused' ? 'denied: ' : ''}${line}`
    if (this.#running.has(session)) this.mark(session, label)
    else if (this.#early.size < MAX_EARLY) this.#early.set(session, label)
  }

  /** Sets a marker in the recording of a running session (a command's number); nothing happens when it is not recorded. */
  mark(sessionId: string, label: string): void {
    this.#running.get(sessionId)?.event('m', label)
  }

  async #create(session: Session): Promise<Tape | undefined> {
    try {
      return await this.#options.tapes.create(session)
    } catch (error) {
      if (this.#options.onFailure === 'refuse') throw recordingFailed(session, error)
      await noteUnrecorded(this.#options, session, error)
      return undefined
    }
  }
}

class Recording {
  readonly stage: Stage
  readonly #session: Session
  readonly #tape: Tape
  readonly #options: RecorderOptions
  readonly #forget: () => void
  readonly #now: () => number
  readonly #startMs: number
  readonly #lanes: Transform[]
  readonly #typed: TypedLines | undefined
  #left: number
  /** "on", until the cap is reached ("capped"), the tape is given up ("lost") or sealed. */
  #state: 'on' | 'capped' | 'lost' | 'sealed' = 'on'
  #facts: Readonly<Record<string, string>> = {}

  constructor(session: Session, tape: Tape, options: RecorderOptions, forget: () => void) {
    this.#session = session
    this.#tape = tape
    this.#options = options
    this.#forget = forget
    this.#now = options.now ?? (() => performance.now())
    this.#startMs = this.#now()
    this.#left = options.maxBytes?.(session) ?? Number.POSITIVE_INFINITY
    this.#typed = session.pty && session.record?.input ? new TypedLines() : undefined
    const down = this.#lane('o')
    const err = session.pty ? undefined : this.#lane('e')
    this.#lanes = err ? [down, err] : [down]
    tape.sink.on('error', (error) => this.#fail(error))
    tape.sink.write(castHeaderLine(headerOf(session, new Date())))
    this.stage = {
      name: 'recorder',
      down,
      ...(err ? { err } : {}),
      ...(this.#typed && { up: this.#input(this.#typed) }),
      resize: (size) => this.#resize(size),
      finish: () => this.#finish(),
      facts: () => this.#facts,
    }
  }

  event(code: string, data: string): boolean {
    return this.#state !== 'on' || this.#tape.sink.write(castEventLine(this.#seconds(), code, data))
  }

  #seconds(): number {
    return (this.#now() - this.#startMs) / 1000
  }

  #lane(code: 'o' | 'e'): Transform {
    const text = new WholeCharacters()
    return new Transform({
      highWaterMark: 64 * 1024,
      transform: (chunk: Buffer, _encoding, done) => {
        if (this.#typed) this.#tell(this.#typed.shown(chunk))
        if (this.#record(code, text.push(chunk), chunk.length)) done(null, chunk)
        else this.#afterDrain(() => done(null, chunk))
      },
      flush: (done) => {
        this.#record(code, text.end(), 0)
        done()
      },
    })
  }

  /** What is typed goes on at once; its lines are told when they are whole. */
  #input(typed: TypedLines): Transform {
    return new Transform({
      highWaterMark: 64 * 1024,
      transform: (chunk: Buffer, _encoding, done) => {
        this.#tell(typed.typed(chunk))
        done(null, chunk)
      },
    })
  }

  #tell(lines: readonly string[]): void {
    for (const line of lines) {
      this.#left -= line.length
      this.event('i', line)
    }
  }

  /** @returns false when the tape is full for the moment */
  #record(code: string, text: Buffer, bytes: number): boolean {
    if (this.#state !== 'on') return true
    this.#left -= bytes
    if (this.#left < 0) {
      this.event('m', 'dockin: the recording ends here, its size limit is reached')
      this.#state = 'capped'
      return true
    }
    return text.length === 0 || this.#tape.sink.write(castEventBytes(this.#seconds(), code, text))
  }

  #resize(size: WindowSize): void {
    this.event('r', castSize(size.columns, size.rows))
  }

  #afterDrain(then: () => void): void {
    const { sink } = this.#tape
    const go = () => {
      sink.off('drain', go)
      sink.off('close', go)
      then()
    }
    sink.once('drain', go)
    sink.once('close', go)
  }

  #fail(error: Error): void {
    if (this.#state === 'lost' || this.#state === 'sealed') return
    this.#state = 'lost'
    this.#forget()
    if (this.#options.onFailure === 'refuse') {
      const reason = recordingFailed(this.#session, error)
      for (const lane of this.#lanes) lane.destroy(reason)
      return
    }
    void noteUnrecorded(this.#options, this.#session, error)
  }

  async #finish(): Promise<void> {
    if (this.#state === 'lost') return
    try {
      const { sha256 } = await this.#seal()
      this.#facts = { recording: this.#tape.path, recordingSha256: sha256 }
    } catch (error) {
      if (this.#options.onFailure === 'refuse') throw recordingFailed(this.#session, error)
      await noteUnrecorded(this.#options, this.#session, error)
    }
  }

  #seal(): Promise<{ readonly sha256: string }> {
    this.#state = 'sealed'
    this.#forget()
    this.#tape.sink.end()
    return this.#tape.seal()
  }
}

function headerOf(session: Session, began: Date): CastHeader {
  const size = session.pty?.size
  return {
    version: 2,
    width: size?.columns ?? 80,
    height: size?.rows ?? 24,
    timestamp: Math.floor(session.startedAt.getTime() / 1000),
    title: `${session.identity.user} in ${targetText(session.target)}`,
    ...(session.command === undefined ? {} : { command: session.command }),
    ...(session.pty ? { env: { TERM: session.pty.term } } : {}),
    dockin: { session: session.id, user: session.identity.user, door: session.door, target: targetText(session.target), began: began.toISOString() },
  }
}

function recordingFailed(session: Session, error: unknown): OpsError {
  if (error instanceof OpsError && error.code === 'RECORDING_FAILED') return error
  return new OpsError('RECORDING_FAILED', `Cannot record session "${session.id}": ${(error as Error).message}`, { cause: error })
}

async function noteUnrecorded(options: RecorderOptions, session: Session, error: unknown): Promise<void> {
  const reason = (error as Error).message
  options.logger.error({ session: session.id, reason }, 'recording.lost')
  const note = { type: 'admin', action: 'recording.lost', object: session.id, session: session.id, user: session.identity.user, after: { reason } } as const
  // `continue` says that the session goes on; that the note could not be kept either is in the log of the gateway.
  await options.audit?.write(note).catch((failure: Error) => options.logger.error({ session: session.id, reason: failure.message }, 'recording.lost-unnoted'))
}

/**
 * TapeStore on the file system: DIR/YYYY/MM/DD/SESSION.cast.gz (or .cast.enc) by the UTC day on which the session started, so that a day can be
 * archived as one directory. While it is written the name ends in `.part`; sealing makes it durable and renames it.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { OpsError } from '../core/errors.js'
import type { AuditEvent, AuditFilter, Session, StoredEvent, Tape, TapeStore } from '../core/types.js'
import { ELSEWHERE_ENDING, KEYFRAMES_ENDING } from '../wire/evidence/verify-recordings.js'
import type { CastPlace } from '../wire/tape-part.js'
import type { KeyframeThread } from './keyframe-thread.js'
import { fileBytes, framesOf, GZIP, type TapeBytes, type TapeFormat } from './tape-format.js'
import { TapeMarks } from './tape-marks.js'
import { partOfTape } from './tape-part.js'
import { openTape, type TapeMark, type TapePlace } from './tape-replay.js'
import type { TapeS3 } from './tape-s3.js'
import { seekTape } from './tape-seek.js'
import { TapeSink } from './tape-sink.js'

/** What may become a file name: no dots, no separators, nothing hidden. */
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/
const PART = '.part'

export interface TapeFileOptions {
  /** Paths of tapes are told relative to it. */
  readonly dataDir: string
  /** Below `dataDir`; "recordings" by default. */
  readonly dir?: string
  /** Blocks of gzip by default; see tape-cipher.ts. */
  readonly format?: TapeFormat
  /** Makes screens to seek by, once a recording is sealed or when it is first asked for. Without it seeking reads from the beginning. */
  readonly keyframes?: KeyframeThread
  /** Takes recordings once their hash is in the log, and gives them back. */
  readonly elsewhere?: TapeS3
}

/** What recover() needs of the audit log. */
export interface RecoveryLog {
  write(event: AuditEvent): Promise<unknown>
  query(filter: AuditFilter): AsyncIterable<StoredEvent>
}

export class TapeFile implements TapeStore {
  readonly #dataDir: string
  readonly #dir: string
  readonly #extension: string
  readonly #format: TapeFormat
  readonly #options: TapeFileOptions
  readonly #marks: TapeMarks
  /** Sealed, and not yet in the log. */
  readonly #sealed = new Map<string, { readonly sha256: string; readonly bytes: number }>()

  constructor(options: TapeFileOptions) {
    this.#dataDir = options.dataDir
    this.#dir = join(options.dataDir, options.dir ?? 'recordings')
    this.#format = options.format ?? GZIP
    this.#extension = this.#format.extension
    this.#options = options
    this.#marks = new TapeMarks(options.keyframes)
  }

  /** The file is there and 0600 once this resolves. `tape.path` names it as it will be called when it is sealed. */
  async create(session: Session): Promise<Tape> {
    const path = this.#pathOf(session.id, session.startedAt)
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      if (await exists(path)) throw Object.assign(new Error('it exists'), { code: 'EEXIST' })
      if (await exists(path + ELSEWHERE_ENDING)) throw Object.assign(new Error('it exists'), { code: 'EEXIST' })
      const tape = await this.#tapeOf(path, await open(path + PART, 'wx', 0o600))
      this.#options.elsewhere?.created(tape.path)
      return tape
    } catch (error) {
      throw failed('create', path, error)
    }
  }

  /**
   * The recording as asciicast, from its beginning; of a session that still runs, what has been flushed so far.
   * @throws OpsError NOT_FOUND, BAD_REQUEST when the id is none; CONFIG_INVALID when it is encrypted for somebody else
   */
  async open(sessionId: string): Promise<Readable> {
    return await openTape(await this.#place(sessionId))
  }

  /**
   * The recording from a second on: header, the screen as it was, what follows. Times stay those of the recording.
   * @throws OpsError as open()
   */
  async seek(sessionId: string, seconds: number): Promise<Readable> {
    return await seekTape(await this.#place(sessionId), seconds, this.#options.keyframes)
  }

  /** A part of it from a place on, of about `limit` bytes of lines; see tape-part.ts. @throws OpsError as open() */
  async part(sessionId: string, place: CastPlace, limit: number): Promise<Buffer> {
    const tape = await this.#place(sessionId)
    return await partOfTape(tape, place, limit, { keyframes: this.#options.keyframes, marks: () => this.#marks.of(tape) })
  }

  /** The markers of a recording, in order. @throws OpsError as open() */
  async marks(sessionId: string): Promise<readonly TapeMark[]> {
    return await this.#marks.of(await this.#place(sessionId))
  }

  /** The bytes as they rest, whose sha256 the log holds: for an evidence pack. @throws OpsError NOT_FOUND, BAD_REQUEST */
  async raw(sessionId: string): Promise<Readable> {
    return Readable.from((await this.rest(sessionId)).content, { objectMode: false })
  }

  /** The same, and how many there are. Nothing is open until they are read. @throws OpsError NOT_FOUND, BAD_REQUEST */
  async rest(sessionId: string): Promise<{ readonly bytes: number; readonly content: AsyncIterable<Buffer> }> {
    const place = await this.#place(sessionId)
    const tape = await place.open()
    await tape.close()
    // looked for anew when it is read: meanwhile it may have gone to S3
    return { bytes: tape.size, content: restOf(() => this.#place(sessionId), tape.size) }
  }

  /** Sends what an earlier run sealed and could not send. Once, after recover(). */
  async resume(): Promise<void> {
    await this.#options.elsewhere?.resume(hashOf)
  }

  async #place(sessionId: string): Promise<TapePlace> {
    const path = await this.find(sessionId)
    const { elsewhere } = this.#options
    const note = (await exists(path)) ? undefined : await elsewhere?.find(path)
    if (elsewhere && note) return { path, format: this.#format, open: async () => elsewhere.bytes(note) }
    return { path, format: this.#format, open: async () => await openFile(path) }
  }

  /** Where the recording of a session rests now, sealed or not. @throws OpsError NOT_FOUND, BAD_REQUEST */
  async find(sessionId: string): Promise<string> {
    checkId(sessionId)
    for await (const day of this.#days()) {
      const path = join(day, sessionId + this.#extension)
      if (await exists(path)) return path
      if (await exists(path + PART)) return path + PART
      if (this.#options.elsewhere && (await exists(path + ELSEWHERE_ENDING))) return path
    }
    throw new OpsError('NOT_FOUND', `Cannot open recording of session "${sessionId}": there is none`)
  }

  /**
   * Seals what a crash left unclosed, with what it holds, and lets an event rest for each recording that none speaks of. Call once
   * at start, before sessions.
   * @returns the events that were written. @throws OpsError AUDIT_UNAVAILABLE; the next start goes on where this one ended
   */
  async recover(log: RecoveryLog): Promise<readonly AuditEvent[]> {
    const events: AuditEvent[] = []
    for await (const day of this.#days()) {
      for (const name of (await readdir(day)).filter((each) => each.endsWith(this.#extension + PART))) {
        const event = await this.#recoverOne(join(day, name.slice(0, -PART.length)), log)
        if (event) events.push(event)
      }
    }
    return events
  }

  async #recoverOne(path: string, log: RecoveryLog): Promise<AuditEvent | undefined> {
    const object = relative(this.#dataDir, path)
    const session = basename(path, this.#extension)
    // sealed, and then the crash came: only the log knows whether its event rests
    const isSealed = await isSameFile(path, path + PART)
    const sealed = isSealed ? await hashOf(path) : await this.#closeLeft(path)
    const event = { type: 'admin', action: 'recording.closed', object, session, after: sealed } as const
    const isKnown = isSealed && (await speaksOf(log, session, object))
    if (!isKnown) await log.write(event)
    await this.release(object)
    return isKnown ? undefined : event
  }

  /** Events have rested: a recording whose session.close is among them is settled. For AuditLog.onAppend. */
  readonly noted = (event: StoredEvent): void => {
    if (event.type !== 'session.close' || event.recording === undefined) return
    const facts = this.#sealed.get(event.recording)
    this.#sealed.delete(event.recording)
    if (facts) this.#options.elsewhere?.sealed(event.recording, facts)
    void this.release(event.recording).catch(() => {}) // the next start finds it and asks the log again
  }

  /** The log holds the recording's hash: the name that says otherwise goes. May be called twice. @param path as `tape.path` */
  async release(path: string): Promise<void> {
    for (const ending of [PART, PART + KEYFRAMES_ENDING]) {
      await unlink(join(this.#dataDir, path) + ending).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
    }
  }

  /** A block that was being written when the crash came is cut off: it was not flushed yet. */
  async #closeLeft(path: string): Promise<{ readonly sha256: string; readonly bytes: number; readonly cutBytes?: number }> {
    const file = await open(path + PART, 'r+')
    try {
      const { size } = await file.stat()
      const end = await wholeBytes(fileBytes(file, size), this.#format)
      if (end < size) await file.truncate(end)
      const hashed = await hashOf(path + PART)
      await settle(file, path)
      return { ...hashed, ...(end < size && { cutBytes: size - end }) }
    } finally {
      await file.close()
    }
  }

  async #tapeOf(path: string, file: FileHandle): Promise<Tape> {
    const sink = new TapeSink(file, await this.#format.writer())
    await sink.begin()
    // The recorder listens while the session runs; a failure after it has let go must not be an uncaught error.
    sink.on('error', () => {})
    sink.once('close', () => {
      if (!sink.writableFinished) void file.close().catch(() => {}) // the failure that destroyed the sink is the one that is told
    })
    let sealed: Promise<{ sha256: string; bytes: number }> | undefined
    const seal = async () => {
      try {
        await finished(sink)
        await settle(file, path)
        const { bytes } = sink
        const sha256 = sink.digest()
        if (sink.isLong) this.#options.keyframes?.later(path)
        if (this.#options.elsewhere) this.#sealed.set(relative(this.#dataDir, path), { sha256, bytes })
        return { sha256, bytes }
      } catch (error) {
        throw failed('seal', path, error)
      }
    }
    return {
      path: relative(this.#dataDir, path),
      sink,
      seal: () => {
        sealed ??= seal()
        return sealed
      },
    }
  }

  #pathOf(id: string, startedAt: Date): string {
    checkId(id)
    const [year = '', month = '', day = ''] = startedAt.toISOString().slice(0, 10).split('-')
    return join(this.#dir, year, month, day, id + this.#extension)
  }

  /** Directories of days, newest first: who looks for a recording mostly looks for a recent one. */
  async *#days(): AsyncGenerator<string> {
    for (const year of await numbered(this.#dir)) {
      for (const month of await numbered(year)) yield* await numbered(month)
    }
  }
}

/** Durable under its final name. The first name stays beside it until the log holds the hash (release): an existing recording is never replaced. */
async function settle(file: FileHandle, path: string): Promise<void> {
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
  await link(path + PART, path)
  const dir = await open(dirname(path), 'r')
  try {
    await dir.sync()
  } finally {
    await dir.close()
  }
}

async function* restOf(find: () => Promise<TapePlace>, bytes: number): AsyncGenerator<Buffer> {
  const tape = await (await find()).open()
  try {
    for (let at = 0; at < bytes; at += 1024 * 1024) yield await tape.read(at, Math.min(1024 * 1024, bytes - at))
  } finally {
    await tape.close()
  }
}

async function hashOf(path: string): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Buffer)
    bytes += (chunk as Buffer).length
  }
  return { sha256: hash.digest('hex'), bytes }
}

/** Whether the log holds the hash of a recording already. Its session began on the day in its path, or later. */
async function speaksOf(log: RecoveryLog, session: string, object: string): Promise<boolean> {
  const day = /(\d{4})\/(\d{2})\/(\d{2})\/[^/]+$/.exec(object)
  const from = day ? { from: new Date(`${day[1]}-${day[2]}-${day[3]}T00:00:00.000Z`) } : {}
  for await (const event of log.query({ session, ...from })) {
    if (event.type === 'session.close' && event.recording === object) return true
    if (event.type === 'admin' && event.action === 'recording.closed' && event.object === object) return true
  }
  return false
}

/** Where the last whole block ends. An unreadable envelope is left as it is: the hash still proves it. */
async function wholeBytes(tape: TapeBytes, format: TapeFormat): Promise<number> {
  try {
    const reader = await format.reader(tape)
    const last = (await framesOf(tape, reader)).at(-1)
    return last ? last.offset + last.bytes : reader.start
  } catch {
    return tape.size // encrypted for a key that is not here: heads cannot be found, nothing is cut
  }
}

async function openFile(path: string): Promise<TapeBytes> {
  const handle = await open(path, 'r')
  return fileBytes(handle, (await handle.stat()).size)
}

async function numbered(dir: string): Promise<string[]> {
  try {
    const names = (await readdir(dir)).filter((name) => /^\d{2,4}$/.test(name))
    return names
      .sort()
      .reverse()
      .map((name) => join(dir, name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  return (await exists(one)) && (await stat(one)).ino === (await stat(other)).ino
}

function checkId(id: string): void {
  if (!SESSION_ID.test(id)) throw new OpsError('BAD_REQUEST', `Cannot use session id ${JSON.stringify(id.slice(0, 200))} as a file name`)
}

function failed(action: string, path: string, error: unknown): OpsError {
  if (error instanceof OpsError) return error
  return new OpsError('RECORDING_FAILED', `Cannot ${action} recording "${path}": ${(error as Error).message}`, { cause: error })
}

/**
 * AuditStore on files: DIR/YYYY-MM-DD.ndjson, one event a line, rotated by the UTC day of the events' own time, and within a day
 * by size (YYYY-MM-DD.2.ndjson and on; log-files.ts): a full file asks for a checkpoint and ends with it.
 *
 * An append has rested when fdatasync has returned. After any failure the file is closed; the next call opens it again, cuts it
 * back to what was durable before, and so a retry of the same events never doubles them. Bytes that a crash left behind the last
 * whole event are kept aside as `*.torn`, never deleted, and reported by `found()`.
 */
import { fstatSync, writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { chmod, mkdir, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OpsError } from '../core/errors.js'
import type { AuditEvent, AuditFilter, AuditStore, StoredEvent } from '../core/types.js'
import { hashOrNone } from '../wire/evidence/chain.js'
import { firstEvent, firstPart, type LogPart, logParts, nextPart, parseLine } from '../wire/evidence/log-files.js'
import { readLines, readLinesBackwards, seekLine } from '../wire/evidence/ndjson.js'
import { eventFilter, lineFilter } from './audit-filter.js'

/** How many bytes behind the last whole event may be set aside; more than one group commit is not a torn write. */
const MAX_TORN_BYTES = 64 * 1024 * 1024

interface OpenFile {
  readonly part: LogPart
  readonly path: string
  readonly handle: FileHandle
  /** Bytes that are durable. What is behind them does not count and is overwritten. */
  size: number
  /** A write was begun and is not known to rest: bytes behind `size` are our own and not acknowledged to anyone. */
  dirty: boolean
}

export interface AuditFileOptions {
  /** Shown in messages and in /readyz; "file" by default. */
  readonly name?: string
  /** Size at which a file is closed and the next one of the day begun; 256 MiB. */
  readonly maxFileBytes?: number
}

/** A write of this size goes to the page cache in microseconds; a thread of the pool would take ten times that, twice for each event that somebody waits for. */
const SMALL_BYTES = 16 * 1024
const MAX_FILE_BYTES = 256 * 1024 * 1024

export class AuditFile implements AuditStore {
  readonly name: string
  readonly dir: string
  readonly #maxFileBytes: number
  #current: OpenFile | undefined
  /** What was durable when the file was closed after a failure. */
  #resume: Pick<OpenFile, 'part' | 'size' | 'dirty'> | undefined
  #last: StoredEvent | undefined
  #found: AuditEvent[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  /** Touches nothing; the first call that needs the directory makes it (0700). */
  constructor(dir: string, options: AuditFileOptions = {}) {
    this.dir = dir
    this.name = options.name ?? 'file'
    this.#maxFileBytes = options.maxFileBytes ?? MAX_FILE_BYTES
  }

  /** @throws OpsError AUDIT_UNAVAILABLE with the path; none of the events counts as held then */
  append(events: readonly StoredEvent[]): Promise<void> {
    return this.#exclusive('append to', () => this.#append(events))
  }

  last(): Promise<StoredEvent | undefined> {
    return this.#exclusive('open', async () => {
      await this.#open()
      return this.#last
    })
  }

  /** What opening brought to light since the last call, as events to be recorded. */
  found(): readonly AuditEvent[] {
    return this.#found.splice(0)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
    await this.#drop()
  }

  /** Streams; the file of today is read up to what was durable when its turn came. */
  async *query(filter: AuditFilter, signal?: AbortSignal): AsyncGenerator<StoredEvent> {
    const passes = eventFilter(filter)
    const mayPass = lineFilter(filter)
    let left = filter.limit ?? Number.POSITIVE_INFINITY
    for (const part of await this.#parts(filter)) {
      if (left <= 0) return
      for await (const event of this.#readPart(part, filter, mayPass, signal)) {
        if (!passes(event)) continue
        yield event
        if (--left <= 0) return
      }
    }
  }

  async *#readPart(part: LogPart, filter: AuditFilter, mayPass: (line: string) => boolean, signal?: AbortSignal): AsyncGenerator<StoredEvent> {
    const path = join(this.dir, part.name)
    const handle = await open(path, 'r')
    try {
      const known = this.#current ?? this.#resume
      const end = known?.part.name === part.name ? known.size : (await handle.stat()).size
      const start = await seekLine(handle, end, beforeFilter(filter))
      for await (const lines of readLines(handle, start, end)) {
        signal?.throwIfAborted()
        for (const line of lines) {
          if (!line.whole || !mayPass(line.text)) continue
          yield parseLine(line.text) ?? unreadable(path, line.at)
        }
      }
    } finally {
      await handle.close()
    }
  }

  /** Files that may hold what the filter asks for, in order. */
  async #parts(filter: AuditFilter): Promise<LogPart[]> {
    const from = filter.from?.toISOString().slice(0, 10) ?? ''
    const to = filter.to?.toISOString().slice(0, 10) ?? '9999-99-99'
    const parts = (await logParts(this.dir)).filter(({ day }) => day >= from && day <= to)
    if (filter.after === undefined) return parts
    // The newest file that begins at or before the first event asked for is where to start.
    for (let i = parts.length - 1; i > 0; i--) {
      const first = await firstEvent(join(this.dir, (parts[i] as LogPart).name))
      if (first && first.seq <= filter.after + 1) return parts.slice(i)
    }
    return parts
  }

  /** Whether the file in hand is full and waits for a checkpoint to end with. */
  wantsCheckpoint(): boolean {
    return this.#current !== undefined && this.#current.size >= this.#maxFileBytes && this.#last?.type !== 'checkpoint'
  }

  /** The name of the file that events go to now; it is never removed. */
  get currentName(): string | undefined {
    return (this.#current ?? this.#resume)?.part.name
  }

  /** One call at a time; a failure closes the file, so that the next call starts from what is known to be durable. */
  #exclusive<T>(action: string, work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(async () => {
      if (this.#closed) throw new OpsError('AUDIT_UNAVAILABLE', `Cannot ${action} audit files in "${this.dir}": the store is closed`)
      try {
        return await work()
      } catch (error) {
        await this.#drop()
        throw unavailable(action, this.#failedPath(error), error)
      }
    })
    this.#turn = run.catch(() => undefined) // the caller has the failure; the queue goes on
    return run
  }

  #failedPath(error: unknown): string {
    return (error as NodeJS.ErrnoException).path ?? (this.#resume ? join(this.dir, this.#resume.part.name) : this.dir)
  }

  async #append(events: readonly StoredEvent[]): Promise<void> {
    await this.#open()
    for (let from = 0; from < events.length; ) {
      const day = (events[from] as StoredEvent).time.slice(0, 10)
      let to = from + 1
      // a checkpoint ends a batch: it may be the last event of a full file
      while (to < events.length && events[to - 1]?.type !== 'checkpoint' && (events[to] as StoredEvent).time.startsWith(day)) to++
      await this.#write(await this.#fileOf(day), events.slice(from, to))
      from = to
    }
  }

  async #write(file: OpenFile, events: readonly StoredEvent[]): Promise<void> {
    checkAlone(file)
    const bytes = Buffer.from(`${events.map((event) => JSON.stringify(event)).join('\n')}\n`)
    file.dirty = true
    const isSmall = bytes.length <= SMALL_BYTES
    for (let done = 0; done < bytes.length; ) {
      const args = [bytes, done, bytes.length - done, file.size + done] as const
      done += isSmall ? writeSync(file.handle.fd, ...args) : (await file.handle.write(...args)).bytesWritten
    }
    await file.handle.datasync()
    file.size += bytes.length
    file.dirty = false
    this.#last = events[events.length - 1]
  }

  async #fileOf(day: string): Promise<OpenFile> {
    const current = this.#current
    if (current?.part.day === day && !this.#isFull(current)) return current
    if (current && day < current.part.day) throw new Error(`an event of ${day} cannot follow those of ${current.part.day}`)
    await this.#drop()
    this.#resume = undefined
    const file = await this.#openPart(current?.part.day === day ? nextPart(current.part) : firstPart(day))
    this.#current = file
    return file
  }

  /** Without a key there are no checkpoints to end with: then twice the size is the limit. */
  #isFull({ size }: OpenFile): boolean {
    return size >= this.#maxFileBytes * 2 || (size >= this.#maxFileBytes && this.#last?.type === 'checkpoint')
  }

  async #openPart(part: LogPart): Promise<OpenFile> {
    const path = join(this.dir, part.name)
    const handle = await open(path, 'a+', 0o600).then(async (made) => {
      await made.close()
      await chmod(path, 0o600)
      return await open(path, 'r+') // not O_APPEND: a retry must overwrite what did not become durable
    })
    try {
      await syncDirectory(this.dir)
      return { part, path, handle, size: (await handle.stat()).size, dirty: false }
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async #open(): Promise<void> {
    if (this.#current) return
    await mkdir(this.dir, { recursive: true, mode: 0o700 })
    await chmod(this.dir, 0o700)
    const resume = this.#resume
    this.#last = undefined
    for (const part of (await logParts(this.dir)).reverse()) {
      const file = await this.#openPart(part)
      this.#current = file
      if (resume?.part.name === part.name && resume.dirty && file.size > resume.size) await this.#cut(file, resume.size)
      this.#last = await this.#repair(file)
      if (this.#last) return
      await this.#drop()
      this.#resume = undefined
    }
  }

  /** Finds the last whole event, sets aside what is behind it, and answers it. */
  async #repair(file: OpenFile): Promise<StoredEvent | undefined> {
    let end = 0
    let last: StoredEvent | undefined
    for await (const line of readLinesBackwards(file.handle, file.size)) {
      const event = line.whole ? parseLine(line.text) : undefined
      if (event && hashOrNone(event) === event.hash) {
        end = line.at + Buffer.byteLength(line.text) + 1
        last = event
        break
      }
      if (file.size - line.at > MAX_TORN_BYTES) throw new Error(`no whole event in the last ${MAX_TORN_BYTES} bytes of "${file.path}"`)
    }
    if (end < file.size) await this.#setAside(file, end)
    return last
  }

  async #setAside(file: OpenFile, end: number): Promise<void> {
    const torn = Buffer.alloc(file.size - end)
    await file.handle.read(torn, 0, torn.length, end)
    const kept = await keepAside(file.path, torn)
    await syncDirectory(this.dir)
    await this.#cut(file, end)
    this.#found.push({ type: 'admin', action: 'audit.torn', object: file.path, after: { bytes: torn.length, kept } })
  }

  async #cut(file: OpenFile, size: number): Promise<void> {
    await file.handle.truncate(size)
    await file.handle.datasync()
    file.size = size
  }

  async #drop(): Promise<void> {
    const file = this.#current
    if (!file) return
    this.#current = undefined
    this.#resume = { part: file.part, size: file.size, dirty: file.dirty }
    await file.handle.close().catch(() => undefined) // the handle is gone either way; the failure that led here is the one to tell
  }
}

/** Another gateway in the same directory, or a file removed under us, would tear the chain: both show in the size and the links. */
function checkAlone(file: OpenFile): void {
  const { nlink, size } = fstatSync(file.handle.fd)
  if (nlink === 0) throw new Error('the file was removed')
  if (size < file.size) throw new Error(`the file was cut from ${file.size} to ${size} bytes`)
  if (size > file.size) throw new Error('another program writes to the file')
}

async function keepAside(path: string, bytes: Buffer): Promise<string> {
  for (let n = 1; ; n++) {
    const kept = n === 1 ? `${path}.torn` : `${path}.${n}.torn`
    try {
      await writeFile(kept, bytes, { flag: 'wx', mode: 0o600, flush: true })
      return kept
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

/** A new name is durable once its directory is (fsync(2), "NOTES"). */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function unreadable(path: string, at: number): never {
  throw new OpsError('AUDIT_UNAVAILABLE', `Cannot read audit file "${path}": the line at byte ${at} is not an event`)
}

/** For seekLine: seq and time both only grow along a file. */
function beforeFilter(filter: AuditFilter): (line: string) => boolean {
  const from = filter.from?.toISOString()
  return (line) => {
    const event = parseLine(line)
    if (!event) return false
    return (filter.after !== undefined && event.seq <= filter.after) || (from !== undefined && event.time < from)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EIO: 'the disk failed',
  ENOTDIR: 'a part of the path is not a directory',
  EEXIST: 'a file stands where the directory should be',
}

function unavailable(action: string, path: string, error: unknown): OpsError {
  const { code, message } = error as NodeJS.ErrnoException
  const reason = (code !== undefined && REASONS[code]) || message
  return new OpsError('AUDIT_UNAVAILABLE', `Cannot ${action} audit file "${path}": ${reason}`, { cause: error })
}

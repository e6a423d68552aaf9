/** One open file on its way: counted, hashed and held to the rule while bytes pass; its event is written when it ends. */
import { Readable } from 'node:stream'
import { type FileAttributes, type FileChange, FileError, type FileHandle, type OpenMode } from '../core/files.js'
import type { KeptAt } from '../core/kept-copy.js'
import type { FileRule, Refused } from '../core/types.js'
import { ContentHash } from './content-hash.js'
import { denial, type FileFacts, type FileJournal } from './file-journal.js'
import { Keeping, type KeepWish } from './keeping.js'

export interface OpenFile {
  readonly handle: FileHandle
  readonly mode: OpenMode
  /** Path fields of the event. */
  readonly facts: Pick<FileFacts, 'path' | 'pathBase64' | 'resolved'>
  /** Where it lies, as text: what the policy is asked about. */
  readonly path: string
  readonly rule: string
  readonly limits: FileRule | undefined
  /** Where appended bytes go; 0 for a file that is not appended to. */
  readonly appendAt: number
  /** Fewer bytes than this are a part; undefined where the protocol tells no size. */
  readonly declaredBytes: number | undefined
  /** The file held something before: what is not written anew stays in it. */
  readonly keepsContent: boolean
  /** Hashes what rests now, for content that did not pass in order. Undefined when it cannot. */
  readonly readBack: () => Promise<string | undefined>
  readonly closed: (handle: VettedHandle) => void
  /** Of an upload whose rule wants a copy. */
  readonly keep?: KeepWish
  /** What rests now, from its start, for a copy of content that did not pass in order. @throws FileError */
  readonly reread: (maxBytes: number) => AsyncIterable<Buffer>
}

export class VettedHandle implements FileHandle {
  readonly #file: OpenFile
  readonly #journal: FileJournal
  readonly #startedMs = performance.now()
  readonly #up: ContentHash
  readonly #keeping: Keeping | undefined
  readonly #down = new ContentHash({ again: 'same' })
  /** Present where the back end streams. */
  readonly stream?: (offset: number) => Readable
  #upBytes = 0
  #downBytes = 0
  #appendAt: number
  #hasEnded = false
  #hasWritten = false
  #hasRead = false
  #wasCut = false
  #denied: Refused | undefined
  #refusal: FileError | undefined
  #failure: FileError | undefined
  #change: FileChange | undefined
  #closing: Promise<void> | undefined

  constructor(file: OpenFile, journal: FileJournal) {
    this.#file = file
    this.#journal = journal
    this.#appendAt = file.appendAt
    this.#keeping = file.keep && new Keeping(file.keep)
    this.#up = new ContentHash({ again: 'breaks', passed: this.#keeping?.take })
    if (file.keepsContent) this.#up.break('only a part of the file was written')
    const { handle } = file
    if (handle.stream) this.stream = (offset) => this.#streamFrom(offset)
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#check()
    const data = await this.#file.handle.read(offset, length)
    if (data.length < length && offset <= this.#down.reached) this.#hasEnded = true
    this.#passDown(offset, data)
    return data
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#check()
    const at = this.#file.mode.append ? this.#appendAt : offset
    const end = at + data.length
    this.#hold('upload', end)
    this.#hasWritten = true
    this.#appendAt = Math.max(this.#appendAt, end)
    this.#up.add(at, data)
    try {
      await this.#keeping?.flushed()
      await this.#file.handle.write(offset, data)
      this.#upBytes += data.length
    } catch (error) {
      throw this.#failed(error)
    }
  }

  stat(): Promise<FileAttributes> {
    return this.#file.handle.stat()
  }

  /** Belongs to the upload where the file is written; on a file that is only read it is a change of its own. */
  async setAttributes(change: FileChange): Promise<void> {
    this.#check()
    const { facts, path, mode } = this.#file
    if (change.size !== undefined) {
      this.#hold('upload', change.size)
      if (change.size !== this.#up.reached) this.#up.break('the size was set apart from what was written')
    }
    if (mode.write) {
      this.#change = { ...this.#change, ...change }
      return this.#file.handle.setAttributes(change)
    }
    const event = { ...facts, op: 'chmod', change } as const
    const { rule } = await this.#journal.ask({ op: 'chmod', direction: 'upload', path, ...(change.size !== undefined && { bytes: change.size }) }, event)
    await this.#journal.record(event, rule)
    return this.#file.handle.setAttributes(change)
  }

  async sync(): Promise<void> {
    this.#check()
    return this.#file.handle.sync()
  }

  /** Resolves once the event of an upload rests. @throws FileError of the back end, of a write that failed or was refused; REFUSED when the event cannot be kept */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The session ends with this file open: what there is of it is a part. Never rejects. */
  async cut(): Promise<void> {
    if (!this.#closing) this.#wasCut = true
    await this.close().catch(() => undefined)
  }

  async #close(): Promise<void> {
    const { handle, mode, closed } = this.#file
    try {
      const whole = mode.read && !this.#wasCut && (await this.#isWhole())
      const closing = handle.close().catch((error: unknown) => this.#failed(error))
      // a file that was only read has nothing left to fail: its reader need not wait for the way there and back
      if (mode.write) await closing
      if (this.#hasRead || (mode.read && !mode.write)) await this.#tellDownload(whole)
      if (this.#hasWritten || mode.write) await this.#tellUpload()
      // OpenSSH's client forgets that a write failed when the answer to an earlier one comes after it: told once more
      const failure = this.#failure ?? (mode.write ? this.#refusal : undefined)
      if (failure) throw failure
    } finally {
      closed(this)
    }
  }

  /** A reader has had the whole file when it was told its end, or has all bytes that the file holds now. */
  async #isWhole(): Promise<boolean> {
    if (this.#hasEnded || this.#wasCut) return this.#hasEnded
    const size = await this.#file.handle.stat().then(
      (attributes) => attributes.size,
      () => Number.POSITIVE_INFINITY,
    )
    return this.#down.reached >= size
  }

  async #tellDownload(isWhole: boolean): Promise<void> {
    const whole = isWhole && !this.#denied && !this.#wasCut
    if (whole) this.#journal.countWhole('download')
    await this.#journal.note({ ...this.#event('download', this.#downBytes, whole), ...this.#down.digest() })
  }

  async #tellUpload(): Promise<void> {
    const whole = !this.#wasCut && !this.#denied && !this.#failure && this.#upBytes >= (this.#file.declaredBytes ?? 0)
    let content = this.#up.digest()
    const isBroken = 'unhashed' in content
    // a place written twice, a file gone on with: what rests is told by reading it, or is said to be untold
    if ('unhashed' in content && whole) {
      const sha256 = await this.#file.readBack()
      if (sha256 !== undefined) content = { sha256 }
    }
    const kept = await this.#keptAt(isBroken)
    const event = { ...this.#event('upload', this.#upBytes, whole && !this.#failure), ...content, ...kept, ...(this.#change && { change: this.#change }) }
    if (whole && !this.#failure) this.#journal.countWhole('upload')
    await this.#journal.recordAll(event)
  }

  /** An upload whose copy cannot be kept fails, whatever rests in the container. */
  async #keptAt(isBroken: boolean): Promise<KeptAt | undefined> {
    if (!this.#keeping || !this.#hasWritten) return undefined
    try {
      if (isBroken) {
        await this.#keeping.again()
        for await (const data of this.#file.reread(this.#file.keep?.maxBytes ?? 0)) {
          this.#keeping.take(data)
          await this.#keeping.flushed()
        }
      }
      return await this.#keeping.finish()
    } catch (error) {
      this.#failed(error)
      return undefined
    }
  }

  #event(op: 'upload' | 'download', bytes: number, isWhole: boolean) {
    const { facts, rule } = this.#file
    return {
      ...facts,
      op,
      bytes,
      ms: Math.round(performance.now() - this.#startedMs),
      ...(!isWhole && { partial: true as const }),
      ...(this.#failure && { error: this.#failure.code }),
      ...(this.#denied ? denial(this.#denied) : { verdict: 'allow' as const, rule }),
    }
  }

  #passDown(offset: number, data: Buffer): void {
    if (data.length === 0) return
    this.#hold('download', offset + data.length)
    this.#hasRead = true
    this.#downBytes += data.length
    this.#down.add(offset, data)
  }

  /** The limit as bytes pass: what a client declared, or what a size was when the file was opened, does not count. */
  #hold(direction: 'upload' | 'download', end: number): void {
    const { limits, path } = this.#file
    const limit = direction === 'upload' ? limits?.maxUpload : limits?.maxDownload
    if (limit === undefined || end <= limit) return
    const verdict = this.#journal.decide({ op: direction, direction, path, bytes: end })
    if (verdict.allow) return
    this.#denied = verdict
    this.#refusal = this.#journal.refusal(verdict)
    throw this.#refusal
  }

  #check(): void {
    if (this.#closing) throw new FileError('INVALID', 'the file is closed')
    if (this.#refusal) throw this.#refusal
  }

  #failed(error: unknown): FileError {
    const failure = error instanceof FileError ? error : new FileError('FAILURE', error instanceof Error ? error.message : String(error), { cause: error })
    this.#failure ??= failure
    this.#up.break('a write failed')
    return failure
  }

  #streamFrom(offset: number): Readable {
    this.#check()
    return Readable.from(this.#pass(offset), { objectMode: false, highWaterMark: 256 * 1024 })
  }
  async *#pass(offset: number): AsyncGenerator<Buffer> {
    const source = this.#file.handle.stream?.(offset)
    if (!source) return
    let at = offset
    try {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        this.#check()
        this.#passDown(at, chunk)
        at += chunk.length
        yield chunk
      }
      if (at === this.#down.reached) this.#hasEnded = true
    } finally {
      source.destroy()
    }
  }
}

/** Ends an open file that will not become whole, such as when the client says that it could not read its side. */
export async function abandon(handle: FileHandle): Promise<void> {
  await (handle.cut?.() ?? handle.close())
}

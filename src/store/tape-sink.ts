/**
 * The way of a recording's lines to its file. Lines gather into blocks of 64 KiB, or of what came within 500 ms, and a block is
 * written at once: after kill -9 the file holds all but the last half second. A slow disk shows as back-pressure: at most one
 * block is being written and another gathering.
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { startOfLines } from '../wire/tape-blocks.js'
import type { BlockWriter } from './tape-format.js'

const BLOCK_BYTES = 64 * 1024
const FLUSH_MS = 500

export class TapeSink extends Writable {
  readonly #file: FileHandle
  readonly #writer: BlockWriter
  readonly #hash = createHash('sha256')
  #block: Buffer[] = []
  #blockBytes = 0
  #timer: NodeJS.Timeout | undefined
  #bytes = 0
  #startMs = 0
  #plainBytes = 0
  /** The write under way. Never rejects: a failure destroys the stream. */
  #writing: Promise<void> | undefined

  /** @param file open for writing at its beginning; the caller closes it */
  constructor(file: FileHandle, writer: BlockWriter) {
    super({ highWaterMark: 64 * 1024 })
    this.#file = file
    this.#writer = writer
  }

  /** Bytes in the file so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a replay is long enough to want screens to begin at: half a minute, or 256 KiB of lines. */
  get isLong(): boolean {
    return this.#startMs >= 30_000 || this.#plainBytes >= 256 * 1024
  }

  /** sha256 of the file, lower-case hex. Once. */
  digest(): string {
    return this.#hash.digest('hex')
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#block.push(chunk)
    this.#blockBytes += chunk.length
    if (this.#blockBytes < BLOCK_BYTES) {
      this.#timer ??= setTimeout(() => this.#flushLater(), FLUSH_MS)
      callback()
      return
    }
    // The block goes once the one before it is down; only then is room for more.
    this.#afterWriting(() => {
      this.#flush()
      callback()
    })
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#afterWriting(() => {
      this.#flush()
      this.#afterWriting(callback)
    })
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#block = []
    // The file must not be closed under a write.
    if (this.#writing) void this.#writing.then(() => callback(error))
    else callback(error)
  }

  #flushLater(): void {
    this.#timer = undefined
    this.#afterWriting(() => this.#flush())
  }

  #afterWriting(then: () => void): void {
    // Who waited before may have begun another write by now, hence the second look.
    if (this.#writing) void this.#writing.then(() => this.destroyed || this.#afterWriting(then))
    else then()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#blockBytes === 0) return
    const block = this.#block.length === 1 ? (this.#block[0] as Buffer) : Buffer.concat(this.#block, this.#blockBytes)
    this.#block = []
    this.#blockBytes = 0
    this.#writing = this.#lay(block)
      .catch((error: Error) => void this.destroy(error))
      .finally(() => {
        this.#writing = undefined
      })
  }

  /** Lays down what stands before the first block. Once, before anything is written. */
  async begin(): Promise<void> {
    await this.#put(this.#writer.head)
  }

  async #lay(block: Buffer): Promise<void> {
    this.#startMs = startOfLines(block) ?? this.#startMs
    this.#plainBytes += block.length
    await this.#put(await this.#writer.encode(block, this.#startMs))
  }

  async #put(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes)
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done)
      done += bytesWritten
    }
    this.#bytes += bytes.length
  }
}

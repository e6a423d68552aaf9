/** Reads at offsets from a back end that streams better than it seeks: requests that follow one another take from one stream. */
import type { Readable } from 'node:stream'
import type { FileHandle } from '../../core/files.js'

/** A gap up to here is read and dropped: cheaper than a second start. */
const SKIP_BYTES = 1024 * 1024

export class StreamReader {
  readonly #file: FileHandle
  readonly #start: (offset: number) => Readable
  #stream: Readable | undefined
  #chunks: AsyncIterator<Buffer> | undefined
  #rest: Buffer = Buffer.alloc(0)
  #at = 0
  #last: Promise<unknown> = Promise.resolve()

  /** Undefined for a back end that does not stream. */
  static of(file: FileHandle): StreamReader | undefined {
    return file.stream ? new StreamReader(file, file.stream.bind(file)) : undefined
  }

  private constructor(file: FileHandle, start: (offset: number) => Readable) {
    this.#file = file
    this.#start = start
  }

  /** As FileHandle.read. Requests are served in the order they come. */
  read(offset: number, length: number): Promise<Buffer> {
    const next = this.#last.then(() => this.#read(offset, length))
    this.#last = next.catch(() => {}) // who asked hears it
    return next
  }

  close(): void {
    this.#stream?.destroy()
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    if (!this.#chunks) this.#begin(offset)
    // a client that reads here and there gets what it asks for; the stream stays where it is
    if (offset < this.#at || offset - this.#at > SKIP_BYTES) return this.#file.read(offset, length)
    while (this.#at < offset) if ((await this.#take(offset - this.#at)).length === 0) return Buffer.alloc(0)
    return this.#take(length)
  }

  #begin(offset: number): void {
    this.#at = offset
    this.#stream = this.#start(offset)
    this.#stream.on('error', () => {}) // the iterator throws it
    this.#chunks = this.#stream[Symbol.asyncIterator]()
  }

  /** Fewer bytes only at the end. */
  async #take(length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    let bytes = 0
    while (bytes < length) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks?.next()
        if (!next || next.done) break
        this.#rest = next.value
      }
      const part = this.#rest.subarray(0, length - bytes)
      this.#rest = this.#rest.subarray(part.length)
      parts.push(part)
      bytes += part.length
      this.#at += part.length
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
  }
}

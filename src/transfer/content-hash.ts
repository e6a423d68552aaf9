/** SHA-256 of a file's content from the pieces that pass, in whatever order they do. Answers a right hash or none. */
import { createHash } from 'node:crypto'

/** Pieces ahead of a gap that one transfer may keep; a client with 64 requests of 32 KiB in flight needs half of it. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024

export interface ContentHashOptions {
  /** Bytes that pass again: `same` content read once more (a download), or other content (`breaks`: an upload that writes twice). */
  readonly again: 'same' | 'breaks'
  /** Told of the content in order, as it is hashed. */
  readonly passed?: ((data: Buffer) => void) | undefined
}

export class ContentHash {
  readonly #hash = createHash('sha256')
  readonly #again: ContentHashOptions['again']
  readonly #passed: ContentHashOptions['passed']
  readonly #waiting = new Map<number, Buffer>()
  #waitingBytes = 0
  #next = 0
  #broken: string | undefined

  constructor({ again, passed }: ContentHashOptions) {
    this.#again = again
    this.#passed = passed
  }

  /** How far from the start everything has passed. */
  get reached(): number {
    return this.#next
  }

  /** `data` may be used again by the caller once this returns. */
  add(offset: number, data: Buffer): void {
    if (this.#broken !== undefined || data.length === 0) return
    if (offset === this.#next) this.#take(data)
    else if (offset < this.#next) this.#addAgain(offset, data)
    else this.#keep(offset, data)
  }

  /** No hash can be told any more. */
  break(reason: string): void {
    this.#broken ??= reason
    this.#waiting.clear()
    this.#waitingBytes = 0
  }

  /** Ends it: the hash of all that passed, or why there is none. */
  digest(): { readonly sha256: string } | { readonly unhashed: string } {
    if (this.#waiting.size > 0) this.break('the bytes did not pass from first to last')
    return this.#broken === undefined ? { sha256: this.#hash.digest('hex') } : { unhashed: this.#broken }
  }

  #take(data: Buffer): void {
    this.#hash.update(data)
    this.#passed?.(data)
    this.#next += data.length
    for (let piece = this.#waiting.get(this.#next); piece; piece = this.#waiting.get(this.#next)) {
      this.#waiting.delete(this.#next)
      this.#waitingBytes -= piece.length
      this.#hash.update(piece)
      this.#passed?.(piece)
      this.#next += piece.length
    }
    // a kept piece that begins before what was taken now was overtaken: it can only be told by a piece of its own size
    if (this.#waiting.size > 0 && [...this.#waiting.keys()].some((offset) => offset < this.#next)) this.break('the bytes passed in pieces that overlap')
  }

  #addAgain(offset: number, data: Buffer): void {
    const known = this.#next - offset
    if (this.#again === 'breaks') this.break('a place of the file was written twice')
    else if (data.length > known) this.#take(data.subarray(known))
  }

  #keep(offset: number, data: Buffer): void {
    const known = this.#waiting.get(offset)
    if (known && this.#again === 'same' && known.length === data.length) return
    if (known || this.#waitingBytes + data.length > MAX_WAITING_BYTES) {
      this.break('the bytes did not pass from first to last')
      return
    }
    this.#waiting.set(offset, Buffer.from(data))
    this.#waitingBytes += data.length
  }
}

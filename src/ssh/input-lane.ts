/** stdin of a channel: what the client has sent and the session has not read. */
import { Readable } from 'node:stream'

/** A channel's window at first, and once its session has been seen to read. */
export const FIRST_WINDOW_BYTES = 256 * 1024
const FULL_WINDOW_BYTES = 2 * 1024 * 1024
/** What all channels of a connection may have beyond their first window. */
const SHARED_WINDOW_BYTES = 8 * 1024 * 1024

/** Lends channels of one connection a wider window, so that 64 of them cannot hold 64 times the full one. */
export class WindowPool {
  #freeBytes = SHARED_WINDOW_BYTES

  take(bytes: number): boolean {
    if (bytes > this.#freeBytes) return false
    this.#freeBytes -= bytes
    return true
  }
  give(bytes: number): void {
    this.#freeBytes += bytes
  }
}

/** Bytes in arrival order. Small pieces are copied together: a client may send one byte a packet, which would cost 200 each. */
export class Backlog {
  static readonly #BLOCK_BYTES = 16 * 1024
  readonly #blocks: Buffer[] = []
  #tailRoom = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }
  add(data: Buffer): void {
    if (data.length === 0) return
    this.#bytes += data.length
    if (data.length >= Backlog.#BLOCK_BYTES / 4) {
      this.#blocks.push(data)
      this.#tailRoom = 0
      return
    }
    if (data.length > this.#tailRoom) {
      this.#blocks.push(Buffer.allocUnsafeSlow(Backlog.#BLOCK_BYTES).subarray(0, 0))
      this.#tailRoom = Backlog.#BLOCK_BYTES
    }
    const tail = this.#blocks[this.#blocks.length - 1] as Buffer
    const grown = Buffer.from(tail.buffer, tail.byteOffset, tail.length + data.length)
    data.copy(grown, tail.length)
    this.#blocks[this.#blocks.length - 1] = grown
    this.#tailRoom -= data.length
  }
  take(): Buffer | undefined {
    const block = this.#blocks.shift()
    if (this.#blocks.length === 0) this.#tailRoom = 0
    if (block) this.#bytes -= block.length
    return block
  }
}

export class InputLane extends Readable {
  readonly #backlog = new Backlog()
  readonly #pool: WindowPool
  readonly #grant: (bytes: number) => void
  #hungry = false
  #ended = false
  #endPushed = false
  /** What the client may still send. */
  #windowBytes = FIRST_WINDOW_BYTES
  #targetBytes = FIRST_WINDOW_BYTES

  /** @param grant tells the client that it may send so many bytes more */
  constructor(pool: WindowPool, grant: (bytes: number) => void) {
    // At most one piece waits in the stream itself; the rest waits in the backlog, where pieces are joined.
    super({ highWaterMark: 1 })
    this.#pool = pool
    this.#grant = grant
  }

  /** @returns false when the client sent more than its window allows (RFC 4254 s5.2): the connection must end */
  accept(data: Buffer): boolean {
    if (!this.spend(data.length)) return false
    if (this.#ended || this.destroyed) return true
    this.#backlog.add(data)
    this.#flush()
    return true
  }

  /** For data that is not kept, such as extended data from a client. */
  spend(bytes: number): boolean {
    if (bytes > this.#windowBytes) return false
    this.#windowBytes -= bytes
    return true
  }

  /** The client's end-of-file; readers see it after the last byte. */
  finish(): void {
    this.#ended = true
    this.#flush()
  }

  override _read(): void {
    this.#hungry = true
    this.#flush()
    this.#regrant()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#pool.give(this.#targetBytes - FIRST_WINDOW_BYTES)
    this.#targetBytes = FIRST_WINDOW_BYTES
    while (this.#backlog.take());
    done(error)
  }

  #flush(): void {
    while (this.#hungry && !this.destroyed) {
      const piece = this.#backlog.take()
      if (!piece) break
      this.#hungry = this.push(piece)
    }
    if (!this.#ended || this.#endPushed || this.#backlog.bytes > 0 || this.destroyed) return
    this.#endPushed = true
    this.push(null)
  }

  /** In large steps: an adjust for every packet would double the packets. */
  #regrant(): void {
    if (this.#ended || this.destroyed) return
    // The one piece that is being read is not counted: Readable asks for more before it hands that over, and not again after.
    const held = this.#backlog.bytes
    const widened = FULL_WINDOW_BYTES - FIRST_WINDOW_BYTES
    // Half of the first window was read: the session does read, so it may have the full one.
    if (this.#targetBytes === FIRST_WINDOW_BYTES && this.#windowBytes + held <= FIRST_WINDOW_BYTES / 2 && this.#pool.take(widened)) this.#targetBytes += widened
    const room = this.#targetBytes - this.#windowBytes - held
    if (room < this.#targetBytes / 2) return
    this.#windowBytes += room
    this.#grant(room)
  }
}

/** stdout or stderr of a channel, towards the client. */
import { GatheringWritable } from '../wire/gather.js'
import type { Governor, Lane } from './governor.js'

/** What the client allows on one channel, shared by its two lanes. */
export class OutputWindow {
  #bytes: number
  #closedSince: number | undefined

  constructor(bytes: number) {
    this.#bytes = bytes
  }
  get bytes(): number {
    return this.#bytes
  }
  /** Since when output has been waiting for the client to open the window; `performance.now()`. */
  get closedSince(): number | undefined {
    return this.#closedSince
  }
  take(bytes: number): void {
    this.#bytes -= bytes
  }
  /** RFC 4254 s5.2: the sum must stay below 2^32; what is more counts as that. */
  open(bytes: number): void {
    this.#bytes = Math.min(this.#bytes + bytes, 0xffffffff)
    if (bytes > 0) this.#closedSince = undefined
  }
  noteWaiting(): void {
    if (this.#bytes === 0) this.#closedSince ??= performance.now()
  }
}

/**
 * What the writer's own buffer may hold. A wire from the target brings bulk in pieces of at most 16 KiB (a TLS record),
 * several in one turn of the loop: they have room here, and leave in full packets and one system call.
 */
const BUFFER_BYTES = 64 * 1024
export class OutputLane extends GatheringWritable implements Lane {
  readonly #governor: Governor
  readonly #window: OutputWindow
  readonly #maxPacketBytes: number
  readonly #put: (data: Buffer) => void
  /** What was written and not sent; the first piece from `#at` on. */
  #pieces: Buffer[] = []
  #at = 0
  #pendingBytes = 0
  /** Where small pieces become one packet. */
  #scratch: Buffer | undefined
  #done: ((error?: Error | null) => void) | undefined

  /** @param put makes one packet, at once */
  constructor(governor: Governor, window: OutputWindow, maxPacketBytes: number, put: (data: Buffer) => void) {
    super({ highWaterMark: BUFFER_BYTES, decodeStrings: true })
    this.#governor = governor
    this.#window = window
    this.#maxPacketBytes = maxPacketBytes
    this.#put = put
  }

  get sendable(): number {
    return Math.min(this.#pendingBytes, this.#window.bytes, this.#maxPacketBytes)
  }

  /** The client's window has opened. */
  wake(): void {
    if (this.#pendingBytes > 0) this.#governor.ready(this)
  }

  send(): void {
    const bytes = this.sendable
    if (bytes === 0) return
    this.#put(this.#next(bytes))
    this.#window.take(bytes)
    this.#pendingBytes -= bytes
    if (this.#pendingBytes > 0) {
      this.#window.noteWaiting()
      return
    }
    const done = this.#done
    this.#forget()
    done?.()
  }

  /** The next bytes in one piece, which is good until the next call: a packet is a copy. */
  #next(bytes: number): Buffer {
    const [first] = this.#pieces
    if (first && first.length - this.#at >= bytes) {
      const piece = first.subarray(this.#at, this.#at + bytes)
      this.#skip(bytes)
      return piece
    }
    this.#scratch ??= Buffer.allocUnsafeSlow(this.#maxPacketBytes)
    for (let filled = 0; filled < bytes; ) {
      const moved = this.#pieces[0]?.copy(this.#scratch, filled, this.#at, this.#at + bytes - filled) ?? 0
      filled += moved
      this.#skip(moved)
    }
    return this.#scratch.subarray(0, bytes)
  }

  #skip(bytes: number): void {
    this.#at += bytes
    if (this.#at < (this.#pieces[0]?.length ?? 0)) return
    this.#pieces.shift()
    this.#at = 0
  }

  #take(pieces: Buffer[], done: (error?: Error | null) => void): void {
    this.#pieces = pieces
    this.#pendingBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (this.#pendingBytes === 0) {
      this.#forget()
      done()
      return
    }
    this.#done = done
    this.#window.noteWaiting()
    this.#governor.ready(this)
  }

  #forget(): void {
    this.#pieces = []
    this.#at = 0
    this.#pendingBytes = 0
    this.#scratch = undefined
    this.#done = undefined
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#take([chunk], done)
  }

  /** What has gathered while the client was slow goes out in full packets, without being copied together before. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk).filter(({ length }) => length > 0),
      done,
    )
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#governor.drop(this)
    const waiting = this.#done
    this.#forget()
    waiting?.(error ?? new Error('the channel is closed'))
    done(error)
  }
}

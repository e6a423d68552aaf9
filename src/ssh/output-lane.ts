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
  #pending: Buffer | undefined
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
    return this.#pending ? Math.min(this.#pending.length, this.#window.bytes, this.#maxPacketBytes) : 0
  }

  /** The client's window has opened. */
  wake(): void {
    if (this.#pending) this.#governor.ready(this)
  }

  send(): void {
    const pending = this.#pending
    const bytes = this.sendable
    if (!pending || bytes === 0) return
    this.#put(pending.subarray(0, bytes))
    this.#window.take(bytes)
    if (bytes < pending.length) {
      this.#pending = pending.subarray(bytes)
      this.#window.noteWaiting()
      return
    }
    const done = this.#done
    this.#pending = undefined
    this.#done = undefined
    done?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (chunk.length === 0) {
      done()
      return
    }
    this.#pending = chunk
    this.#done = done
    this.#window.noteWaiting()
    this.#governor.ready(this)
  }

  /** What has gathered while the client was slow goes out in full packets. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'utf8', done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#governor.drop(this)
    const waiting = this.#done
    this.#pending = undefined
    this.#done = undefined
    waiting?.(error ?? new Error('the channel is closed'))
    done(error)
  }
}

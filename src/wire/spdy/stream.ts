/** One SPDY stream as a Duplex: both directions end on their own (half-close). */
import { Duplex } from 'node:stream'
import type { OpsError } from '../../core/errors.js'
import { RST_STATUS } from './frames.js'
import type { HeaderRecord } from './header-block.js'
import { spdyError } from './limits.js'

/** Payload bytes of one outgoing data frame: what another stream's frame may have to wait for. */
const FRAME_BYTES = 64 * 1024
/** What may wait unread here before the socket is paused, where the peer knows no windows. */
const READ_BUFFER_BYTES = 256 * 1024
const WRITE_BUFFER_BYTES = 64 * 1024
const EMPTY = Buffer.alloc(0)

/** Resets that only say "no more, in either direction"; Go's spdystream sends them at every normal end. */
const ENDING_STATUSES: ReadonlySet<number> = new Set([0, RST_STATUS.CANCEL, RST_STATUS.INVALID_STREAM, RST_STATUS.STREAM_ALREADY_CLOSED])

/** What a stream asks of the connection that carries it. */
export interface StreamLink {
  /** Queues one data frame. True: send more at once; false: `flushed` is called when the socket has taken it. */
  sendData(stream: SpdyStream, payload: Buffer, fin: boolean, flushed: () => void): boolean
  sendReset(stream: SpdyStream, status: number): void
  sendCredit(stream: SpdyStream, bytes: number): void
  /** The stream's read buffer is full: nothing more may come in until `release`. */
  hold(stream: SpdyStream): void
  release(stream: SpdyStream): void
  /** Both directions are over; the id means nothing any more. */
  forget(stream: SpdyStream): void
}

export interface StreamWindows {
  /** Bytes we let the peer send before we have read them; 0 where the peer knows no windows. */
  readonly receive: number
  /** Bytes the peer lets us send; Infinity where it knows no windows. */
  readonly send: number
}

/**
 * Made by SpdyConnection only. Ending it sends FIN and leaves the readable side open. When the peer resets it in the
 * way Go does at every normal end, the readable side ends and later writes are dropped: a program that no longer reads
 * is not an error, and what became of it is said on another stream. When the connection breaks, what had arrived can
 * still be read and the error comes after it.
 */
export class SpdyStream extends Duplex {
  readonly id: number
  /** Of the SYN_STREAM that opened it, names in lower case. */
  readonly headers: HeaderRecord
  readonly #link: StreamLink
  readonly #receiveWindow: number
  #sendWindow: number
  #pending: { chunk: Buffer; at: number; done: () => void } | undefined
  #received = 0
  #credited = 0
  #gotFin = false
  #sentFin = false
  /** The peer or the connection takes nothing more from us. */
  #writesDropped = false
  #resetByUs = false
  #failure: OpsError | undefined

  constructor(id: number, headers: HeaderRecord, link: StreamLink, windows: StreamWindows) {
    super({ readableHighWaterMark: READ_BUFFER_BYTES, writableHighWaterMark: WRITE_BUFFER_BYTES })
    this.id = id
    this.headers = headers
    this.#link = link
    this.#receiveWindow = windows.receive
    this.#sendWindow = windows.send
    // A lane that nobody listens to must not bring the process down; whoever does listen still hears it.
    this.on('error', () => {})
  }

  /** Drops both directions at once and tells the peer. */
  reset(): void {
    this.destroy()
  }

  // ------------------------------------------------------------ called by the connection

  /** Bytes from the peer. @throws OpsError PROTOCOL_ERROR when it sent more than it was allowed */
  receive(payload: Buffer, fin: boolean): void {
    if (this.destroyed || this.#gotFin) return
    this.#received += payload.length
    if (this.#receiveWindow > 0 && this.#received - this.#credited > this.#receiveWindow) throw spdyError(`stream ${this.id} got more than its window`)
    if (payload.length > 0 && !this.push(payload) && this.#receiveWindow === 0) this.#link.hold(this)
    if (fin) this.endReading()
  }

  /** Ends the readable side after what has arrived; nothing that comes later counts. May be called twice. */
  endReading(): void {
    if (this.#gotFin || this.destroyed) return
    this.#gotFin = true
    this.#link.release(this)
    this.push(null)
    this.#forgetWhenOver()
  }

  /** More room at the peer; negative when it made its windows smaller. @throws OpsError PROTOCOL_ERROR on overflow */
  grant(bytes: number): void {
    this.#sendWindow += bytes
    if (this.#sendWindow !== Number.POSITIVE_INFINITY && this.#sendWindow > 0x7fffffff) throw spdyError(`stream ${this.id} has a window over 2 GiB`)
    this.#pump()
  }

  resetByPeer(status: number): void {
    this.#dropWrites()
    if (ENDING_STATUSES.has(status)) this.endReading()
    else this.#fail(spdyError(`stream ${this.id} was reset with status ${status}`))
    this.#link.forget(this)
  }

  /** The connection is over. @param error how; undefined when it ended in good order */
  connectionEnded(error: OpsError | undefined): void {
    this.#dropWrites()
    if (error !== undefined && !this.#gotFin) this.#fail(error)
    else this.endReading()
  }

  // ------------------------------------------------------------ Duplex

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#writesDropped) done()
    else {
      this.#pending = { chunk, at: 0, done }
      this.#pump()
    }
  }

  override _final(done: () => void): void {
    if (this.#writesDropped || this.#link.sendData(this, EMPTY, true, done)) done()
    this.#sentFin = true
    this.#forgetWhenOver()
  }

  override _read(): void {
    this.#link.release(this)
  }

  /** Windows open again, and a failure shows, only once bytes have been taken out: `_read` knows neither. */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    const unread = this.readableLength
    if (this.#failure !== undefined && unread === 0) this.destroy(this.#failure)
    const consumed = this.#received - unread - this.#credited
    if (this.#receiveWindow > 0 && consumed >= this.#receiveWindow / 2 && !this.#gotFin && !this.destroyed) {
      this.#credited += consumed
      this.#link.sendCredit(this, consumed)
    }
    return chunk
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const isOver = this.#gotFin && this.#sentFin
    if (!isOver && !this.#writesDropped && !this.#resetByUs) {
      this.#resetByUs = true
      this.#link.sendReset(this, RST_STATUS.CANCEL)
    }
    this.#link.release(this)
    this.#link.forget(this)
    this.#pending = undefined
    done(error)
  }

  // ------------------------------------------------------------

  readonly #pumpAgain = () => this.#pump()

  #pump(): void {
    const pending = this.#pending
    if (pending === undefined) return
    const { chunk } = pending
    while (pending.at < chunk.length) {
      const bytes = Math.min(chunk.length - pending.at, FRAME_BYTES, this.#sendWindow)
      if (bytes <= 0) return
      const piece = bytes === chunk.length ? chunk : chunk.subarray(pending.at, pending.at + bytes)
      pending.at += bytes
      this.#sendWindow -= bytes
      if (!this.#link.sendData(this, piece, false, this.#pumpAgain)) return
    }
    this.#pending = undefined
    pending.done()
  }

  #dropWrites(): void {
    this.#writesDropped = true
    const pending = this.#pending
    this.#pending = undefined
    pending?.done()
  }

  #fail(error: OpsError): void {
    if (this.destroyed) return
    this.#link.release(this)
    if (this.readableLength === 0) this.destroy(error)
    else this.#failure = error
  }

  #forgetWhenOver(): void {
    if (this.#gotFin && (this.#sentFin || this.#writesDropped)) this.#link.forget(this)
  }
}

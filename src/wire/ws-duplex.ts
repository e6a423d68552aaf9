/** A WebSocket as a Duplex with back-pressure in both directions. */
import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { OpsError } from '../core/errors.js'

export interface WebSocketDuplexOptions {
  /** Each chunk read is one message, as a Buffer. Default: a stream of bytes. What is written is one message a chunk either way. */
  readonly messages?: boolean
  /** Pings the peer this often and cuts it off when a whole interval passes without any answer. Default: never. */
  readonly pingMs?: number
}

/** What may wait in the socket before a writer has to. */
const SEND_BUFFER_BYTES = 128 * 1024
const READ_MESSAGES = 16
const READ_BYTES = 256 * 1024
/** Close codes that are good order, RFC 6455 s7.4.1: normal, going away, none given. */
const GOOD_CODES: ReadonlySet<number> = new Set([1000, 1001, 1005])

/**
 * Takes over an open WebSocket. Ending the stream closes it with 1000; the peer's close ends the reading side. A close
 * that is not in good order, and a peer that answers no ping, is an OpsError PROTOCOL_ERROR after what had arrived.
 */
export class WebSocketDuplex extends Duplex {
  readonly #socket: WebSocket
  readonly #pinger: NodeJS.Timeout | undefined
  #isAlive = true
  #failure: OpsError | undefined

  constructor(socket: WebSocket, options: WebSocketDuplexOptions = {}) {
    const messages = options.messages ?? false
    super({ readableObjectMode: messages, readableHighWaterMark: messages ? READ_MESSAGES : READ_BYTES, writableHighWaterMark: 64 * 1024 })
    this.#socket = socket
    socket.binaryType = 'nodebuffer'
    socket.on('message', (data) => this.#onMessage(data as Buffer))
    socket.on('pong', () => {
      this.#isAlive = true
    })
    socket.on('close', (code, reason) => this.#onClose(code, reason.toString()))
    socket.on('error', (error) => this.#fail(new OpsError('PROTOCOL_ERROR', `WebSocket broke: ${error.message}`, { cause: error })))
    if (options.pingMs !== undefined) this.#pinger = setInterval(() => this.#ping(), options.pingMs).unref()
    // Whoever listens hears it; a stream that nobody listens to must not bring the process down.
    this.on('error', () => {})
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    if (this.#failure !== undefined && this.readableLength === 0) this.destroy(this.#failure)
    return chunk
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#socket.readyState !== this.#socket.OPEN) {
      done() // the peer takes nothing more; its close, or the error, says why
    } else if (this.#socket.bufferedAmount + chunk.length < SEND_BUFFER_BYTES) {
      this.#socket.send(chunk, { binary: true })
      done()
    } else {
      this.#socket.send(chunk, { binary: true }, () => done())
    }
  }

  override _final(done: () => void): void {
    this.#socket.close(1000)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearInterval(this.#pinger)
    this.#socket.terminate()
    done(error)
  }

  #onMessage(data: Buffer): void {
    this.#isAlive = true
    if (this.destroyed || this.readableEnded) return
    if (!this.push(data)) this.#socket.pause()
  }

  #onClose(code: number, reason: string): void {
    clearInterval(this.#pinger)
    if (GOOD_CODES.has(code) || this.writableEnded) this.push(null)
    else this.#fail(new OpsError('PROTOCOL_ERROR', `WebSocket was closed with ${code}${reason ? ` ${JSON.stringify(reason)}` : ''}`))
  }

  /** While our reader is slow the socket is paused and no pong can be read: then nothing is held against the peer. */
  #ping(): void {
    if (this.#socket.readyState !== this.#socket.OPEN || this.#socket.isPaused) {
      this.#isAlive = true
      return
    }
    if (!this.#isAlive) {
      this.#fail(new OpsError('PROTOCOL_ERROR', 'WebSocket: the peer stopped answering'))
      return
    }
    this.#isAlive = false
    this.#socket.ping()
  }

  #fail(error: OpsError): void {
    clearInterval(this.#pinger)
    if (this.readableLength === 0) this.destroy(error)
    else {
      this.#failure = error
      this.#socket.terminate()
    }
  }
}

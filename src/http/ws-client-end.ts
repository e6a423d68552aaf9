/**
 * The far end of a WebSocket in Kubernetes' channel protocol (v4, v5) as a ClientEnd.
 *
 * stdin has no window there: what the session does not read waits here up to a bound, then the socket is not read until
 * there is room. A peer that leaves meanwhile is found by pings, which are written and so meet the reset.
 */
import { finished, Readable, Writable } from 'node:stream'
import type { WebSocket } from 'ws'
import { OpsError } from '../core/errors.js'
import type { ClientEnd, ClientListener, ExitStatus, WindowSize } from '../core/types.js'
import { channelMessage, KUBE_CHANNEL, KUBE_V5, parseMessage, parseResize } from '../wire/kube-channel.js'
import { execStatus } from './exec-status.js'

export interface WsClientOptions {
  /** KUBE_V4 or KUBE_V5: only v5 can say that stdin has ended. */
  readonly protocol: string
  readonly tty: boolean
  /** Which lanes the client asked for; the others are ended or dropped. */
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly pingMs: number
}

/** What waits for a session that does not read. */
const INPUT_BYTES = 256 * 1024
/** What may wait in the socket before the program has to. */
const SEND_BUFFER_BYTES = 128 * 1024
/** The peer gets this long to answer our close. */
const CLOSE_MS = 3000

export class WsClientEnd implements ClientEnd {
  readonly stdin: InputLane
  readonly stdout: Writable
  readonly stderr: Writable
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>
  readonly #socket: WebSocket
  readonly #options: WsClientOptions
  readonly #gone = new AbortController()
  readonly #listeners = new Set<ClientListener>()
  readonly #pinger: NodeJS.Timeout
  #firstSize: ((size: WindowSize | undefined) => void) | undefined
  #size: WindowSize | undefined
  #isAlive = true
  #isFinishing = false
  #failure: OpsError | undefined
  #session: string | undefined

  constructor(socket: WebSocket, options: WsClientOptions) {
    this.#socket = socket
    this.#options = options
    this.stdin = new InputLane(socket)
    this.stdout = this.#output(options.stdout ? KUBE_CHANNEL.stdout : undefined)
    // with a terminal a client listens to one output only
    this.stderr = this.#output(options.tty ? (options.stdout ? KUBE_CHANNEL.stdout : undefined) : options.stderr ? KUBE_CHANNEL.stderr : undefined)
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.on('error', () => undefined)
    if (!options.stdin) this.stdin.finish()
    this.#pinger = setInterval(() => this.#ping(), options.pingMs)
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.binaryType = 'nodebuffer'
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#onMessage(data, isBinary))
    socket.on('pong', () => {
      this.#isAlive = true
    })
    socket.on('error', (error) => this.leave(new OpsError('CLIENT_GONE', `the WebSocket broke: ${error.message}`, { cause: error })))
    socket.on('close', (code: number) => {
      clearInterval(this.#pinger)
      this.leave(new OpsError('CLIENT_GONE', `the WebSocket was closed with ${code}`))
    })
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** The size that the client sends first, for at most `limitMs`. */
  firstSize(limitMs: number): Promise<WindowSize | undefined> {
    if (this.#size || this.gone.aborted) return Promise.resolve(this.#size)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), limitMs)
      this.#firstSize = (size) => {
        clearTimeout(timer)
        resolve(size)
      }
    })
  }

  subscribe(listener: ClientListener): () => void {
    this.#listeners.add(listener)
    if (this.#size) listener.resize?.(this.#size)
    return () => this.#listeners.delete(listener)
  }

  /** The session that runs for it; the client is told with the status. */
  opened(session: string): void {
    this.#session = session
  }

  /** Why there will be no exit status of a program: the line that ssh would print, and the codes of the status. */
  failed(error: OpsError, session: string): void {
    this.#failure = error
    this.#session = session
    if (this.gone.aborted) return
    const line = `dockin: ${error.userText}`
    this.stderr.write(this.#options.tty ? `\r\n${line}\r\n` : `${line}\n`)
  }

  finish(status: ExitStatus): void {
    if (this.#isFinishing) return
    this.#isFinishing = true
    let open = 2
    for (const stream of [this.stdout, this.stderr]) {
      finished(stream, () => {
        open -= 1
        if (open === 0) this.#end(status)
      })
      stream.end()
    }
  }

  /** Cuts the client off, or notes that it has left. */
  leave(reason: OpsError): void {
    this.#firstSize?.(undefined)
    // after `finish` nobody waits for anything but the close
    if (!this.#isFinishing && !this.#gone.signal.aborted) this.#gone.abort(reason)
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy(reason)
    if (this.#socket.readyState !== this.#socket.CLOSED) this.#socket.terminate()
  }

  #end(status: ExitStatus): void {
    if (this.#socket.readyState === this.#socket.OPEN) {
      this.#socket.send(channelMessage(KUBE_CHANNEL.error, execStatus(status, this.#failure, this.#session)))
      this.#socket.close(1000)
    }
    // the peer's close is behind whatever stdin it still sends
    this.stdin.discard()
    const cut = setTimeout(() => this.#socket.terminate(), CLOSE_MS)
    void this.closed.then(() => clearTimeout(cut))
  }

  #output(channel: number | undefined): Writable {
    const socket = this.#socket
    return new Writable({
      highWaterMark: 64 * 1024,
      write: (chunk: Buffer, _encoding, done) => {
        if (channel === undefined || chunk.length === 0) return done()
        if (socket.readyState !== socket.OPEN) return done(new OpsError('CLIENT_GONE', 'the WebSocket takes nothing more'))
        const message = channelMessage(channel, chunk)
        if (socket.bufferedAmount + message.length < SEND_BUFFER_BYTES) {
          socket.send(message)
          done()
        } else {
          socket.send(message, (error) => done(error))
        }
      },
    })
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    this.#isAlive = true
    try {
      // a text message is of the base64 variants of the protocol, which were not agreed on
      if (!isBinary) throw new OpsError('PROTOCOL_ERROR', 'a text message')
      const { channel, payload } = parseMessage(data)
      this.#route(channel, payload)
    } catch (error) {
      this.#socket.close(1002, 'not a message of this protocol')
      this.leave(new OpsError('CLIENT_GONE', 'the client does not speak the channel protocol', { cause: error }))
    }
  }

  #route(channel: number, payload: Buffer): void {
    if (channel === KUBE_CHANNEL.stdin) this.stdin.accept(payload)
    else if (channel === KUBE_CHANNEL.resize && this.#options.tty) this.#resize(payload)
    else if (channel === KUBE_CHANNEL.close && this.#options.protocol === KUBE_V5 && payload[0] === KUBE_CHANNEL.stdin) this.stdin.finish()
    // the other channels are ours to write: what a client sends there says nothing
  }

  #resize(payload: Buffer): void {
    const size = payload.length > 256 ? undefined : parseResize(payload.toString())
    if (!size) return
    this.#size = size
    this.#firstSize?.(size)
    for (const listener of this.#listeners) listener.resize?.(size)
  }

  /** While the socket is not read no pong can be: then nothing is held against the peer, but a reset is still noticed. */
  #ping(): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    if (!this.#isAlive && !this.#socket.isPaused) {
      this.leave(new OpsError('CLIENT_GONE', 'the client stopped answering'))
      return
    }
    this.#isAlive = this.#socket.isPaused
    this.#socket.ping()
  }
}

/** stdin: what has come and was not read. Holds the socket when that is much. */
class InputLane extends Readable {
  readonly #socket: WebSocket
  #isOver = false

  constructor(socket: WebSocket) {
    super({ highWaterMark: INPUT_BYTES })
    this.#socket = socket
  }

  accept(bytes: Buffer): void {
    if (this.#isOver || this.destroyed || bytes.length === 0) return
    if (!this.push(bytes)) this.#socket.pause()
  }

  finish(): void {
    if (this.#isOver || this.destroyed) return
    this.#isOver = true
    this.push(null)
  }

  /** Nobody will read: lets the socket flow, so that its close arrives. */
  discard(): void {
    this.#isOver = true
    this.destroy()
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#socket.isPaused) this.#socket.resume()
    done(error)
  }
}

/** An exec over a WebSocket in Kubernetes' channel protocol, v4 or v5, as a RemoteProcess: of an API server, or of our own door. */
import { type Duplex, Readable, Writable } from 'node:stream'
import { abortReason, OpsError, toOpsError } from '../core/errors.js'
import type { ExitStatus, RemoteProcess, WindowSize } from '../core/types.js'
import { SIGNAL_KEYS } from './exec-lanes-client.js'
import { channelClosed, channelMessage, KUBE_CHANNEL, KUBE_V5, parseMessage, parseStatus, printResize } from './kube-channel.js'

export interface KubeWebSocketRequest {
  readonly tty: boolean
  readonly size?: WindowSize
  /** What the server chose: KUBE_V4 or KUBE_V5. Only v5 can tell the program that its input has ended. */
  readonly protocol: string
  readonly via: string
}

/** Payload of one message of stdin. */
const MESSAGE_BYTES = 64 * 1024
const LANE_BYTES = 256 * 1024
/** The server gets this long to answer our close. */
const CLOSE_MS = 3000

/** An output of the program. Its reader's slowness holds the WebSocket; a failure comes after what had arrived. */
class OutputLane extends Readable {
  readonly #onRead: (lane: OutputLane) => void
  #failure: Error | undefined
  #isOver = false

  constructor(onRead: (lane: OutputLane) => void) {
    super({ highWaterMark: LANE_BYTES })
    this.#onRead = onRead
    this.on('error', () => {}) // `exit` says the same; a lane that nobody reads must not bring the process down
  }

  /** False when the reader is slow. */
  accept(bytes: Buffer): boolean {
    return this.#isOver || this.destroyed || this.push(bytes)
  }

  finish(error?: Error): void {
    if (this.#isOver || this.destroyed) return
    this.#isOver = true
    if (error === undefined) this.push(null)
    else if (this.readableLength === 0) this.destroy(error)
    else this.#failure = error
  }

  override _read(): void {
    this.#onRead(this)
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    if (this.#failure !== undefined && this.readableLength === 0) this.destroy(this.#failure)
    return chunk
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onRead(this)
    done(error)
  }
}

/**
 * Speaks over `messages`, a WebSocketDuplex in message mode, and owns it. `kill` can only press keys of a terminal.
 * Aborting `signal` cuts the WebSocket, and `exit` rejects with the reason.
 */
export class KubeWebSocketProcess implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr?: Readable
  readonly exit: Promise<ExitStatus>
  readonly via: string
  readonly #messages: Duplex
  readonly #tty: boolean
  readonly #lanes: ReadonlyMap<number, OutputLane>
  readonly #full = new Set<OutputLane>()
  #nextSize: WindowSize | undefined
  #settle: (status: ExitStatus | OpsError) => void = () => {}

  constructor(messages: Duplex, request: KubeWebSocketRequest, signal: AbortSignal) {
    this.#messages = messages
    this.#tty = request.tty
    this.via = request.via
    const stdout = new OutputLane(this.#onRead)
    const stderr = new OutputLane(this.#onRead)
    this.stdout = stdout
    if (!request.tty) this.stderr = stderr
    this.#lanes = new Map([
      [KUBE_CHANNEL.stdout, stdout],
      [KUBE_CHANNEL.stderr, stderr],
    ])
    this.stdin = this.#makeStdin(request.protocol === KUBE_V5)
    this.exit = new Promise((resolve, reject) => {
      this.#settle = (status) => (status instanceof OpsError ? reject(status) : resolve(status))
    })
    this.exit.catch(() => {}) // who needs it awaits it
    this.#listen(signal)
    if (request.size) this.resize(request.size)
  }

  resize(size: WindowSize): void {
    this.#nextSize = size
    if (!this.#messages.writableNeedDrain) this.#sendSize()
  }

  kill(signal: string): void {
    const key = SIGNAL_KEYS[signal]
    if (this.#tty && key !== undefined && this.#messages.writable) this.#messages.write(channelMessage(KUBE_CHANNEL.stdin, key))
  }

  async close(): Promise<void> {
    this.#fail(new OpsError('PROTOCOL_ERROR', `${this.via}: closed before the exit status`))
    this.#messages.end()
    this.#full.clear()
    this.#messages.resume()
    const cut = setTimeout(() => this.#messages.destroy(), CLOSE_MS)
    if (!this.#messages.closed) await new Promise((resolve) => this.#messages.once('close', resolve))
    clearTimeout(cut)
  }

  #sendSize(): void {
    if (this.#nextSize && this.#tty && this.#messages.writable) this.#messages.write(channelMessage(KUBE_CHANNEL.resize, printResize(this.#nextSize)))
    this.#nextSize = undefined
  }

  #makeStdin(canEnd: boolean): Writable {
    const messages = this.#messages
    const send = (message: Buffer, done: () => void) => {
      if (!messages.writable) done()
      else if (messages.write(message)) done()
      else onceEither(messages, 'drain', 'close', done)
    }
    return new Writable({
      highWaterMark: MESSAGE_BYTES,
      write: (chunk: Buffer, _encoding, done) => {
        const next = (at: number) => {
          if (at >= chunk.length) done()
          else send(channelMessage(KUBE_CHANNEL.stdin, chunk.subarray(at, at + MESSAGE_BYTES)), () => next(at + MESSAGE_BYTES))
        }
        next(0)
      },
      final: (done) => (canEnd ? send(channelClosed(KUBE_CHANNEL.stdin), done) : done()),
    })
  }

  #listen(signal: AbortSignal): void {
    const messages = this.#messages
    const onAbort = () => {
      this.#fail(abortReason(signal))
      messages.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    let failure: Error | undefined
    messages.on('error', (error) => {
      failure = error
    })
    messages.on('drain', () => this.#sendSize())
    messages.on('data', (message: Buffer) => this.#onMessage(message))
    messages.on('end', () => messages.end())
    messages.on('close', () => {
      signal.removeEventListener('abort', onAbort)
      const reason = failure ? `: ${failure.message}` : ''
      this.#fail(new OpsError('PROTOCOL_ERROR', `${this.via}: the connection ended before the exit status${reason}`, { cause: failure }))
    })
  }

  #onMessage(message: Buffer): void {
    try {
      const { channel, payload } = parseMessage(message)
      if (channel === KUBE_CHANNEL.error) this.#onStatus(payload)
      // Servers open each lane with an empty message.
      else if (payload.length > 0) this.#onOutput(this.#lanes.get(channel), payload)
    } catch (error) {
      this.#fail(toOpsError(error))
      this.#messages.destroy()
    }
  }

  #onStatus(payload: Buffer): void {
    if (payload.length === 0) return
    this.#settle(parseStatus(payload.toString()))
    // The server sends the status after all output.
    for (const lane of this.#lanes.values()) lane.finish()
    this.#messages.end()
  }

  #onOutput(lane: OutputLane | undefined, payload: Buffer): void {
    if (lane === undefined || lane.accept(payload)) return
    this.#full.add(lane)
    this.#messages.pause()
  }

  readonly #onRead = (lane: OutputLane) => {
    if (this.#full.delete(lane) && this.#full.size === 0) this.#messages.resume()
  }

  /** Whatever has ended in good order stays so. */
  #fail(error: OpsError): void {
    for (const lane of this.#lanes.values()) lane.finish(error)
    this.#settle(error)
  }
}

function onceEither(emitter: Duplex, first: string, second: string, listener: () => void): void {
  const once = () => {
    emitter.off(first, once).off(second, once)
    listener()
  }
  emitter.on(first, once).on(second, once)
}

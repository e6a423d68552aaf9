/**
 * A SPDY/3.1 connection, either side, as far as Kubernetes' exec streams use it.
 *
 * Back-pressure. Go's spdystream (kubectl, the API server, kubelet, containerd) knows no windows, so the only way to
 * hold such a peer is to pause the socket, and then nothing of any stream comes in, nor PING, nor the peer's end. The
 * socket is therefore paused only while a stream holds READ_BUFFER_BYTES that its reader has not taken. The small lanes
 * (error, resize, signal) are read at once by exec-lanes, which keep a bounded rest, so in practice stdin, stdout and
 * stderr hold the socket, and a resize waits exactly as long as the program ignores 256 KiB of input. Between our own
 * gateway and agent this cannot happen: both set `windowBytes`, each stream then has a window of its own and the socket
 * is never paused.
 */
import type { Duplex } from 'node:stream'
import { abortReason, OpsError, toOpsError } from '../../core/errors.js'
import { type ControlFrame, controlFrame, dataHeader, FrameParser, RST_STATUS, SETTING_INITIAL_WINDOW } from './frames.js'
import { HeaderReader, type HeaderRecord, HeaderWriter } from './header-block.js'
import { RateLimit, SPDY_LIMITS, type SpdyLimits, spdyError } from './limits.js'
import { SpdyStream, type StreamLink } from './stream.js'

export interface SpdyOptions {
  readonly side: 'client' | 'server'
  readonly limits?: Partial<SpdyLimits>
  /** Receive window of each stream, at least 64 KiB; only when the peer is our own (both sides set it). Absent: no windows, as Go does. */
  readonly windowBytes?: number
}

/** Of each stream until the peer's SETTINGS say otherwise; draft s2.6.8. */
const DEFAULT_WINDOW_BYTES = 64 * 1024
/** What the socket may hold before a stream's writer has to wait; enough to fill a pipe, little enough for a key to overtake. */
const SEND_BUFFER_BYTES = 128 * 1024
/** Up to here a payload is copied behind its header instead of being sent as a buffer of its own. */
const COPY_BYTES = 2048
/** How long close(), once all is flushed, waits for the peer's end; what still comes is read and dropped, or the kernel would send a reset. */
const LINGER_MS = 3000
const PINGS_IN_FLIGHT = 16
const HEADER_BYTES = 8

interface Opening {
  readonly resolve: () => void
  readonly reject: (error: OpsError) => void
}

/** See the file's head. All errors are OpsError PROTOCOL_ERROR unless said otherwise. */
export class SpdyConnection {
  /** Settles once: undefined when the connection ended in good order, else why it broke. */
  readonly closed: Promise<OpsError | undefined>
  readonly #settleClosed: (error: OpsError | undefined) => void
  readonly #socket: Duplex
  readonly #side: 'client' | 'server'
  readonly #limits: SpdyLimits
  readonly #windowBytes: number
  readonly #parser: FrameParser
  readonly #reader: HeaderReader
  readonly #writer = new HeaderWriter()
  readonly #rate: RateLimit
  readonly #link: StreamLink
  readonly #streams = new Map<number, SpdyStream>()
  readonly #openings = new Map<number, Opening>()
  readonly #held = new Set<SpdyStream>()
  readonly #pings = new Map<number, (ms: number | OpsError) => void>()
  readonly #unclaimed: SpdyStream[] = []
  #handler: ((stream: SpdyStream) => void) | undefined
  #peerWindow: number
  #nextId: number
  #nextPing: number
  #lastPeerId = 0
  #peerStreams = 0
  #isCorked = false
  #gotGoaway = false
  #isClosing = false
  #isOver = false
  #linger: NodeJS.Timeout | undefined

  /** @param socket upgraded and owned from now on: it is destroyed when the connection ends */
  constructor(socket: Duplex, options: SpdyOptions) {
    this.#socket = socket
    this.#side = options.side
    this.#limits = { ...SPDY_LIMITS, ...options.limits }
    this.#windowBytes = options.windowBytes ?? 0
    this.#peerWindow = this.#windowBytes > 0 ? DEFAULT_WINDOW_BYTES : Number.POSITIVE_INFINITY
    this.#nextId = this.#nextPing = options.side === 'client' ? 1 : 2
    this.#reader = new HeaderReader(this.#limits)
    this.#rate = new RateLimit(this.#limits.controlPerSecond, performance.now())
    this.#parser = new FrameParser({ control: (frame) => this.#onControl(frame), data: (id, payload, fin) => this.#onData(id, payload, fin) }, this.#limits)
    this.#link = this.#makeLink()
    let settle: (error: OpsError | undefined) => void = () => {}
    this.closed = new Promise((resolve) => {
      settle = resolve
    })
    this.#settleClosed = settle
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk))
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#finish(new OpsError('PROTOCOL_ERROR', `SPDY connection broke: ${error.message}`, { cause: error })))
    socket.on('close', () => this.#finish(this.#isClosing ? undefined : spdyError('the connection was cut')))
    if (this.#windowBytes > 0) this.#sendControl({ type: 'settings', entries: [{ id: SETTING_INITIAL_WINDOW, value: this.#windowBytes }] })
  }

  /**
   * Opens a stream and resolves at the peer's SYN_REPLY. Several may be opened at once: one round trip for all.
   * @param signal aborting resets the stream; the reason is rethrown
   * @throws OpsError LIMIT_EXCEEDED with too many streams open
   */
  openStream(headers: HeaderRecord, signal?: AbortSignal): Promise<SpdyStream> {
    if (signal?.aborted) return Promise.reject(abortReason(signal))
    if (this.#isOver || this.#isClosing || this.#gotGoaway) return Promise.reject(spdyError('no stream can be opened on a connection that has ended'))
    if (this.#streams.size >= this.#limits.streams) return Promise.reject(new OpsError('LIMIT_EXCEEDED', `SPDY: over ${this.#limits.streams} streams`))
    const stream = this.#addStream(this.#nextId, headers)
    this.#nextId += 2
    this.#sendControl({ type: 'synStream', id: stream.id, fin: false, unidirectional: false, block: this.#writer.write(headers) })
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#openings.delete(stream.id)
        stream.reset()
        reject(signal === undefined ? spdyError('aborted') : abortReason(signal))
      }
      const done = () => signal?.removeEventListener('abort', onAbort)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#openings.set(stream.id, {
        resolve: () => {
          done()
          resolve(stream)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      })
    })
  }

  /** Hands over the streams that the peer opens, those that came before this call included. SYN_REPLY has been sent. */
  onStream(handler: (stream: SpdyStream) => void): void {
    this.#handler = handler
    for (const stream of this.#unclaimed.splice(0)) handler(stream)
  }

  /** Round trip in milliseconds. @throws OpsError LIMIT_EXCEEDED with 16 unanswered */
  ping(signal?: AbortSignal): Promise<number> {
    if (signal?.aborted) return Promise.reject(abortReason(signal))
    if (this.#isOver) return Promise.reject(spdyError('no ping on a connection that has ended'))
    if (this.#pings.size >= PINGS_IN_FLIGHT) return Promise.reject(new OpsError('LIMIT_EXCEEDED', `SPDY: ${PINGS_IN_FLIGHT} pings unanswered`))
    const id = this.#nextPing
    this.#nextPing = (this.#nextPing + 2) >>> 0
    const sentAt = performance.now()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#pings.delete(id)
        reject(signal === undefined ? spdyError('aborted') : abortReason(signal))
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pings.set(id, (answer) => {
        signal?.removeEventListener('abort', onAbort)
        if (typeof answer === 'number') resolve(answer - sentAt)
        else reject(answer)
      })
      this.#sendControl({ type: 'ping', id })
    })
  }

  /** True while a reader of ours is slow and the socket is paused: then no PING can be answered, and the peer is not to blame. */
  get isHeld(): boolean {
    return this.#held.size > 0
  }

  /**
   * Sends what was written and GOAWAY, then ends. Streams that are open end with it. May be called twice; never rejects.
   * It waits as long as the peer takes to read what was written; destroy() cuts that short.
   */
  async close(): Promise<void> {
    if (!this.#isOver && !this.#isClosing) {
      this.#isClosing = true
      this.#sendControl({ type: 'goaway', lastId: this.#lastPeerId, status: 0 })
      this.#settleStreams(undefined)
      this.#held.clear()
      this.#socket.resume()
      this.#socket.end(() => {
        if (!this.#isOver) this.#linger = setTimeout(() => this.#socket.destroy(), LINGER_MS)
      })
    }
    await this.closed
  }

  /** Cuts the connection. @param error what streams, pings and `closed` will say; good order when absent */
  destroy(error?: OpsError): void {
    if (this.#isOver) return
    this.#isClosing = true
    this.#finish(error)
  }

  // ------------------------------------------------------------ inbound

  #onBytes(chunk: Buffer): void {
    if (this.#isOver || this.#isClosing) return
    try {
      this.#parser.push(chunk)
    } catch (error) {
      this.#refuse(toOpsError(error))
    }
  }

  #onControl(frame: ControlFrame): void {
    if (this.#isOver || this.#isClosing) return
    const isRated = frame.type !== 'synStream' && frame.type !== 'synReply' && frame.type !== 'windowUpdate'
    if (isRated && !this.#rate.take(performance.now())) throw spdyError(`over ${this.#limits.controlPerSecond} control frames a second`)
    switch (frame.type) {
      case 'synStream':
        this.#onSynStream(frame.id, this.#reader.read(frame.block), frame.fin, frame.unidirectional)
        break
      case 'synReply':
        this.#reader.read(frame.block)
        this.#onSynReply(frame.id, frame.fin)
        break
      case 'headers':
        this.#reader.read(frame.block)
        if (frame.fin) this.#streams.get(frame.id)?.endReading()
        break
      case 'rstStream':
        this.#onReset(frame.id, frame.status)
        break
      case 'settings':
        this.#onSettings(frame.entries)
        break
      case 'ping':
        this.#onPing(frame.id)
        break
      case 'goaway':
        this.#onGoaway(frame.lastId)
        break
      case 'windowUpdate':
        if (this.#windowBytes > 0) this.#streams.get(frame.id)?.grant(frame.delta)
        break
      case 'unknown':
        break
    }
  }

  #onSynStream(id: number, headers: HeaderRecord, fin: boolean, unidirectional: boolean): void {
    const isTheirs = id % 2 === (this.#side === 'client' ? 0 : 1) && id > this.#lastPeerId
    if (!isTheirs) throw spdyError(`SYN_STREAM with id ${id} after ${this.#lastPeerId}`)
    this.#lastPeerId = id
    this.#peerStreams++
    if (this.#peerStreams > this.#limits.streamsTotal) throw spdyError(`over ${this.#limits.streamsTotal} streams opened`)
    if (this.#streams.size >= this.#limits.streams) throw spdyError(`over ${this.#limits.streams} streams open`)
    if (unidirectional || (this.#side === 'client' && this.#handler === undefined)) {
      this.#sendControl({ type: 'rstStream', id, status: RST_STATUS.REFUSED_STREAM })
      return
    }
    const stream = this.#addStream(id, headers)
    this.#sendControl({ type: 'synReply', id, fin: false, block: this.#writer.write({}) })
    if (fin) stream.endReading()
    if (this.#handler) this.#handler(stream)
    else this.#unclaimed.push(stream)
  }

  #onSynReply(id: number, fin: boolean): void {
    const opening = this.#openings.get(id)
    this.#openings.delete(id)
    if (fin) this.#streams.get(id)?.endReading()
    opening?.resolve()
  }

  #onReset(id: number, status: number): void {
    const opening = this.#openings.get(id)
    this.#openings.delete(id)
    opening?.reject(spdyError(`stream ${id} was refused with status ${status}`))
    const stream = this.#streams.get(id)
    if (opening) stream?.connectionEnded(undefined)
    else stream?.resetByPeer(status)
    this.#streams.delete(id)
  }

  #onSettings(entries: readonly { readonly id: number; readonly value: number }[]): void {
    const window = entries.find((entry) => entry.id === SETTING_INITIAL_WINDOW)?.value
    if (this.#windowBytes === 0 || window === undefined) return
    const delta = window - this.#peerWindow
    this.#peerWindow = window
    for (const stream of this.#streams.values()) stream.grant(delta)
  }

  #onPing(id: number): void {
    const isOurs = id % 2 === (this.#side === 'client' ? 1 : 0)
    if (!isOurs) {
      this.#sendControl({ type: 'ping', id })
      return
    }
    const answer = this.#pings.get(id)
    this.#pings.delete(id)
    answer?.(performance.now())
  }

  #onGoaway(lastId: number): void {
    this.#gotGoaway = true
    for (const [id, opening] of this.#openings) {
      if (id <= lastId) continue
      this.#openings.delete(id)
      this.#streams.get(id)?.destroy()
      opening.reject(spdyError('the peer is going away'))
    }
  }

  #onData(id: number, payload: Buffer, fin: boolean): void {
    if (this.#isOver || this.#isClosing) return
    const stream = this.#streams.get(id)
    if (stream) stream.receive(payload, fin)
    else if (id > Math.max(this.#lastPeerId, this.#nextId)) throw spdyError(`data for stream ${id}, which was never opened`)
  }

  /** The peer sends nothing more. Sockets of an HTTP upgrade are allowHalfOpen and leak unless ended here. */
  #onEnd(): void {
    const isWhole = this.#isClosing || ((this.#gotGoaway || this.#streams.size === 0) && this.#parser.isIdle)
    this.#finish(isWhole ? undefined : spdyError(`the peer ended the connection with ${this.#streams.size} streams open`))
  }

  // ------------------------------------------------------------ outbound

  #makeLink(): StreamLink {
    return {
      sendData: (stream, payload, fin, flushed) => this.#sendData(stream.id, payload, fin, flushed),
      sendReset: (stream, status) => this.#sendControl({ type: 'rstStream', id: stream.id, status }),
      sendCredit: (stream, bytes) => this.#sendControl({ type: 'windowUpdate', id: stream.id, delta: bytes }),
      hold: (stream) => {
        if (this.#isClosing) return
        this.#held.add(stream)
        this.#socket.pause()
      },
      release: (stream) => {
        if (this.#held.delete(stream) && this.#held.size === 0 && !this.#isOver) this.#socket.resume()
      },
      forget: (stream) => {
        this.#streams.delete(stream.id)
      },
    }
  }

  #addStream(id: number, headers: HeaderRecord): SpdyStream {
    const stream = new SpdyStream(id, headers, this.#link, { receive: this.#windowBytes, send: this.#peerWindow })
    this.#streams.set(id, stream)
    return stream
  }

  #sendData(id: number, payload: Buffer, fin: boolean, flushed: () => void): boolean {
    const socket = this.#socket
    if (this.#isOver || socket.writableEnded || socket.destroyed) return true
    this.#cork()
    const isFull = socket.writableLength + payload.length >= SEND_BUFFER_BYTES
    const header = dataHeader(id, fin, payload.length)
    let last = payload
    if (payload.length <= COPY_BYTES) last = payload.length === 0 ? header : Buffer.concat([header, payload], HEADER_BYTES + payload.length)
    else socket.write(header)
    // By way of the loop's poll phase: a server that ends an exec while our input is in flight sends the status, then a
    // reset, and a write in between would fail and take the status, still unread in the kernel, with it.
    if (isFull) socket.write(last, () => setImmediate(flushed))
    else socket.write(last)
    return !isFull
  }

  #sendControl(frame: Exclude<ControlFrame, { type: 'unknown' }>): void {
    const socket = this.#socket
    if (this.#isOver || socket.writableEnded || socket.destroyed) return
    if (socket.writableLength > this.#limits.backlogBytes) {
      this.#finish(spdyError('the peer sends but does not read'))
      return
    }
    this.#cork()
    socket.write(controlFrame(frame))
  }

  /** Everything sent in one turn of the loop leaves in one system call: five SYN_STREAMs, a status and its GOAWAY. */
  #cork(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#socket.cork()
    process.nextTick(this.#uncork)
  }

  readonly #uncork = () => {
    this.#isCorked = false
    this.#socket.uncork()
  }

  // ------------------------------------------------------------ the end

  /** Tells the peer that it broke the protocol, and ends. */
  #refuse(error: OpsError): void {
    this.#sendControl({ type: 'goaway', lastId: this.#lastPeerId, status: 1 })
    if (this.#isCorked) this.#uncork()
    this.#finish(error)
  }

  #finish(error: OpsError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#linger)
    this.#settleStreams(error)
    this.#held.clear()
    this.#socket.end()
    this.#socket.destroy()
    this.#settleClosed(error)
  }

  #settleStreams(error: OpsError | undefined): void {
    if (this.#openings.size + this.#pings.size > 0) {
      const reason = error ?? spdyError('the connection was closed')
      for (const opening of this.#openings.values()) opening.reject(reason)
      for (const answer of this.#pings.values()) answer(reason)
    }
    this.#openings.clear()
    this.#pings.clear()
    for (const stream of this.#streams.values()) stream.connectionEnded(error)
    this.#streams.clear()
  }
}

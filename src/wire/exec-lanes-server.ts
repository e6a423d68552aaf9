/** An exec over a SPDY connection, seen from the side that runs the program: kubectl, the gateway and CRI clients are its callers. */
import type { Readable, Writable } from 'node:stream'
import { abortReason, OpsError } from '../core/errors.js'
import type { ExitStatus, WindowSize } from '../core/types.js'
import { parseResize, printStatus } from './kube-channel.js'
import type { SpdyConnection } from './spdy/connection.js'
import type { SpdyStream } from './spdy/stream.js'

/** What the request's query said; each true one brings a stream of that name, `tty` one named "resize". */
export interface AnnouncedLanes {
  readonly stdin: boolean
  readonly stdout: boolean
  /** Ignored with `tty`, as Kubernetes does. */
  readonly stderr: boolean
  readonly tty: boolean
}

export interface ExecLanes {
  readonly stdin: Readable | undefined
  readonly stdout: Writable | undefined
  readonly stderr: Writable | undefined
  /** Calls back for each new size; a size that came earlier at once. One listener. */
  onResize(listener: (size: WindowSize) => void): void
  /** Calls back with names of signals, without SIG; those that came earlier at once. One listener. */
  onSignal(listener: (name: string) => void): void
  /** Tells our gateway that the program runs, so that its exec() resolves; Go clients do not hear it. Call it once, when it does. */
  started(): void
  /**
   * Ends stdout and stderr, waits until the peer's socket has taken them, sends the status and ends the connection.
   * Resolves when the connection is over, at once when the peer has left. Call it once, after the last write.
   */
  finish(status: ExitStatus | OpsError): Promise<void>
  /** Aborted with CLIENT_GONE when the connection is over. */
  readonly gone: AbortSignal
}

/** Kubernetes' own limit for the streams of an exec to arrive. */
const STREAMS_MS = 30_000
/** Longest size or name on the small lanes, bytes; what is longer is dropped. */
const WORD_BYTES = 256
const EARLY_SIGNALS = 16
/** On the signal stream, back to the gateway. */
export const STARTED_LINE = 'started\n'

type LaneName = 'error' | 'stdin' | 'stdout' | 'stderr' | 'resize' | 'signal'
const LANE_NAMES: readonly string[] = ['error', 'stdin', 'stdout', 'stderr', 'resize', 'signal'] satisfies LaneName[]

/**
 * Resolves when every announced stream is there. A stream of a name that was not announced, or that exists, is reset;
 * "signal" is an extension of ours and may come at any time.
 * @param signal aborting cuts the connection; the reason is rethrown
 * @throws OpsError PROTOCOL_ERROR when streams are missing after 30 s or the connection ends
 */
export function acceptExec(connection: SpdyConnection, announced: AnnouncedLanes, signal: AbortSignal): Promise<ExecLanes> {
  const wanted = wantedLanes(announced)
  const lanes = new ServerLanes(connection)
  return new Promise((resolve, reject) => {
    const fail = (error: OpsError) => {
      settle()
      connection.destroy(error)
      reject(error)
    }
    const onAbort = () => fail(abortReason(signal))
    const timer = setTimeout(() => fail(new OpsError('PROTOCOL_ERROR', `Streams missing after ${STREAMS_MS / 1000} s: ${missing().join(', ')}`)), STREAMS_MS)
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
    const missing = () => wanted.filter((name) => !lanes.has(name))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    void connection.closed.then((error) => fail(error ?? new OpsError('CLIENT_GONE', 'The connection ended before its streams were open')))
    connection.onStream((stream) => {
      const name = stream.headers.streamtype ?? ''
      const isKnown = name === 'signal' || wanted.some((lane) => lane === name)
      if (!isKnown || !isLaneName(name) || lanes.has(name)) return stream.reset()
      lanes.add(name, stream)
      if (missing().length > 0) return
      settle()
      resolve(lanes)
    })
  })
}

function wantedLanes(announced: AnnouncedLanes): LaneName[] {
  const lanes: LaneName[] = ['error']
  if (announced.stdin) lanes.push('stdin')
  if (announced.stdout) lanes.push('stdout')
  if (announced.stderr && !announced.tty) lanes.push('stderr')
  if (announced.tty) lanes.push('resize')
  return lanes
}

function isLaneName(name: string): name is LaneName {
  return LANE_NAMES.includes(name)
}

class ServerLanes implements ExecLanes {
  readonly gone: AbortSignal
  readonly #connection: SpdyConnection
  readonly #lanes = new Map<LaneName, SpdyStream>()
  #size: WindowSize | undefined
  #isStarted = false
  #signals: string[] = []
  #onResize: ((size: WindowSize) => void) | undefined
  #onSignal: ((name: string) => void) | undefined

  constructor(connection: SpdyConnection) {
    this.#connection = connection
    const gone = new AbortController()
    this.gone = gone.signal
    void connection.closed.then((error) => gone.abort(new OpsError('CLIENT_GONE', `The caller left${error ? `: ${error.message}` : ''}`, { cause: error })))
  }

  has(name: LaneName): boolean {
    return this.#lanes.has(name)
  }

  add(name: LaneName, stream: SpdyStream): void {
    this.#lanes.set(name, stream)
    if (name === 'resize') readWords(stream, '}', (word) => this.#resized(word))
    else if (name === 'signal') {
      readWords(stream, '\n', (word) => this.#signalled(word))
      if (this.#isStarted) stream.write(STARTED_LINE)
    } else if (name !== 'stdin') stream.resume() // nothing comes; reading to the end lets the stream close
  }

  get stdin(): Readable | undefined {
    return this.#lanes.get('stdin')
  }
  get stdout(): Writable | undefined {
    return this.#lanes.get('stdout')
  }
  get stderr(): Writable | undefined {
    return this.#lanes.get('stderr')
  }

  onResize(listener: (size: WindowSize) => void): void {
    this.#onResize = listener
    if (this.#size) listener(this.#size)
  }

  onSignal(listener: (name: string) => void): void {
    this.#onSignal = listener
    for (const name of this.#signals.splice(0)) listener(name)
  }

  started(): void {
    if (!this.#isStarted) this.#lanes.get('signal')?.write(STARTED_LINE)
    this.#isStarted = true
  }

  #resized(word: string): void {
    const size = parseResize(`${word}}`)
    if (!size) return
    this.#size = size
    this.#onResize?.(size)
  }

  #signalled(word: string): void {
    const name = word.trim()
    if (!/^[A-Z0-9]{1,16}$/.test(name)) return
    if (this.#onSignal) this.#onSignal(name)
    else if (this.#signals.length < EARLY_SIGNALS) this.#signals.push(name)
  }

  async finish(status: ExitStatus | OpsError): Promise<void> {
    await this.#unlessGone(Promise.all([this.#end('stdout'), this.#end('stderr')]))
    await this.#unlessGone(this.#end('error', printStatus(status)))
    await this.#connection.close()
  }

  #end(name: LaneName, last?: string): Promise<void> {
    const lane = this.#lanes.get(name)
    if (!lane || lane.writableFinished || lane.destroyed) return Promise.resolve()
    return new Promise((resolve) => {
      lane.once('finish', resolve).once('close', resolve)
      if (!lane.writableEnded) lane.end(last)
    })
  }

  async #unlessGone(work: Promise<unknown>): Promise<void> {
    await Promise.race([work, this.#connection.closed])
  }
}

/** Reads short texts that each end with `mark`, and drops those that are too long. Always reading, so such a lane never fills. */
function readWords(stream: SpdyStream, mark: string, take: (word: string) => void): void {
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const words = (rest + chunk.toString('latin1')).split(mark)
    rest = (words.pop() ?? '').slice(-WORD_BYTES)
    for (const word of words) if (word.length <= WORD_BYTES) take(word)
  })
}

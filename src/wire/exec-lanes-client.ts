/** An exec over a SPDY connection, seen from the caller: the streams that Kubernetes names, as a RemoteProcess. */
import { Readable, Writable } from 'node:stream'
import { abortReason, OpsError } from '../core/errors.js'
import type { ExitStatus, RemoteProcess, WindowSize } from '../core/types.js'
import { parseStatus, printResize, STATUS_BYTES } from './kube-channel.js'
import type { SpdyConnection } from './spdy/connection.js'
import type { SpdyStream } from './spdy/stream.js'

export interface ExecLanesRequest {
  readonly stdin: boolean
  readonly stdout: boolean
  /** Must be false with `tty`, where the two outputs are one. */
  readonly stderr: boolean
  readonly tty: boolean
  /** Sent as soon as the streams are open. */
  readonly size?: WindowSize
  /** Whether the peer is our agent: it takes the names of signals on a stream of their own, and says there when the program runs. */
  readonly signals: boolean
  /** Where the program runs, for the audit and for error messages. */
  readonly via: string
}

/** The peer of an exec that is closed gets this long to end the connection. */
const CLOSE_MS = 3000
/** An agent that does not say when the program runs is believed after this long; ours says so, on a busy node seconds later. */
const START_GRACE_MS = 30_000
/** Names of signals that may wait for a peer that does not read them. */
const SIGNAL_BACKLOG_BYTES = 1024
/** What a terminal's line discipline turns into a signal, for peers that know no signals. */
export const SIGNAL_KEYS: Readonly<Record<string, string>> = { INT: '\x03', QUIT: '\x1c', TSTP: '\x1a' }

/**
 * Opens the streams in the order Kubernetes names them (error, stdin, stdout, stderr, resize), all in one round trip,
 * and owns the connection from then on: it ends with the program.
 *
 * `exit` settles at the status, and with it stdout and stderr end: the peer sends the status after all output. Without
 * signal support `kill` can only press INT, QUIT and TSTP on a terminal.
 * With an agent this resolves once the program runs, with others once the streams are open.
 * @param signal aborting cuts the connection, and `exit` rejects with the reason
 * @throws OpsError PROTOCOL_ERROR when the peer refuses a stream; what an agent says about a program that did not start
 */
export async function openExecLanes(connection: SpdyConnection, request: ExecLanesRequest, signal: AbortSignal): Promise<RemoteProcess> {
  const open = (wanted: boolean, streamtype: string) => (wanted ? connection.openStream({ streamtype }, signal) : undefined)
  try {
    const [error, stdin, stdout, stderr, resize, signals] = await Promise.all([
      connection.openStream({ streamtype: 'error' }, signal),
      open(request.stdin, 'stdin'),
      open(request.stdout, 'stdout'),
      open(request.stderr, 'stderr'),
      open(request.tty, 'resize'),
      open(request.signals, 'signal'),
    ])
    const process = new LaneProcess(connection, { error, stdin, stdout, stderr, resize, signals }, request, signal)
    if (signals) await Promise.race([lineSeen(signals), process.exit, later(START_GRACE_MS)])
    return process
  } catch (error) {
    connection.destroy()
    throw error
  }
}

/** The only line an agent sends back on the signal stream: the program runs. */
function lineSeen(lane: SpdyStream): Promise<void> {
  return new Promise((resolve) => lane.once('data', () => resolve()))
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

interface Lanes {
  readonly error: SpdyStream
  readonly stdin: SpdyStream | undefined
  readonly stdout: SpdyStream | undefined
  readonly stderr: SpdyStream | undefined
  readonly resize: SpdyStream | undefined
  readonly signals: SpdyStream | undefined
}

class LaneProcess implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr?: Readable
  readonly exit: Promise<ExitStatus>
  readonly via: string
  readonly #connection: SpdyConnection
  readonly #lanes: Lanes
  /** The newest size, while an older one waits for the peer to read. */
  #nextSize: WindowSize | undefined

  constructor(connection: SpdyConnection, lanes: Lanes, request: ExecLanesRequest, signal: AbortSignal) {
    this.#connection = connection
    this.#lanes = lanes
    this.via = request.via
    this.stdin = lanes.stdin ?? new Writable({ write: (_chunk, _encoding, done) => done() })
    this.stdout = lanes.stdout ?? Readable.from([])
    if (lanes.stderr) this.stderr = lanes.stderr
    // Nothing comes on these; reading them to the end lets them close.
    for (const lane of [lanes.stdin, lanes.resize, lanes.signals]) lane?.resume()
    lanes.resize?.on('drain', () => this.#sendSize())
    if (request.size) this.resize(request.size)
    this.exit = this.#awaitExit(signal)
    // Whoever needs the exit awaits it; a caller that only closes must not die of its rejection.
    this.exit.catch(() => {})
  }

  resize(size: WindowSize): void {
    this.#nextSize = size
    if (!this.#lanes.resize?.writableNeedDrain) this.#sendSize()
  }

  #sendSize(): void {
    if (this.#nextSize && this.#lanes.resize?.writable) this.#lanes.resize.write(printResize(this.#nextSize))
    this.#nextSize = undefined
  }

  kill(signal: string): void {
    const { signals, resize, stdin } = this.#lanes
    if (!/^[A-Z0-9]{1,16}$/.test(signal)) return
    if (signals?.writable && signals.writableLength < SIGNAL_BACKLOG_BYTES) signals.write(`${signal}\n`)
    const key = SIGNAL_KEYS[signal]
    if (!signals && resize && stdin?.writable && key !== undefined) stdin.write(key)
  }

  async close(): Promise<void> {
    const cut = setTimeout(() => this.#connection.destroy(), CLOSE_MS)
    await this.#connection.close()
    clearTimeout(cut)
  }

  async #awaitExit(signal: AbortSignal): Promise<ExitStatus> {
    const onAbort = () => this.#connection.destroy(abortReason(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const text = await readStatus(this.#lanes.error)
      void this.close() // never rejects
      if (text === '') throw await this.#lost(signal)
      this.#lanes.stdout?.endReading()
      this.#lanes.stderr?.endReading()
      const status = parseStatus(text)
      if (status instanceof OpsError) throw status
      return status
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #lost(signal: AbortSignal): Promise<OpsError> {
    const error = await this.#connection.closed
    if (signal.aborted) return abortReason(signal)
    return new OpsError('PROTOCOL_ERROR', `${this.via}: the connection ended before the exit status${error ? `: ${error.message}` : ''}`, { cause: error })
  }
}

/**
 * The status, as soon as it is whole: Go peers send it in one frame and then reset the stream instead of ending it.
 * Empty when the stream ended without.
 */
function readStatus(lane: SpdyStream): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    lane.on('data', (chunk: Buffer) => {
      if (text.length < STATUS_BYTES) text += chunk.toString()
      if (isWhole(text)) resolve(text)
    })
    lane.on('close', () => resolve(text))
    lane.on('end', () => resolve(text))
  })
}

function isWhole(text: string): boolean {
  if (!text.trimEnd().endsWith('}')) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    // a brace inside the text, the rest is still to come
    return false
  }
}

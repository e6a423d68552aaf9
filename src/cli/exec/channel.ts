/** A program in a pod over the WebSocket door, in Kubernetes' channel protocol (v5, v4), joined with streams of this side. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import { WebSocket } from 'ws'
import { ERRORS, OpsError, toOpsError } from '../../core/errors.js'
import type { ExitStatus, WindowSize } from '../../core/types.js'
import { KUBE_V4, KUBE_V5 } from '../../wire/kube-channel.js'
import { KubeWebSocketProcess } from '../../wire/kube-websocket.js'
import { WebSocketDuplex } from '../../wire/ws-duplex.js'
import { type Connection, pathOf, problemOf } from '../api/connection.js'
import { unreachable } from '../api/request.js'
import { ExitCode, GatewayError } from '../problem.js'
import { writeOut } from '../streams.js'

export interface ExecAsk {
  /** contract.md, "Address". */
  readonly target: string
  readonly container?: string | undefined
  /** Empty: the shell that the target has; needs `tty`. */
  readonly argv: readonly string[]
  readonly tty: boolean
  readonly stdin: boolean
  readonly size?: WindowSize | undefined
  readonly term?: string | undefined
}

export interface ExecEnds {
  readonly stdin?: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Calls back at each new size; answers the way to stop. */
  readonly onResize?: (listener: (size: WindowSize) => void) => () => void
}

const PING_MS = 20_000
/** Linux numbers; the shells say 128 + n. */
const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
}

/**
 * Runs it to its end and answers the exit code to exit with.
 * @param signal aborting cuts the connection; its reason is thrown
 * @throws GatewayError when it was refused or the way broke
 */
export async function runOverWebSocket(connection: Connection, ask: ExecAsk, ends: ExecEnds, signal: AbortSignal): Promise<number> {
  const socket = await openExec(connection, ask, signal)
  const messages = new WebSocketDuplex(socket, { messages: true, pingMs: PING_MS })
  const request = { tty: ask.tty, protocol: socket.protocol, via: 'gateway', ...(ask.size && { size: ask.size }) }
  const process = new KubeWebSocketProcess(messages, request, signal)
  const stopResizes = ends.onResize?.((size) => process.resize(size))
  const stdin = ask.stdin ? ends.stdin : undefined
  stdin?.pipe(process.stdin)
  const told = new Tail()
  try {
    const outputs = [pour(process.stdout, ends.stdout, told), process.stderr && pour(process.stderr, ends.stderr, told)]
    const status = await process.exit.catch((error: unknown) => toOpsError(error))
    await Promise.all(outputs)
    signal.throwIfAborted()
    return codeOf(status, told)
  } finally {
    stopResizes?.()
    // left as it was found: others may read it afterwards
    stdin?.unpipe(process.stdin).pause()
    void process.close()
  }
}

/** Reading one piece after the other is the back-pressure: a slow terminal holds the program. */
async function pour(lane: Readable, output: Writable, told: Tail): Promise<void> {
  try {
    for await (const chunk of lane as AsyncIterable<Buffer>) {
      told.see(chunk)
      await writeOut(output, chunk)
    }
  } catch {
    // the exit says why the way broke
  }
}

/** @throws GatewayError with the gateway's own words when it does not upgrade */
async function openExec(connection: Connection, ask: ExecAsk, signal: AbortSignal): Promise<WebSocket> {
  const path = pathOf('/api/v1/exec', {
    target: ask.target,
    container: ask.container,
    command: ask.argv,
    stdin: ask.stdin,
    stdout: true,
    stderr: !ask.tty,
    tty: ask.tty,
    term: ask.tty ? ask.term : undefined,
    columns: ask.tty ? ask.size?.columns : undefined,
    rows: ask.tty ? ask.size?.rows : undefined,
  })
  return openWebSocket(connection, path, [KUBE_V5, KUBE_V4], signal)
}

/** Opens a WebSocket of the API with the login of the connection. @throws GatewayError with the gateway's own words when it does not upgrade */
export async function openWebSocket(connection: Connection, path: string, protocols: readonly string[], signal: AbortSignal): Promise<WebSocket> {
  signal.throwIfAborted()
  const { endpoint } = connection
  const url = new URL(path, endpoint.server)
  url.protocol = url.protocol.replace('http', 'ws')
  const socket = new WebSocket(url, [...protocols], {
    headers: { authorization: `Bearer ${await connection.token()}`, 'user-agent': 'dockin-cli' },
    ...(endpoint.ca !== undefined && { ca: endpoint.ca }),
    perMessageDeflate: false,
    handshakeTimeout: 60_000,
  })
  // what arrives with the handshake's answer must wait for whoever reads
  socket.once('open', () => socket.pause())
  const refused = new Promise<never>((_, reject) => {
    socket.once('unexpected-response', (_request, answer: IncomingMessage) => problemOf(answer).then(reject, reject))
  })
  refused.catch(() => {}) // raced below
  const abort = (): void => socket.terminate()
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([once(socket, 'open'), refused])
    return socket
  } catch (error) {
    socket.on('error', () => {}) // terminate() says once more that it was not open
    socket.terminate()
    signal.throwIfAborted()
    throw error instanceof GatewayError ? error : unreachable(endpoint, error)
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** The last of what the person has seen. The gateway writes why it ended a session into the session itself, as ssh clients need it. */
class Tail {
  #text = ''

  see(payload: Buffer): void {
    this.#text = (this.#text + payload.subarray(-2048).toString()).slice(-2048)
  }

  holds(message: string): boolean {
    return this.#text.includes(`dockin: ${message}`)
  }
}

/** @throws GatewayError for anything but a program's own end; ExitCode when its reason was shown already */
function codeOf(status: ExitStatus | OpsError, told: Tail): number {
  if (status instanceof OpsError) {
    if (status.message !== '' && told.holds(status.message)) throw new ExitCode(status.exit)
    const { text } = ERRORS[status.code]
    const said = status.message === '' ? text : status.message
    throw new GatewayError(status.code, said.startsWith(text) ? said : `${text}: ${said}`)
  }
  return status.kind === 'exited' ? status.code : 128 + (SIGNALS[status.signal] ?? 0)
}

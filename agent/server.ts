/** The node agent's server: a table of the few requests that it answers. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { OpsError, toOpsError } from '../src/core/errors.js'
import { escapePeerText, type Logger } from '../src/core/log.js'
import type { ContainerUsage, NodeContainer, RemoteProcess } from '../src/core/types.js'
import type { SpdyConnection } from '../src/wire/spdy/connection.js'
import { refusalBody } from '../src/wire/spdy/refusal.js'
import { AGENT_HEADER, upgradeServer } from '../src/wire/spdy/upgrade-server.js'
import { type AskedExec, isExecPath, parseExec } from './exec-request.js'
import { type AgentRuntime, runExec } from './exec-session.js'
import { type AskedFiles, isFilesPath, parseFiles } from './files/files-request.js'
import { runFiles } from './files/run-files.js'
import type { FileSession } from './files/start-files.js'
import { holdEnd } from './held-end.js'
import { type AgentAuth, type AgentListen, createListener, gatewayOf, listenOn } from './listener.js'
import { type AskedLogs, isLogsPath, parseLogs } from './logs-request.js'

export interface AgentOptions {
  /** Port 0 takes any free one. */
  readonly listen: AgentListen
  /** Not closed with the agent. */
  readonly runtime: AgentRuntime & {
    /** Absent: this runtime leads to no files. */
    files?(containerId: string, signal: AbortSignal): Promise<FileSession>
    /** One container; asks again before it says that there is none. */
    find?(matches: (one: NodeContainer) => boolean, signal: AbortSignal): Promise<NodeContainer | undefined>
  }
  /** What is known of containers beside their programs; absent: neither logs nor what they use. Not closed with the agent. */
  readonly observer?: {
    logsOf(asked: AskedLogs, signal: AbortSignal): Promise<RemoteProcess>
    usage(signal: AbortSignal): Promise<ReadonlyMap<string, ContainerUsage>>
  }
  /** Without it only loopback and unix sockets are taken. */
  readonly auth?: AgentAuth
  readonly log: Logger
  /** Programs at once; default 2000. */
  readonly maxExecs?: number
}
export interface RunningAgent {
  /** The real port. */
  readonly address: AgentListen
  /** Programs that run. */
  readonly execs: number
  /** Takes no new execs, and resolves once the running ones have ended, at the latest after `limitMs`. Health answers 503. */
  drain(limitMs: number): Promise<void>
  /** Ends every program and connection, then stops listening. May be called twice. */
  close(): Promise<void>
}

const MAX_EXECS = 2000
const LOOKUP_LIMIT_MS = 10_000
/** Kubernetes says 404 where the table of errors says 410. */
const HTTP_STATUS: Readonly<Record<string, number>> = { TARGET_GONE: 404 }

/** @throws OpsError CONFIG_INVALID when it cannot listen so */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const server = createListener(options.listen, options.auth)
  const agent = new Agent(server, options)
  agent.address = await listenOn(server, options.listen)
  // a unix socket is as safe as its folder, which whoever starts the agent has chosen
  if (!options.auth && 'host' in options.listen)
    options.log.warn({ address: options.listen }, 'agent.no-auth: whoever reaches this address is root in every container')
  return agent
}

type Asked = AskedExec | AskedFiles | AskedLogs
/** A log has no input. */
const LOG_LANES = { stdin: false, stdout: true, stderr: true, tty: false }

interface Answered {
  readonly connection: SpdyConnection
  readonly release: () => void
}
type Route = (request: IncomingMessage, signal: AbortSignal) => Promise<{ readonly type: string; readonly body: string }>

class Agent implements RunningAgent {
  address: AgentListen
  readonly #server: Server
  readonly #options: AgentOptions
  readonly #log: Logger
  readonly #maxExecs: number
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #sockets = new Set<Duplex>()
  readonly #routes: Readonly<Record<string, Route>>
  #isDraining = false
  #closing: Promise<void> | undefined

  constructor(server: Server, options: AgentOptions) {
    this.#server = server
    this.#options = options
    this.#log = options.log
    this.address = options.listen
    this.#maxExecs = options.maxExecs ?? MAX_EXECS
    this.#routes = {
      '/healthz': (_request, signal) => this.#health(signal),
      '/pods': async (_request, signal) => ({ type: 'application/json', body: JSON.stringify(await options.runtime.containers(signal)) }),
      '/usage': (_request, signal) => this.#usage(signal),
    }
    // Every exec is a connection; gateways keep a few more in reserve.
    server.maxConnections = this.#maxExecs * 2 + 200
    server.on('connection', (socket: Duplex) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('request', (request, response) => void this.#answer(request, response))
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.#upgrade(request, socket, head))
    server.on('tlsClientError', (error: NodeJS.ErrnoException) => this.#log.warn({ code: error.code, reason: error.message }, 'agent.tls.refused'))
  }

  get execs(): number {
    return this.#running.size
  }

  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true
    let limit: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      limit = setTimeout(resolve, limitMs)
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([Promise.all(this.#running), late])
    clearTimeout(limit)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#isDraining = true
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#stop.abort(new OpsError('DRAINING', 'The agent is stopping'))
    await Promise.all(this.#running)
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    const from = request.socket.remoteAddress
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(LOOKUP_LIMIT_MS)])
    response.setHeader(AGENT_HEADER, '1')
    request.resume()
    try {
      const gateway = gatewayOf(request, this.#options.auth)
      const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined
      if (isExecPath(path)) throw new OpsError('BAD_REQUEST', 'An exec needs Connection: Upgrade and Upgrade: SPDY/3.1')
      if (!route) throw new OpsError('NOT_FOUND', `Nothing is at ${escapePeerText(path)}`)
      if (request.method !== 'GET' && request.method !== 'HEAD') throw new OpsError('BAD_REQUEST', `${request.method} is not taken at ${path}, GET is`)
      const { type, body } = await route(request, signal)
      response.writeHead(200, { 'Content-Type': type }).end(body)
      this.#log.debug({ path, gateway, from, status: 200 }, 'agent.request')
    } catch (thrown) {
      const error = toOpsError(thrown)
      response.writeHead(statusOf(error), { 'Content-Type': 'application/json' }).end(statusBody(error))
      this.#log.warn({ path: escapePeerText(path), from, status: statusOf(error), code: error.code, reason: error.message }, 'agent.request.refused')
    }
  }

  async #health(signal: AbortSignal): Promise<{ type: string; body: string }> {
    if (this.#isDraining) throw new OpsError('DRAINING', 'This agent is stopping')
    await this.#options.runtime.containers(signal)
    return { type: 'text/plain', body: 'ok\n' }
  }

  async #usage(signal: AbortSignal): Promise<{ type: string; body: string }> {
    const { observer, runtime } = this.#options
    if (!observer) throw new OpsError('NOT_FOUND', 'This agent does not know what its containers use')
    const used = [...(await observer.usage(signal))].map(([id, usage]) => [`${runtime.scheme}://${id}`, usage] as const)
    return { type: 'application/json', body: JSON.stringify({ containers: Object.fromEntries(used) }) }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const from = request.socket.remoteAddress
    const onError = () => socket.destroy()
    // From here until SPDY has it, the socket has nobody else who hears that it broke.
    socket.on('error', onError)
    let log = this.#log
    try {
      const gateway = gatewayOf(request, this.#options.auth)
      if (this.#isDraining) throw new OpsError('DRAINING', 'This agent is stopping')
      if (this.#running.size >= this.#maxExecs) throw new OpsError('LIMIT_EXCEEDED', `${this.#maxExecs} programs run here already`)
      const asked = parseUpgrade(request.url ?? '')
      const { namespace, pod, container } = asked
      log = log.child({ gateway, from, target: `${namespace}/${pod}/${container}` })
      const found = 'logs' in asked ? undefined : await this.#find(asked)
      if (socket.destroyed) throw new OpsError('CLIENT_GONE', 'The caller left')
      const answer = () => {
        const { connection } = upgradeServer(request, socket, head)
        const release = holdEnd(socket)
        socket.off('error', onError)
        return { connection, release }
      }
      const running = this.#serve(asked, found, socket, answer, log)
      const over = running.catch(() => {}) // told below; whoever waits for all wants to know only that it is over
      this.#running.add(over)
      await running.finally(() => this.#running.delete(over))
    } catch (thrown) {
      const error = toOpsError(thrown)
      log.warn({ from, status: statusOf(error), code: error.code, reason: error.message }, 'exec.refused')
      refuse(socket, error)
    }
  }

  #serve(asked: Asked, found: NodeContainer | undefined, socket: Duplex, answer: () => Answered, log: Logger): Promise<void> {
    if ('logs' in asked) return this.#logs(asked, answer, log)
    if (!found) throw new OpsError('INTERNAL', 'No container was looked for')
    return 'request' in asked ? this.#exec(asked, found, answer, log) : this.#files(found, socket, answer, log)
  }

  /** A log is a process that writes it; it may be of a container that runs no more. */
  async #logs(asked: AskedLogs, answer: () => Answered, log: Logger): Promise<void> {
    const { observer } = this.#options
    if (!observer) throw new OpsError('NOT_FOUND', 'no logs are kept there: programs of local demo pods write to nobody')
    const { connection, release } = answer()
    log.info({ container: asked.containerId, ...asked.logs }, 'logs.start')
    const plan = { containerId: asked.containerId, request: { argv: [], env: {} }, lanes: LOG_LANES }
    await runExec({ exec: (_id, _request, signal) => observer.logsOf(asked, signal) }, plan, connection, release, this.#stop.signal, log)
  }

  async #exec(asked: AskedExec, found: NodeContainer, answer: () => Answered, log: Logger): Promise<void> {
    const { connection, release } = answer()
    // Words after the first may be secrets (mysql -p…); what was asked for stands in the gateway's audit.
    const { argv, pty } = asked.request
    log.info({ program: escapePeerText(argv[0] ?? ''), words: argv.length, tty: pty !== undefined, container: found.id.slice(0, 12) }, 'exec.start')
    const plan = { containerId: found.id, request: asked.request, lanes: asked.lanes }
    await runExec(this.#options.runtime, plan, connection, release, this.#stop.signal, log)
  }

  /** The files are opened first, so that what stands against it is said as an HTTP status. */
  async #files(found: NodeContainer, socket: Duplex, answer: () => Answered, log: Logger): Promise<void> {
    const { runtime } = this.#options
    if (!runtime.files) throw new OpsError('NOT_FOUND', 'This agent opens no files')
    const session = await runtime.files(found.id, this.#stop.signal)
    try {
      if (socket.destroyed) throw new OpsError('CLIENT_GONE', 'The caller left')
      const { connection, release } = answer()
      log.info({ container: found.id.slice(0, 12), ...session.facts }, 'files.start')
      await runFiles(session, connection, release, this.#stop.signal, log)
    } finally {
      await session.close()
    }
  }

  /** The container that was asked for, and no other that has taken its place. @throws OpsError TARGET_GONE */
  async #find(asked: AskedExec | AskedFiles): Promise<NodeContainer> {
    const { runtime } = this.#options
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(LOOKUP_LIMIT_MS)])
    const prefix = `${runtime.scheme}://`
    const matches = (one: NodeContainer) =>
      one.namespace === asked.namespace &&
      one.pod === asked.pod &&
      one.container === asked.container &&
      (asked.uid === undefined || one.uid === '' || one.uid === asked.uid) &&
      (asked.containerId === undefined || prefix + one.id === asked.containerId)
    const found = runtime.find ? await runtime.find(matches, signal) : (await runtime.containers(signal)).find(matches)
    if (found) return found
    const what = [asked.namespace, asked.pod, asked.container].map((word) => escapePeerText(word)).join('/')
    throw new OpsError('TARGET_GONE', `No container ${what}${asked.uid === undefined ? '' : ` of pod uid ${escapePeerText(asked.uid)}`} runs on this node`)
  }
}

/** @throws OpsError NOT_FOUND, BAD_REQUEST */
function parseUpgrade(url: string): Asked {
  if (isLogsPath(url)) return parseLogs(url)
  if (isFilesPath(url)) return parseFiles(url)
  if (isExecPath(url)) return parseExec(url)
  throw new OpsError('NOT_FOUND', 'Only /exec/…, /files/… and /logs/… can be upgraded')
}

function statusOf(error: OpsError): number {
  return HTTP_STATUS[error.code] ?? error.httpStatus
}

function statusBody(error: OpsError): string {
  return JSON.stringify({ ...(JSON.parse(refusalBody(error)) as object), code: statusOf(error) })
}

/** Answers an upgrade with a Kubernetes Status, and ends the socket. */
function refuse(socket: Duplex, error: OpsError): void {
  const body = statusBody(error)
  const status = statusOf(error)
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\n${AGENT_HEADER}: 1\r\nConnection: close\r\nContent-Type: application/json\r\n`
  socket.on('finish', () => socket.destroy())
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

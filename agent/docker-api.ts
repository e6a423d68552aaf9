/**
 * The few requests of the docker API that the agent makes (v1.41, docker 20.10; unversioned paths, so newer daemons answer too).
 *
 * Made with node:http and not with dockerode: before every request docker-modem 5 prints all of its options, the agent
 * with its sockets and what hangs on them, for a debug line that nobody asked for. With twenty execs at once that stopped
 * the event loop for half a second at a time. Its resize takes the answer 201 for a failure, besides.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { abortReason, type ErrorCode, OpsError } from '../src/core/errors.js'
import { escapePeerText } from '../src/core/log.js'
import type { ExecRequest, WindowSize } from '../src/core/types.js'
import { DockerHttpAgent, HijackSocket } from './hijack-socket.js'

/** What `GET /exec/{id}/json` says that matters here. */
export interface ExecState {
  readonly running: boolean
  /** Undefined while it runs, and before it was started. */
  readonly exitCode: number | undefined
  /** Host pid; 0 until the program stands, and for good when it could not be started. */
  readonly pid: number
}
export interface DockerContainerInfo {
  readonly id: string
  readonly names: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}
/** What `GET /containers/{id}/json` says about its programs. */
export interface DockerContainerFacts {
  /** Whole, also when a part was asked for. */
  readonly id: string
  /** Of its first process, as the daemon sees it. */
  readonly pid: number
  /** "" is root. */
  readonly user: string
  readonly workingDir: string
  /** Names or numbers. */
  readonly groups: readonly string[]
}
/** One line of `GET /events`, for containers. */
export interface DockerEvent {
  readonly action: string
  readonly containerId: string
  readonly attributes: Readonly<Record<string, string>>
}

/** A daemon that has not answered a small request by then is stuck, and the client should hear so. */
const REQUEST_LIMIT_MS = 20_000

const CONTAINER_EVENTS = ['start', 'die', 'destroy', 'rename', 'pause', 'unpause']

/**
 * The daemon looks for these keys in a terminal's input and holds them back until the next key decides. Its default,
 * ctrl-p ctrl-q, makes every ctrl-p (shell history) come one key late and lets a user fall out of the recorded session.
 * They cannot be switched off: so they are a long row that starts with a key hardly any program uses.
 */
const DETACH_KEYS = Array.from({ length: 8 }, () => 'ctrl-^,ctrl-@,ctrl-_,ctrl-@').join(',')

/** Status of an answer -> what it means for the client. Any other is the daemon's failure. */
const MEANING: Readonly<Record<number, ErrorCode>> = { 400: 'BAD_REQUEST', 404: 'TARGET_GONE', 409: 'TARGET_NOT_RUNNING' }

export class DockerApi {
  readonly #agent: DockerHttpAgent
  readonly #socketPath: string

  /** @param socketPath of the daemon's unix socket; connects with the first request */
  constructor(socketPath: string) {
    this.#socketPath = socketPath
    this.#agent = new DockerHttpAgent(socketPath)
  }

  /** @returns the exec's id @throws OpsError TARGET_GONE, TARGET_NOT_RUNNING, TARGET_UNREACHABLE, BAD_REQUEST */
  async createExec(containerId: string, request: ExecRequest, signal: AbortSignal): Promise<string> {
    const tty = request.pty !== undefined
    const env = { ...(request.pty ? { TERM: request.pty.term } : {}), ...request.env }
    const body = {
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: !tty,
      Tty: tty,
      Cmd: request.argv,
      Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
      ...(request.cwd === undefined ? {} : { WorkingDir: request.cwd }),
      ...(tty ? { DetachKeys: DETACH_KEYS } : {}),
      ...consoleSize(request),
    }
    const answer = await this.#call('POST', `/containers/${encodeURIComponent(containerId)}/exec`, `start a program in ${containerId}`, signal, body)
    return (answer as { Id: string }).Id
  }

  /**
   * Starts an exec and hands over its connection, which the caller owns. The program may not stand yet.
   * It cannot be aborted: what the daemon was told to start needs an owner who can end it.
   */
  async startExec(execId: string, request: ExecRequest): Promise<HijackSocket> {
    const body = { Detach: false, Tty: request.pty !== undefined, ...consoleSize(request) }
    const socket = await this.#call('POST', `/exec/${execId}/start`, `start exec ${execId}`, new AbortController().signal, body, true)
    if (!(socket instanceof HijackSocket)) throw new OpsError('PROTOCOL_ERROR', `Cannot start exec ${execId}: docker did not hand over the connection`)
    socket.hijack()
    return socket
  }

  /**
   * Sets the size of an exec's terminal. The daemon answers once the exec stands or has failed to start (it waits up to
   * 10 s), with a terminal or without one, which makes this also the way to learn of the start without asking again and again.
   * @returns whether the program runs; false also when it has ended already
   */
  async resizeExec(execId: string, size: WindowSize, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#call('POST', `/exec/${execId}/resize?h=${size.rows}&w=${size.columns}`, `resize exec ${execId}`, signal)
      return true
    } catch (error) {
      if (signal.aborted) throw abortReason(signal)
      if (error instanceof OpsError && error.code !== 'TARGET_UNREACHABLE') return false
      throw error
    }
  }

  /** @throws OpsError TARGET_GONE when the container, and with it the exec, is no more */
  async inspectExec(execId: string, signal: AbortSignal): Promise<ExecState> {
    const state = (await this.#call('GET', `/exec/${execId}/json`, `inspect exec ${execId}`, signal)) as {
      Running: boolean
      ExitCode: number | null
      Pid: number
    }
    return { running: state.Running, exitCode: state.Running ? undefined : (state.ExitCode ?? undefined), pid: state.Pid }
  }

  /** Host pid of a container's first process. @throws OpsError TARGET_GONE */
  async containerPid(containerId: string, signal: AbortSignal): Promise<number> {
    const info = await this.#call('GET', `/containers/${encodeURIComponent(containerId)}/json`, `inspect container ${containerId}`, signal)
    return (info as { State: { Pid: number } }).State.Pid
  }

  /** Whom and where programs run as in a container. @throws OpsError TARGET_GONE, TARGET_NOT_RUNNING */
  async containerFacts(containerId: string, signal: AbortSignal): Promise<DockerContainerFacts> {
    const { Id, State, Config, HostConfig } = (await this.#call(
      'GET',
      `/containers/${encodeURIComponent(containerId)}/json`,
      `inspect container ${containerId}`,
      signal,
    )) as { Id: string; State: { Pid: number }; Config: { User?: string; WorkingDir?: string }; HostConfig: { GroupAdd?: string[] | null } }
    if (State.Pid === 0) throw new OpsError('TARGET_NOT_RUNNING', `Container ${containerId} does not run`)
    return { id: Id, pid: State.Pid, user: Config.User ?? '', workingDir: Config.WorkingDir ?? '', groups: HostConfig.GroupAdd ?? [] }
  }

  /** The containers that run. */
  async containers(signal: AbortSignal): Promise<readonly DockerContainerInfo[]> {
    const list = (await this.#call('GET', '/containers/json', 'list containers', signal)) as {
      Id: string
      Names: string[]
      Labels: Record<string, string> | null
    }[]
    return list.map((one) => ({ id: one.Id, names: one.Names, labels: one.Labels ?? {} }))
  }

  /**
   * Follows starts and ends of containers. The first event, "connected", says that none is missed from here on.
   * Ends, or throws, when the connection breaks or `signal` aborts.
   */
  async *events(signal: AbortSignal): AsyncGenerator<DockerEvent> {
    const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: CONTAINER_EVENTS }))
    const { response: stream } = await this.#send('GET', `/events?filters=${filters}`, signal)
    if (stream.statusCode !== 200)
      throw new OpsError('TARGET_UNREACHABLE', `Cannot follow the events of docker: it answered ${stream.statusCode}: ${await readMessage(stream)}`)
    yield { action: 'connected', containerId: '', attributes: {} }
    let rest = ''
    for await (const chunk of stream.setEncoding('utf8')) {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const event = parseEvent(line)
        if (event) yield event
      }
    }
  }

  /** A GET that is answered with JSON. @throws OpsError TARGET_GONE, TARGET_UNREACHABLE */
  get(path: string, what: string, signal: AbortSignal): Promise<unknown> {
    return this.#call('GET', path, what, signal)
  }

  /** A GET that is answered with a stream, which belongs to the caller. @throws OpsError TARGET_GONE, NOT_FOUND (the daemon cannot do it), TARGET_UNREACHABLE */
  async stream(path: string, what: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { response } = await this.#send('GET', path, signal).catch((error: Error) => {
      if (signal.aborted) throw abortReason(signal)
      throw new OpsError('TARGET_UNREACHABLE', `Cannot ${what} through "${this.#socketPath}": ${error.message}`, { cause: error })
    })
    const status = response.statusCode ?? 0
    if (status === 200) return response
    const code = status === 501 ? 'NOT_FOUND' : (MEANING[status] ?? 'TARGET_UNREACHABLE')
    throw new OpsError(code, `Cannot ${what}: docker answered ${status}: ${await readMessage(response)}`)
  }

  close(): void {
    this.#agent.destroy()
  }

  /** @returns the answer's JSON, or with `hijack` the connection */
  async #call(method: string, path: string, what: string, signal: AbortSignal, body?: object, hijack = false): Promise<unknown> {
    if (signal.aborted) throw abortReason(signal)
    // An own controller: the caller's signal must not destroy a connection that was handed over long ago.
    const request = new AbortController()
    const abort = () => request.abort()
    const limit = setTimeout(abort, REQUEST_LIMIT_MS)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const { response, socket } = await this.#send(method, path, request.signal, body, hijack)
      if (socket) return socket
      const status = response.statusCode ?? 0
      if (status >= 200 && status < 300) return await readJson(response)
      throw new OpsError(MEANING[status] ?? 'TARGET_UNREACHABLE', `Cannot ${what}: docker answered ${status}: ${await readMessage(response)}`)
    } catch (error) {
      if (signal.aborted) throw abortReason(signal)
      if (error instanceof OpsError) throw error
      const reason = request.signal.aborted ? `no answer in ${REQUEST_LIMIT_MS / 1000} s` : (error as Error).message
      throw new OpsError('TARGET_UNREACHABLE', `Cannot ${what} through "${this.#socketPath}": ${reason}`, { cause: error })
    } finally {
      clearTimeout(limit)
      signal.removeEventListener('abort', abort)
    }
  }

  /** Resolves at the head of the answer. */
  #send(method: string, path: string, signal: AbortSignal, body?: object, hijack = false): Promise<{ response: IncomingMessage; socket?: Socket }> {
    const content = body === undefined ? '' : JSON.stringify(body)
    const headers = {
      // The daemon refuses requests without one; over a unix socket it means nothing.
      Host: 'docker',
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(method === 'POST' ? { 'Content-Length': Buffer.byteLength(content) } : {}),
      ...(hijack ? { Connection: 'Upgrade', Upgrade: 'tcp' } : {}),
    }
    return new Promise((resolve, reject) => {
      const request = httpRequest({ agent: this.#agent, method, path, headers, signal })
      request.on('error', reject)
      request.on('response', (response) => resolve({ response }))
      request.on('upgrade', (response, socket: Socket, head) => {
        if (head.length > 0) socket.unshift(head)
        resolve({ response, socket })
      })
      request.end(content)
    })
  }
}

/** Answers of the daemon are small, but a list of containers is some KiB for each. */
const ANSWER_BYTES = 64 * 1024 * 1024

async function readBody(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part)
    bytes += part.length
    if (bytes > ANSWER_BYTES) throw new OpsError('PROTOCOL_ERROR', `docker answered with more than ${ANSWER_BYTES} bytes`)
  }
  return Buffer.concat(parts).toString('utf8')
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const text = await readBody(response)
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch (error) {
    throw new OpsError('PROTOCOL_ERROR', `docker answered with something that is no JSON: ${escapePeerText(text, 100)}`, { cause: error })
  }
}

/** `{"message": "…"}` in the daemon's errors. */
async function readMessage(response: IncomingMessage): Promise<string> {
  const text = await readBody(response)
  const match = /"message"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(text)
  return escapePeerText(match?.[1] === undefined ? text.trim() : String(JSON.parse(match[1])))
}

/** From API 1.42 on the terminal has its size from the start; older daemons pass over the field. */
function consoleSize(request: ExecRequest): { ConsoleSize?: readonly [number, number] } {
  return request.pty && request.pty.size.columns > 0 ? { ConsoleSize: [request.pty.size.rows, request.pty.size.columns] } : {}
}

/** One line of the event stream; undefined when it is not one of a container. */
export function parseEvent(line: string): DockerEvent | undefined {
  if (line === '') return undefined
  let event: { Action?: unknown; Actor?: { ID?: unknown; Attributes?: Record<string, string> } }
  try {
    event = JSON.parse(line)
  } catch {
    return undefined
  }
  const { Action: action, Actor: actor } = event ?? {}
  if (typeof action !== 'string' || typeof actor?.ID !== 'string') return undefined
  return { action, containerId: actor.ID, attributes: actor.Attributes ?? {} }
}

/** Executor through the node agents: Kubernetes' own streaming protocol, straight to the node. */
import type { Socket } from 'node:net'
import { abortReason, OpsError, toOpsError } from '../core/errors.js'
import type { FileAccess } from '../core/files.js'
import type { Logger } from '../core/log.js'
import { type ExecRequest, type Executor, type LogsRequest, type RemoteProcess, type Target, targetText, type UsageReport } from '../core/types.js'
import { type ExecLanesRequest, openExecLanes } from '../wire/exec-lanes-client.js'
import { KUBE_V4 } from '../wire/kube-channel.js'
import { type Upgraded, upgradeClient } from '../wire/spdy/upgrade-client.js'
import { filesPath, openAgentFiles } from './agent-files.js'
import { agentGet } from './agent-get.js'
import { logsPath } from './agent-logs.js'
import { type AgentEndpoint, AgentPool, type AgentTls } from './agent-pool.js'
import { agentUsage } from './agent-usage.js'
import { keepAlive } from './keep-alive.js'

export interface AgentExecutorOptions {
  readonly clusterName: string
  /** Where the agent of the target's node listens; undefined when none is known. */
  readonly endpoint: (target: Target) => AgentEndpoint | undefined
  /** Mutual TLS; absent only for agents on this machine. */
  readonly tls?: AgentTls
  /** TCP and TLS. Default 5 s. */
  readonly connectTimeoutMs?: number
  /** From the request to its answer. Default 15 s: an agent that is asked for many programs at once takes its time. */
  readonly answerTimeoutMs?: number
  /** See AgentPoolOptions. */
  readonly spares?: number
  /** Agents whose health `ready` asks; one that answers is enough. Default: none, and always ready. */
  readonly agents?: () => readonly AgentEndpoint[]
  /** Whether the pod still is the one of `target.uid`. The agent checks it as well. Default: always. */
  readonly isCurrent?: (target: Target) => boolean
  readonly log: Logger
}

const CONNECT_MS = 5000
const ANSWER_MS = 15_000
/** What a socket says that was closed at the other end while we took it for open. */
const STALE_CODES: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])

export class AgentExecutor implements Executor {
  readonly name: string
  readonly #options: AgentExecutorOptions
  readonly #connectTimeoutMs: number
  readonly #pool: AgentPool
  readonly #running = new Set<{ close(): Promise<void> }>()

  constructor(options: AgentExecutorOptions) {
    this.name = `agents of ${options.clusterName}`
    this.#options = options
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_MS
    const { tls, spares, log } = options
    this.#pool = new AgentPool({ connectTimeoutMs: this.#connectTimeoutMs, log, ...(tls ? { tls } : {}), ...(spares === undefined ? {} : { spares }) })
  }

  async exec(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    const endpoint = this.#endpoint(target, signal)
    const tty = request.pty !== undefined
    const lanes = { stdin: true, stdout: true, stderr: !tty, tty, signals: true }
    return this.#open(endpoint, agentPath(target, request), request.pty ? { ...lanes, size: request.pty.size } : lanes, signal)
  }

  /** Also of a container that has ended: the agent looks for it in docker. */
  async logs(target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess> {
    const endpoint = this.#options.endpoint(target)
    if (!endpoint) throw noAgent(target)
    const lanes = { stdin: false, stdout: true, stderr: true, tty: false, signals: true }
    return this.#open(endpoint, logsPath(target, request), lanes, signal).catch((error: unknown) => {
      // our agent's own words: why no log is kept
      if (error instanceof OpsError && error.code === 'NOT_FOUND') throw new OpsError('NOT_FOUND', error.message, { cause: error, detail: error.message })
      throw error
    })
  }

  async #open(endpoint: AgentEndpoint, path: string, lanes: Omit<ExecLanesRequest, 'via'>, signal: AbortSignal): Promise<RemoteProcess> {
    const { connection } = await this.#upgrade(endpoint, path, signal)
    const via = `agent ${endpoint.node}`
    keepAlive(connection, via)
    const process = await openExecLanes(connection, { ...lanes, via }, signal)
    this.#running.add(process)
    process.exit.catch(() => {}).finally(() => this.#running.delete(process))
    return process
  }

  async files(target: Target, signal: AbortSignal): Promise<FileAccess> {
    const endpoint = this.#endpoint(target, signal)
    const { connection } = await this.#upgrade(endpoint, filesPath(target), signal)
    const via = `agent ${endpoint.node}`
    keepAlive(connection, via)
    const files = await openAgentFiles(connection, via, signal)
    this.#running.add(files)
    void connection.closed.then(() => this.#running.delete(files))
    return files
  }

  usage(targets: readonly Target[], signal: AbortSignal): Promise<UsageReport> {
    return agentUsage(targets, this.#options.endpoint, (endpoint, within) => this.#get(endpoint, '/usage', within), signal)
  }

  /** @throws OpsError TARGET_UNREACHABLE for anything but 200 */
  async #get(endpoint: AgentEndpoint, path: string, signal: AbortSignal): Promise<string> {
    const { socket } = await this.#pool.take(endpoint, signal, true)
    const { status, body } = await agentGet(socket, endpoint.node, path, signal)
    this.#pool.succeeded(endpoint)
    if (status === 200) return body
    throw new OpsError('TARGET_UNREACHABLE', `Agent on ${endpoint.node} answered ${status} to ${path}`)
  }

  /** @throws OpsError TARGET_GONE, TARGET_UNREACHABLE */
  #endpoint(target: Target, signal: AbortSignal): AgentEndpoint {
    if (signal.aborted) throw abortReason(signal)
    if (this.#options.isCurrent?.(target) === false) throw new OpsError('TARGET_GONE', `Pod ${targetText(target)} with uid ${target.uid} is gone`)
    const endpoint = this.#options.endpoint(target)
    if (!endpoint) throw noAgent(target)
    return endpoint
  }

  /** A spare that the agent had closed is found out only now; the agent has not acted on it, so a new one is tried. */
  async #upgrade(endpoint: AgentEndpoint, path: string, signal: AbortSignal): Promise<Upgraded> {
    const { socket, isSpare } = await this.#pool.take(endpoint, signal)
    try {
      return await this.#upgradeOn(socket, endpoint, path, signal)
    } catch (error) {
      if (!isSpare || signal.aborted || !isStale(error)) throw this.#judged(endpoint, error, signal)
    }
    const fresh = await this.#pool.take(endpoint, signal, true)
    return this.#upgradeOn(fresh.socket, endpoint, path, signal).catch((error: unknown) => {
      throw this.#judged(endpoint, error, signal)
    })
  }

  async #upgradeOn(socket: Socket, endpoint: AgentEndpoint, path: string, signal: AbortSignal): Promise<Upgraded> {
    const upgraded = await upgradeClient(
      {
        subject: `agent on ${endpoint.node}`,
        secure: false, // the socket has its TLS
        connection: { host: endpoint.node, createConnection: () => socket },
        path,
        protocols: [KUBE_V4],
        wantsWindows: true,
        timeoutMs: this.#options.answerTimeoutMs ?? ANSWER_MS,
      },
      signal,
    )
    if (!upgraded.isAgent) {
      upgraded.connection.destroy()
      throw new OpsError('TARGET_UNREACHABLE', `What answers on ${endpoint.address} is no agent of ours`)
    }
    this.#pool.succeeded(endpoint)
    return upgraded
  }

  /** Notes what an error says about the agent: silence counts against it, a refusal does not. */
  #judged(endpoint: AgentEndpoint, error: unknown, signal: AbortSignal): OpsError {
    const known = toOpsError(error)
    if (signal.aborted) return known
    if (known.code === 'TARGET_UNREACHABLE' && known.cause !== undefined) this.#pool.failed(endpoint, known)
    else this.#pool.succeeded(endpoint)
    return known
  }

  /** Asks the health of the agents, all at once. @throws OpsError TARGET_UNREACHABLE when none is well */
  async ready(signal: AbortSignal): Promise<void> {
    const agents = this.#options.agents?.() ?? []
    if (agents.length === 0) return
    const answers = await Promise.allSettled(agents.map((endpoint) => this.health(endpoint, signal)))
    if (answers.some((answer) => answer.status === 'fulfilled')) return
    const first = answers.find((answer) => answer.status === 'rejected')
    throw toOpsError(first?.reason, 'TARGET_UNREACHABLE')
  }

  /** GET /healthz of one agent. @throws OpsError TARGET_UNREACHABLE when it does not answer 200 */
  async health(endpoint: AgentEndpoint, signal: AbortSignal): Promise<void> {
    await this.#get(endpoint, '/healthz', signal)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((one) => one.close()))
    this.#pool.close()
  }
}

function noAgent({ node }: Target): OpsError {
  return new OpsError('TARGET_UNREACHABLE', `No agent is known on ${node}`, { detail: `node ${node}` })
}

function isStale(error: unknown): boolean {
  const cause = error instanceof OpsError ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && STALE_CODES.has(String(cause.code))
}

/**
 * kubelet's own path and parameter names (pkg/kubelet/server, 1.20); `env`, `cwd`, `containerId`, `columns` and `rows` are
 * extensions of ours, which other servers of that protocol ignore.
 */
export function agentPath(target: Target, request: ExecRequest): string {
  const query = new URLSearchParams()
  for (const word of request.argv) query.append('command', word)
  for (const lane of ['input', 'output', request.pty ? 'tty' : 'error']) query.set(lane, '1')
  const env = request.pty ? { TERM: request.pty.term, ...request.env } : request.env
  for (const [name, value] of Object.entries(env)) query.append('env', `${name}=${value}`)
  if (request.cwd !== undefined) query.set('cwd', request.cwd)
  // before the program starts: one that asks for the size at once must not see the runtime's own
  if (request.pty && request.pty.size.columns > 0) {
    query.set('columns', String(request.pty.size.columns))
    query.set('rows', String(request.pty.size.rows))
  }
  query.set('containerId', target.containerId)
  const path = [target.namespace, target.pod, target.uid, target.container].map(encodeURIComponent).join('/')
  return `/exec/${path}?${query}`
}

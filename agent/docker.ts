/** Programs in docker containers of this machine. */
import { randomBytes } from 'node:crypto'
import { abortReason, OpsError } from '../src/core/errors.js'
import type { Logger } from '../src/core/log.js'
import type { ContainerRuntime, ExecRequest, NodeContainer, RemoteProcess } from '../src/core/types.js'
import { containerTable } from './container-processes.js'
import { DockerContainers } from './containers.js'
import { DockerApi } from './docker-api.js'
import { MARK_VARIABLE } from './docker-family.js'
import { type DockerHost, DockerProcess } from './docker-process.js'
import { PidWatch } from './family.js'
import { DockerFiles } from './files/docker-files.js'
import type { FileSession } from './files/start-files.js'
import type { ProcessTable } from './processes.js'

export interface DockerRuntimeOptions {
  /** "unix:///var/run/docker.sock", the default, or a path. */
  readonly docker?: string
  readonly log: Logger
  /** False: do not look for container processes in this process's /proc, although they may stand there (hostPID). */
  readonly hostPids?: boolean
}

/** Containers whose place is remembered; a node runs some hundred at most, the rest have ended. */
const TABLES_MAX = 2000

export class DockerRuntime implements ContainerRuntime {
  readonly scheme = 'docker'
  readonly #host: DockerHost
  readonly #containers: DockerContainers
  readonly #files: DockerFiles
  readonly #running = new Set<DockerProcess>()
  readonly #seesHostPids: boolean
  readonly #tables = new Map<string, ProcessTable>()

  /** @throws OpsError CONFIG_INVALID for anything but a unix socket: an open docker port is root on the node */
  constructor(options: DockerRuntimeOptions) {
    const api = new DockerApi(socketPath(options.docker ?? 'unix:///var/run/docker.sock'))
    this.#host = { api, watch: new PidWatch(), log: options.log }
    this.#containers = new DockerContainers(api, options.log)
    this.#files = new DockerFiles(this.#host)
    this.#seesHostPids = options.hostPids ?? true
  }

  async exec(containerId: string, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (signal.aborted) throw abortReason(signal)
    if (request.argv.length === 0) throw new OpsError('BAD_REQUEST', 'Cannot start a program: no command was given', { detail: 'no command was given' })
    const table = await this.#tableOf(containerId, signal)
    const found = table ?? randomBytes(12).toString('hex')
    const marked = typeof found === 'string' ? { ...request, env: { ...request.env, [MARK_VARIABLE]: found } } : request
    const { api } = this.#host
    const execId = await api.createExec(containerId, marked, signal)
    const socket = await api.startExec(execId, marked)
    const process = new DockerProcess(this.#host, { containerId, execId, request, found }, socket)
    return this.#keep(process, signal)
  }

  /** The files of a container, as its user sees them. They end with the container. @throws OpsError TARGET_GONE, TARGET_NOT_RUNNING, TARGET_UNREACHABLE */
  files(containerId: string, signal: AbortSignal): Promise<FileSession> {
    if (!this.#seesHostPids) return Promise.reject(new OpsError('TARGET_UNREACHABLE', 'Cannot reach the files: the pids of the host cannot be seen'))
    return this.#files.open(containerId, signal)
  }

  containers(signal: AbortSignal): Promise<readonly NodeContainer[]> {
    return this.#containers.list(signal)
  }

  /** One container; asks the daemon before it says that there is none. */
  find(matches: (one: NodeContainer) => boolean, signal: AbortSignal): Promise<NodeContainer | undefined> {
    return this.#containers.find(matches, signal)
  }

  /** Ends every program it started. */
  async close(): Promise<void> {
    await Promise.all([...[...this.#running].map((process) => process.close()), this.#files.close()])
    await this.#containers.close()
    this.#host.api.close()
  }

  /** Hands the process over once it runs; `signal` ends it at any time. */
  async #keep(process: DockerProcess, signal: AbortSignal): Promise<DockerProcess> {
    this.#running.add(process)
    let aborted: (error: OpsError) => void = () => {}
    const abortion = new Promise<never>((_, reject) => {
      aborted = reject
    })
    const abort = () => {
      aborted(abortReason(signal))
      void process.close()
    }
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    const forget = () => {
      signal.removeEventListener('abort', abort)
      this.#running.delete(process)
    }
    try {
      await Promise.race([process.started, abortion])
    } catch (error) {
      // The start may still be under way in the daemon; closing waits for it, the caller need not.
      void process.close().finally(forget)
      throw error
    }
    process.finished.then(forget, forget)
    return process
  }

  /** The container's processes, asked for once; undefined where host pids cannot be seen. */
  async #tableOf(containerId: string, signal: AbortSignal): Promise<ProcessTable | undefined> {
    if (!this.#seesHostPids) return undefined
    const known = this.#tables.get(containerId)
    if (known) return known
    const table = containerTable(await this.#host.api.containerPid(containerId, signal), containerId)
    if (!table) return undefined
    this.#tables.set(containerId, table)
    const [oldest] = this.#tables.keys()
    if (this.#tables.size > TABLES_MAX && oldest !== undefined) this.#tables.delete(oldest)
    return table
  }
}

function socketPath(docker: string): string {
  const path = docker.startsWith('unix://') ? docker.slice('unix://'.length) : docker
  if (!path.startsWith('/')) throw new OpsError('CONFIG_INVALID', `Cannot use docker at ${JSON.stringify(docker)}: only unix:///path is taken`)
  return path
}

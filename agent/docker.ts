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
import { type Bundle, readBundle } from './runc/bundle.js'
import { RuncStarter } from './runc/start.js'

export interface DockerRuntimeOptions {
  /** "unix:///var/run/docker.sock", the default, or a path. */
  readonly docker?: string
  readonly log: Logger
  /** False: do not look for container processes in this process's /proc, although they may stand there (hostPID). */
  readonly hostPids?: boolean
  /** `auto`, the default: by runc itself where its state can be reached, else through the daemon. `docker`: always through the daemon. */
  readonly starts?: 'auto' | 'docker'
}
/** A container whose processes can be seen, with its bundle where runc can be called. */
interface Place {
  readonly table: ProcessTable
  readonly bundle: Bundle | undefined
}

/** Containers whose place is remembered; a node runs some hundred at most, the rest have ended. */
const PLACES_MAX = 2000

export class DockerRuntime implements ContainerRuntime {
  readonly scheme = 'docker'
  readonly #host: DockerHost
  readonly #containers: DockerContainers
  readonly #files: DockerFiles
  readonly #running = new Set<Promise<RemoteProcess>>()
  readonly #seesHostPids: boolean
  readonly #places = new Map<string, Place>()
  /** A terminal's size has to be known before runc starts what reads it. */
  readonly startsAtOnce: boolean
  #runc: RuncStarter | undefined

  /** @throws OpsError CONFIG_INVALID for anything but a unix socket: an open docker port is root on the node */
  constructor(options: DockerRuntimeOptions) {
    const api = new DockerApi(socketPath(options.docker ?? 'unix:///var/run/docker.sock'))
    this.#host = { api, watch: new PidWatch(), log: options.log }
    this.#containers = new DockerContainers(api, options.log)
    this.#files = new DockerFiles(this.#host)
    this.#seesHostPids = options.hostPids ?? true
    if (this.#seesHostPids && (options.starts ?? 'auto') === 'auto') this.#runc = loadRunc(options.log)
    this.startsAtOnce = this.#runc !== undefined
  }

  async exec(containerId: string, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (signal.aborted) throw abortReason(signal)
    if (request.argv.length === 0) throw new OpsError('BAD_REQUEST', 'Cannot start a program: no command was given', { detail: 'no command was given' })
    const place = await this.#placeOf(containerId, signal)
    return this.#keep(this.#start(containerId, place, request, signal), signal)
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
    await Promise.all([...[...this.#running].map((one) => one.then((process) => process.close()).catch(() => {})), this.#files.close()])
    this.#runc?.close()
    await this.#containers.close()
    this.#host.api.close()
  }

  async #start(containerId: string, place: Place | undefined, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (this.#runc && place?.bundle) {
      try {
        return await this.#runc.start(place.bundle, place.table, request)
      } catch (error) {
        if (error instanceof OpsError) throw error
        this.#places.delete(containerId)
        this.#host.log.warn({ error, containerId }, 'docker.runc.failed')
      }
    }
    const found = place?.table ?? randomBytes(12).toString('hex')
    const marked = typeof found === 'string' ? { ...request, env: { ...request.env, [MARK_VARIABLE]: found } } : request
    const { api } = this.#host
    const execId = await api.createExec(containerId, marked, signal)
    const process = new DockerProcess(this.#host, { containerId, execId, request, found }, await api.startExec(execId, marked))
    try {
      await process.started
    } catch (error) {
      await process.close()
      throw error
    }
    return process
  }

  /** Hands the process over once it runs; `signal` ends it at any time. A start cannot be taken back: what it starts is ended. */
  async #keep(starting: Promise<RemoteProcess>, signal: AbortSignal): Promise<RemoteProcess> {
    this.#running.add(starting)
    const abort = () => void starting.then((process) => process.close()).catch(() => {})
    const forget = () => {
      signal.removeEventListener('abort', abort)
      this.#running.delete(starting)
    }
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    starting.then((process) => process.stdout.once('close', () => void process.exit.then(forget, forget)), forget)
    return untilAborted(starting, signal)
  }

  /** Asked for once; undefined where host pids cannot be seen. */
  async #placeOf(containerId: string, signal: AbortSignal): Promise<Place | undefined> {
    if (!this.#seesHostPids) return undefined
    const known = this.#places.get(containerId)
    if (known) return known
    const pid = await this.#host.api.containerPid(containerId, signal)
    const table = containerTable(pid, containerId)
    if (!table) return undefined
    const place = { table, bundle: this.#runc && this.#bundleOf(pid, containerId) }
    this.#places.set(containerId, place)
    const [oldest] = this.#places.keys()
    if (this.#places.size > PLACES_MAX && oldest !== undefined) this.#places.delete(oldest)
    return place
  }

  #bundleOf(pid: number, containerId: string): Bundle | undefined {
    try {
      return readBundle(pid, containerId)
    } catch (error) {
      this.#host.log.info({ containerId, reason: (error as Error).message }, 'docker.runc.out-of-reach')
      return undefined
    }
  }
}

/** @throws OpsError the signal's reason, as soon as it aborts */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort: () => void = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(abortReason(signal))
  })
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function loadRunc(log: Logger): RuncStarter | undefined {
  try {
    return new RuncStarter(log)
  } catch (error) {
    log.warn({ error }, 'docker.runc.out-of-reach')
    return undefined
  }
}

function socketPath(docker: string): string {
  const path = docker.startsWith('unix://') ? docker.slice('unix://'.length) : docker
  if (!path.startsWith('/')) throw new OpsError('CONFIG_INVALID', `Cannot use docker at ${JSON.stringify(docker)}: only unix:///path is taken`)
  return path
}

/** Executor through the API server: nothing needs to be installed on the nodes. */
import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import type { KubeConfig } from '@kubernetes/client-node'
import { abortReason, OpsError, toOpsError } from '../core/errors.js'
import type { FileAccess } from '../core/files.js'
import type { Logger } from '../core/log.js'
import {
  type ExecRequest,
  type Executor,
  type ExitStatus,
  type LogsRequest,
  type RemoteProcess,
  type Target,
  targetText,
  type UsageReport,
  type WindowSize,
} from '../core/types.js'
import { KubeApi } from './kube-api.js'
import { openKubeFiles } from './kube-files.js'
import { openKubeLogs } from './kube-logs.js'
import { isVariableName, signalExec, sweepExec, wrapExec } from './kube-script.js'
import { awaitStart, peekFailure } from './kube-start.js'
import { KubeTransport, type KubeTransportName } from './kube-transport.js'
import { kubeUsage } from './kube-usage.js'

export interface KubeExecutorOptions {
  readonly clusterName: string
  readonly kubeconfig: KubeConfig
  /** Whether the pod still is the one of `target.uid`; asking the API server each time would cost a round trip. Default: always. */
  readonly isCurrent?: (target: Target) => boolean
  /** Whether there is a pod of `target.uid`, running or not; the API server's logs go by name. Default: always. */
  readonly isKnown?: (target: Target) => boolean
  readonly log: Logger
  /** Both by default. */
  readonly transports?: readonly KubeTransportName[]
}

/** Ending what a program started may take this long; after that the API server is not going to answer. */
const SWEEP_MS = 15_000
/** Container ids remembered as having no shell. */
const SHELLLESS_MAX = 1000

/**
 * The exec API knows neither environment, directory nor signals, and leaves processes behind: so programs are started by
 * a line of `sh` that sets all that and marks them (kube-script.ts), and a second exec signals all that bear the mark.
 * In an image without `sh` programs are started as they are, without any of it.
 */
export class KubeExecutor implements Executor {
  readonly name: string
  readonly #api: KubeApi
  readonly #transport: KubeTransport
  readonly #isCurrent: (target: Target) => boolean
  readonly #isKnown: (target: Target) => boolean
  readonly #log: Logger
  readonly #shellless = new Set<string>()
  readonly #running = new Set<RemoteProcess>()
  readonly #sweeps = new Set<Promise<void>>()

  constructor(options: KubeExecutorOptions) {
    this.name = `apiserver ${options.clusterName}`
    this.#api = new KubeApi(options.clusterName, options.kubeconfig)
    this.#transport = new KubeTransport(this.#api, options.transports)
    this.#isCurrent = options.isCurrent ?? (() => true)
    this.#isKnown = options.isKnown ?? (() => true)
    this.#log = options.log
  }

  async exec(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (signal.aborted) throw abortReason(signal)
    if (!this.#isCurrent(target)) throw new OpsError('TARGET_GONE', `Pod ${targetText(target)} with uid ${target.uid} is gone`)
    const unnamable = Object.keys(request.env).find((name) => !isVariableName(name))
    if (unnamable !== undefined) throw new OpsError('BAD_REQUEST', `Environment variable "${unnamable}" has a name that a shell cannot set`)
    const process = this.#shellless.has(target.containerId) ? undefined : await this.#execWrapped(target, request, signal)
    const running = process ?? (await this.#execBare(target, request, signal))
    this.#running.add(running)
    running.exit.catch(() => {}).finally(() => this.#running.delete(running))
    return running
  }

  /** Through a shell in the container. @throws OpsError BAD_REQUEST where the image has none */
  files(target: Target, signal: AbortSignal): Promise<FileAccess> {
    return openKubeFiles((request, begun) => this.exec(target, request, begun), target, signal)
  }

  async logs(target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (!this.#isKnown(target)) throw new OpsError('TARGET_GONE', `Pod ${targetText(target)} with uid ${target.uid} is gone`)
    const process = await openKubeLogs(this.#api, target, request, signal)
    this.#running.add(process)
    process.exit.catch(() => {}).finally(() => this.#running.delete(process))
    return process
  }

  /** Where the cluster has metrics.k8s.io. */
  usage(targets: readonly Target[], signal: AbortSignal): Promise<UsageReport> {
    return kubeUsage(this.#api, targets, signal)
  }

  /** Undefined when the image has no shell. */
  async #execWrapped(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess | undefined> {
    const session = randomBytes(12).toString('hex')
    const env = request.pty ? { TERM: request.pty.term, ...request.env } : request.env
    const argv = wrapExec(session, { argv: request.argv, env, ...(request.cwd === undefined ? {} : { cwd: request.cwd }) })
    const process = await this.#transport.open(target, lanesOf(argv, request), signal)
    try {
      const start = await awaitStart(process, session, request, signal)
      if (start === 'runs') return new MarkedProcess(process, request.pty !== undefined, (side) => this.#side(target, session, side), signal)
    } catch (error) {
      await process.close()
      if (signal.aborted) this.#sweep(target, session)
      throw error
    }
    await process.close()
    this.#rememberShellless(target)
    return undefined
  }

  async #execBare(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (request.cwd !== undefined) throw new OpsError('BAD_REQUEST', `${targetText(target)} has no shell, so no working directory can be set`)
    const process = await this.#transport.open(target, lanesOf(request.argv, request), signal)
    await peekFailure(process, signal)
    return process
  }

  #rememberShellless(target: Target): void {
    this.#log.info({ target: targetText(target) }, 'kube.shellless')
    const [oldest] = this.#shellless
    if (this.#shellless.size >= SHELLLESS_MAX && oldest !== undefined) this.#shellless.delete(oldest)
    this.#shellless.add(target.containerId)
  }

  #sweep(target: Target, session: string): void {
    void this.#side(target, session, 'sweep')
  }

  /** Runs a line beside the program; never rejects, what it could not do is logged. */
  #side(target: Target, session: string, what: string): Promise<void> {
    const run = this.#runSide(target, what === 'sweep' ? sweepExec(session) : signalExec(session, what)).catch((error: unknown) => {
      const { code, message } = toOpsError(error)
      // A pod that is gone took its processes with it.
      if (code !== 'TARGET_GONE' && code !== 'TARGET_NOT_RUNNING') this.#log.warn({ target: targetText(target), what, code, message }, 'kube.side')
    })
    this.#sweeps.add(run)
    return run.finally(() => this.#sweeps.delete(run))
  }

  async #runSide(target: Target, argv: readonly string[]): Promise<void> {
    const limit = AbortSignal.timeout(SWEEP_MS)
    const process = await this.#transport.open(target, { argv, tty: false }, limit)
    process.stdout.resume()
    process.stderr?.resume()
    const status = await process.exit
    await process.close()
    if (status.kind !== 'exited' || status.code !== 0) throw new OpsError('INTERNAL', 'Processes are left that cannot be ended')
  }

  async ready(signal: AbortSignal): Promise<void> {
    const { status } = await this.#api.get('/readyz', signal)
    if (status !== 200) throw new OpsError('TARGET_UNREACHABLE', `API server of ${this.#api.name} answered ${status} to /readyz`)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((process) => process.close()))
    await Promise.all(this.#sweeps)
    this.#api.close()
  }
}

function lanesOf(argv: readonly string[], request: ExecRequest): { argv: readonly string[]; tty: boolean; size?: WindowSize } {
  return request.pty ? { argv, tty: true, size: request.pty.size } : { argv, tty: false }
}

/** A program whose processes bear a mark. */
class MarkedProcess implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr?: Readable
  readonly exit: Promise<ExitStatus>
  readonly via: string
  readonly #process: RemoteProcess
  readonly #tty: boolean
  readonly #side: (what: string) => Promise<void>
  #closed: Promise<void> | undefined

  constructor(process: RemoteProcess, tty: boolean, side: (what: string) => Promise<void>, signal: AbortSignal) {
    this.#process = process
    this.#tty = tty
    this.#side = side
    this.stdin = process.stdin
    this.stdout = process.stdout
    if (process.stderr) this.stderr = process.stderr
    this.exit = process.exit
    this.via = process.via
    const onAbort = () => void this.close() // never rejects
    signal.addEventListener('abort', onAbort, { once: true })
    this.exit.catch(() => {}).finally(() => signal.removeEventListener('abort', onAbort))
  }

  resize(size: WindowSize): void {
    this.#process.resize(size)
  }

  kill(signal: string): void {
    if (!/^[A-Z0-9]{1,16}$/.test(signal)) return
    if (this.#tty && TERMINAL_SIGNALS.has(signal)) this.#process.kill(signal)
    else void this.#side(signal) // never rejects
  }

  /** Cutting the streams ends most programs, but not their children, and not what ignores the hang-up: hence the sweep. */
  close(): Promise<void> {
    this.#closed ??= Promise.all([this.#side('sweep'), this.#process.close()]).then(() => {})
    return this.#closed
  }
}

/** Keys of the terminal reach its foreground job only, as the user means them to. */
const TERMINAL_SIGNALS: ReadonlySet<string> = new Set(['INT', 'QUIT', 'TSTP'])

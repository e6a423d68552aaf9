/** Programs on this machine, one directory a pod: for the demo and for tests. No boundary stands between its pods. */
import { accessSync, constants, mkdirSync, type Stats, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { abortReason, OpsError } from '../src/core/errors.js'
import { escapePeerText, type Logger } from '../src/core/log.js'
import type { ContainerRuntime, ExecRequest, NodeContainer, RemoteProcess, WindowSize } from '../src/core/types.js'
import { FileSessions } from './files/file-sessions.js'
import { type FileSession, startFiles } from './files/start-files.js'
import { type ProcessHost, TerminalProcess } from './held-process.js'
import { LocalSpawner, type LocalStart } from './local-spawn.js'
import { ProcessTable } from './processes.js'
import { loadPty, type PtyFactory } from './pty.js'

export interface LocalPod {
  readonly name: string
  /** Any uid is taken for it when absent. */
  readonly uid?: string
}
export interface LocalRuntimeOptions {
  /** Each pod's home is DIR/NAME, created 0700. */
  readonly dataDir: string
  readonly pods: readonly (string | LocalPod)[]
  readonly log: Logger
  /** Default "default". */
  readonly namespace?: string
  /** Name of each pod's one container; default "shell". */
  readonly container?: string
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const POD_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

export class LocalRuntime implements ContainerRuntime {
  readonly scheme = 'local'
  /** See AgentRuntime. */
  readonly startsAtOnce = true
  readonly #host: ProcessHost
  readonly #homes: ReadonlyMap<string, string>
  readonly #containers: readonly NodeContainer[]
  readonly #running = new Set<RemoteProcess>()
  readonly #files = new FileSessions()
  readonly #spawner = new LocalSpawner()
  #pty: PtyFactory | undefined

  /** @throws OpsError CONFIG_INVALID for a name that is none, or twice */
  constructor(options: LocalRuntimeOptions) {
    this.#host = { table: new ProcessTable(), log: options.log, via: 'local' }
    const pods = options.pods.map((pod) => (typeof pod === 'string' ? { name: pod } : pod))
    this.#homes = makeHomes(options.dataDir, pods)
    const { namespace = 'default', container = 'shell' } = options
    this.#containers = pods.map((pod) => ({ id: pod.name, namespace, pod: pod.name, uid: pod.uid ?? '', container }))
  }

  async exec(containerId: string, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (signal.aborted) throw abortReason(signal)
    const home = this.#homes.get(containerId)
    if (home === undefined) throw new OpsError('TARGET_GONE', `No such local pod: ${JSON.stringify(containerId)}`)
    const start = prepare(containerId, home, request)
    const process = request.pty ? this.#openTerminal(start, request.pty.size) : this.#spawner.onPipes(this.#host, start)
    this.#running.add(process)
    const close = () => void process.close()
    const forget = () => {
      signal.removeEventListener('abort', close)
      this.#running.delete(process)
    }
    signal.addEventListener('abort', close, { once: true })
    process.stdout.once('close', () => void process.exit.then(forget))
    if (!signal.aborted) return process
    close()
    throw abortReason(signal)
  }

  /** The files of this machine, from the pod's home on: as with its programs, no boundary stands between pods. @throws OpsError TARGET_GONE */
  async files(containerId: string, signal: AbortSignal): Promise<FileSession> {
    const home = this.#homes.get(containerId)
    if (home === undefined) throw new OpsError('TARGET_GONE', `No such local pod: ${JSON.stringify(containerId)}`)
    return this.#files.keep(await startFiles({ kind: 'here', home }, signal))
  }

  async containers(): Promise<readonly NodeContainer[]> {
    return this.#containers
  }

  async close(): Promise<void> {
    await Promise.all([...[...this.#running].map((process) => process.close()), this.#files.close()])
    this.#spawner.close()
  }

  #openTerminal(start: LocalStart, size: WindowSize): RemoteProcess {
    this.#pty ??= loadPty()
    return new TerminalProcess(this.#host, this.#pty.spawn({ ...start, size }))
  }
}

function makeHomes(dataDir: string, pods: readonly LocalPod[]): Map<string, string> {
  const homes = new Map<string, string>()
  for (const { name } of pods) {
    if (!POD_NAME.test(name)) throw new OpsError('CONFIG_INVALID', `${JSON.stringify(name)} is not a pod's name: lower-case letters, digits, "-" and "."`)
    if (homes.has(name)) throw new OpsError('CONFIG_INVALID', `Pod ${JSON.stringify(name)} is named twice`)
    const home = resolve(join(dataDir, name))
    mkdirSync(home, { recursive: true, mode: 0o700 })
    homes.set(name, home)
  }
  return homes
}

/** The environment is made here from nothing: what this process was started with (keys, addresses) is not the user's. */
function prepare(pod: string, home: string, request: ExecRequest): LocalStart {
  for (const text of [...request.argv, request.cwd ?? '', ...Object.entries(request.env).flat()]) {
    if (text.includes('\0')) throw new OpsError('BAD_REQUEST', 'Cannot start a program: a word of its command line holds a NUL byte')
  }
  const { username } = userInfo()
  const env: Record<string, string> = { PATH, HOME: home, USER: username, LOGNAME: username, LANG: 'C.UTF-8', HOSTNAME: pod }
  if (request.pty) env.TERM = request.pty.term
  Object.assign(env, request.env)
  const cwd = resolve(home, request.cwd ?? '.')
  if (!isDirectory(cwd)) throw new OpsError('BAD_REQUEST', `No such directory: ${JSON.stringify(cwd)}`, { detail: `no such directory: ${escapePeerText(cwd)}` })
  return { file: programOf(request.argv[0], env.PATH ?? PATH, cwd), argv: request.argv, env, cwd }
}

/** execvp(3)'s search, done before: in a terminal its failure could not be told from a program that exits with 1. */
function programOf(file: string | undefined, path: string, cwd: string): string {
  if (file === undefined) throw new OpsError('BAD_REQUEST', 'Cannot start a program: no command was given', { detail: 'no command was given' })
  const candidates = file.includes('/') ? [resolve(cwd, file)] : path.split(':').map((dir) => resolve(cwd, dir, file))
  const found = file === '' ? [] : candidates.filter((candidate) => statOf(candidate) !== undefined)
  const executable = found.find(isExecutable)
  if (executable !== undefined) return executable
  const code = found.length > 0 ? 'COMMAND_NOT_EXECUTABLE' : 'COMMAND_NOT_FOUND'
  throw new OpsError(code, `Cannot start ${JSON.stringify(file)}`, { detail: escapePeerText(file) })
}

function isDirectory(path: string): boolean {
  return statOf(path)?.isDirectory() ?? false
}

/** Undefined where nothing is, or nothing that may be looked at. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function isExecutable(path: string): boolean {
  if (!statOf(path)?.isFile()) return false
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

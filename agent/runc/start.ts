/**
 * Starts programs in containers with runc itself, as containerd's shim would (`runc exec --detach`), but with pipes and a
 * terminal that this process holds. Through the docker daemon every byte is carried by the shim and by the daemon, and a
 * start goes through three programs: that is 0.5 ms of each echoed key, and two thirds of the time of bulk output.
 * What the program may do is the container's own `process` (OCI runtime specification) in both ways: capabilities, limits, profiles, user.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OpsError } from '../../src/core/errors.js'
import type { Logger } from '../../src/core/log.js'
import type { ExecRequest, RemoteProcess } from '../../src/core/types.js'
import { Children, exitCodeStatus } from '../children.js'
import { PipedProcess, type ProcessHost, TerminalProcess } from '../held-process.js'
import { type Libc, loadLibc, type PipeEnds } from '../libc.js'
import { type ProcessTable, signalProcess } from '../processes.js'
import { Pty } from '../pty.js'
import { startFailure } from '../start-failure.js'
import type { Bundle } from './bundle.js'

/** What the kernel may hold of an output that nobody reads at the moment. */
const PIPE_BYTES = 1024 * 1024
/** runc takes 20 to 40 ms; one that has not ended by then hangs on a frozen container. */
const START_LIMIT_MS = 30_000
const LOG_TEXT_BYTES = 4096
const NOT_RUNNING = /container .*(does not exist|is not running|not running)|stopped container|paused container/i

export class RuncStarter {
  readonly #log: Logger
  readonly #libc: Libc
  readonly #children: Children
  readonly #folder: string
  #count = 0

  /** From now on this process adopts what is orphaned below it. @throws Error where libc cannot be called */
  constructor(log: Logger) {
    this.#log = log
    this.#libc = loadLibc()
    this.#libc.adoptOrphans()
    this.#children = new Children(this.#libc)
    this.#folder = mkdtempSync(join(tmpdir(), 'opagent-'))
  }

  /**
   * Resolves once the program runs. It cannot be aborted: whoever asked for it ends it.
   * @param table the container's processes
   * @throws OpsError why it could not be started; Error when runc could not be, or its container does not run: ask the daemon
   */
  async start(bundle: Bundle, table: ProcessTable, request: ExecRequest): Promise<RemoteProcess> {
    const host: ProcessHost = { table, log: this.#log, via: 'docker' }
    const files = join(this.#folder, String(this.#count++))
    const [spec, pidFile, log, console] = ['json', 'pid', 'log', 'tty'].map((kind) => `${files}.${kind}`) as [string, string, string, string]
    const args = [...bundle.globals, '--log', log, '--log-format', 'json', 'exec', '--process', spec, '--pid-file', pidFile, '--detach']
    try {
      await writeFile(spec, JSON.stringify(processOf(bundle, request)), { mode: 0o600 })
      const run = async (more: readonly string[], stdio: readonly (number | 'ignore')[]): Promise<number> => {
        const code = await exitCode(spawn(bundle.program, [...args, ...more, bundle.containerId], { stdio: [...stdio] }))
        if (code === 0) return Number(await readFile(pidFile, 'utf8'))
        const said = lastMessage(await readFile(log, 'utf8'))
        // the daemon knows whether it has ended, is paused, or was started anew
        if (NOT_RUNNING.test(said)) throw new Error(`runc: ${said}`)
        throw startFailure(request.argv, request.cwd, said)
      }
      return request.pty ? await this.#onTerminal(host, console, run) : await this.#onPipes(host, run)
    } finally {
      await Promise.all([spec, pidFile, log, console].map((file) => rm(file, { force: true })))
    }
  }

  close(): void {
    this.#children.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #onTerminal(host: ProcessHost, console: string, run: Run): Promise<RemoteProcess> {
    const listener = this.#libc.listen(console)
    try {
      const pid = await run(['--console-socket', console], ['ignore', 'ignore', 'ignore'])
      const master = this.#libc.receiveDescriptor(listener)
      if (master === undefined) {
        signalProcess(pid, 'SIGKILL')
        throw new OpsError('PROTOCOL_ERROR', `runc started process ${pid} without handing over its terminal`)
      }
      const resize = (columns: number, rows: number) => this.#libc.resize(master, columns, rows)
      return new TerminalProcess(host, new Pty(resize, master, pid, this.#children.ended(pid).then(exitCodeStatus)))
    } finally {
      closeSync(listener)
    }
  }

  async #onPipes(host: ProcessHost, run: Run): Promise<RemoteProcess> {
    const pipes: PipeEnds[] = []
    const theirs = () => pipes.map(({ read, write }, index) => (index === 0 ? read : write))
    const ours = () => pipes.map(({ read, write }, index) => (index === 0 ? write : read))
    let pid: number
    try {
      for (const end of ['write', 'read', 'read'] as const) pipes.push(this.#libc.pipe(end, PIPE_BYTES))
      pid = await run([], theirs())
    } catch (error) {
      for (const fd of ours()) closeSync(fd)
      throw error
    } finally {
      for (const fd of theirs()) closeSync(fd)
    }
    const [stdin = -1, stdout = -1, stderr = -1] = ours()
    const reader = (fd: number) => new Socket({ fd, readable: true, writable: false })
    const piped = { pid, stdin: new Socket({ fd: stdin, readable: false, writable: true }), stdout: reader(stdout), stderr: reader(stderr) }
    return new PipedProcess(host, piped, this.#children.ended(pid).then(exitCodeStatus))
  }
}

/** @returns the program's pid */
type Run = (more: readonly string[], stdio: readonly (number | 'ignore')[]) => Promise<number>

async function exitCode(runc: ChildProcess): Promise<number | null> {
  const limit = setTimeout(() => runc.kill('SIGKILL'), START_LIMIT_MS)
  try {
    const [code] = (await once(runc, 'exit')) as [number | null]
    return code
  } finally {
    clearTimeout(limit)
  }
}

/** runc's log has a line of JSON for each message; the last one says why it gave up. */
function lastMessage(log: string): string {
  const line = log.trimEnd().split('\n').at(-1) ?? ''
  return /"msg":("(?:[^"\\]|\\.)*")/.exec(line)?.[1]?.replace(/^".*"$/s, (text) => String(JSON.parse(text))) ?? line.slice(-LOG_TEXT_BYTES)
}

/** The container's own process with another command line. Its environment is the container's, as with docker exec. */
function processOf({ process }: Bundle, { argv, env, cwd, pty }: ExecRequest): object {
  const added = Object.entries({ ...(pty && { TERM: pty.term }), ...env })
  const names = new Set(added.map(([name]) => name))
  const kept = process.env.filter((pair) => !names.has(pair.slice(0, pair.indexOf('='))))
  return {
    ...process,
    args: argv,
    env: [...kept, ...added.map(([name, value]) => `${name}=${value}`)],
    cwd: cwd ?? process.cwd,
    terminal: pty !== undefined,
    ...(pty && { consoleSize: { height: Math.max(pty.size.rows, 1), width: Math.max(pty.size.columns, 1) } }),
  }
}

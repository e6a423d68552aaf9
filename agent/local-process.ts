/** Programs on this machine as RemoteProcess: through pipes, or in a terminal. Each leads a session of its own. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Readable, Writable } from 'node:stream'
import { OpsError } from '../src/core/errors.js'
import type { Logger } from '../src/core/log.js'
import type { ExitStatus, RemoteProcess, WindowSize } from '../src/core/types.js'
import { HostFamily } from './family.js'
import { endedLeader, type ProcessTable, readProcess } from './processes.js'
import type { Pty } from './pty.js'
import { endAfterTail, RawOutput } from './raw-output.js'

export interface LocalHost {
  readonly table: ProcessTable
  readonly log: Logger
}
export interface LocalStart {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}
type Piped = ChildProcessByStdio<Writable, Readable, Readable>

const EOT = Buffer.of(4)
const STDIN_BUFFER_BYTES = 64 * 1024

/** What both kinds share: signals and the end. */
abstract class LocalProcess implements RemoteProcess {
  abstract readonly stdin: Writable
  abstract readonly stdout: Readable
  abstract readonly exit: Promise<ExitStatus>
  readonly via = 'local'
  protected readonly host: LocalHost
  readonly #family: HostFamily
  #closing: Promise<void> | undefined

  constructor(host: LocalHost, pid: number) {
    this.host = host
    this.#family = new HostFamily(host.table, readProcess(pid) ?? endedLeader(pid))
  }

  abstract resize(size: WindowSize): void
  protected abstract release(): void | Promise<void>

  kill(signal: string): void {
    this.#family.signal(signal).catch((error) => this.host.log.warn({ error, signal }, 'local.kill.failed'))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      const left = await this.#family.end()
      if (left > 0) this.host.log.warn({ left }, 'local.close.left-behind')
    } catch (error) {
      this.host.log.warn({ error }, 'local.close.failed')
    }
    await this.release()
  }
}

/**
 * A program on pipes.
 * @throws OpsError COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE
 */
export async function spawnPiped(host: LocalHost, { argv, env, cwd }: LocalStart): Promise<PipedProcess> {
  const [file = '', ...args] = argv
  // Detached: node then calls setsid(2), and the program's session is its pid.
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const exit = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(signal ? { kind: 'signaled', signal: signal.slice('SIG'.length), coreDumped: false } : { kind: 'exited', code: code ?? 0 })
    })
  })
  try {
    await once(child, 'spawn')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE'
    throw new OpsError(code, `Cannot start ${JSON.stringify(file)}: ${(error as Error).message}`, { cause: error, detail: file })
  }
  // A later error is a signal that could not be sent; kill() does not go through the child.
  child.on('error', (error) => host.log.warn({ error }, 'local.child.failed'))
  return new PipedProcess(host, child, exit)
}

export class PipedProcess extends LocalProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exit: Promise<ExitStatus>
  readonly #child: Piped

  constructor(host: LocalHost, child: Piped, exit: Promise<ExitStatus>) {
    super(host, child.pid ?? 0)
    this.#child = child
    // Read at once: node throws away, at the program's end, what its streams hold that nobody reads yet.
    this.stdout = new RawOutput(child.stdout).stdout
    this.stderr = new RawOutput(child.stderr).stdout
    this.exit = exit
    // Input that a program does not read any more is dropped.
    child.stdin.on('error', () => {})
    this.stdin = new Writable({
      highWaterMark: STDIN_BUFFER_BYTES,
      write: (chunk: Buffer, _encoding, done) => void (child.stdin.writable ? child.stdin.write(chunk, () => done()) : done()),
      final: (done) => void child.stdin.end(() => done()),
    })
  }

  override resize(): void {}

  protected override release(): void {
    this.stdin.destroy()
    for (const pipe of this.#child.stdio) pipe?.destroy()
    this.stdout.destroy()
    this.stderr.destroy()
  }
}

/** A program in a terminal. */
export class TerminalProcess extends LocalProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly exit: Promise<ExitStatus>
  readonly #pty: Pty

  constructor(host: LocalHost, pty: Pty) {
    super(host, pty.pid)
    this.#pty = pty
    const output = new RawOutput(pty.output, () => pty.rest())
    this.stdout = output.stdout
    const ended = new Promise<void>((resolve) => {
      pty.output.once('end', resolve)
      pty.output.once('close', resolve)
    })
    this.exit = pty.exit.then(async (status) => {
      endAfterTail(output, ended).catch((error) => host.log.warn({ error }, 'local.tail.failed'))
      return status
    })
    Promise.all([pty.exit, ended]).then(
      () => pty.close(),
      (error) => host.log.warn({ error }, 'local.release.failed'),
    )
    this.stdin = new Writable({
      highWaterMark: STDIN_BUFFER_BYTES,
      write: (chunk: Buffer, _encoding, done) => void pty.write(chunk).then(() => done(), done),
      // A terminal has no end; its end-of-file character stands for it.
      final: (done) => void pty.write(EOT).then(() => done(), done),
    })
  }

  override resize(size: WindowSize): void {
    try {
      this.#pty.resize(size)
    } catch (error) {
      this.host.log.debug({ error }, 'local.resize.failed')
    }
  }

  protected override async release(): Promise<void> {
    this.stdin.destroy()
    await this.#pty.close()
    this.stdout.destroy()
  }
}

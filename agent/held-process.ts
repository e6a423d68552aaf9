/** Programs whose pipes or terminal this process holds itself, as RemoteProcess. Each leads a session of its own. */
import { type Readable, Writable } from 'node:stream'
import type { Logger } from '../src/core/log.js'
import type { ExitStatus, RemoteProcess, WindowSize } from '../src/core/types.js'
import { GatheringWritable } from '../src/wire/gather.js'
import { HostFamily } from './family.js'
import { endedLeader, type ProcessTable, readProcess } from './processes.js'
import type { Pty } from './pty.js'
import { endAfterTail, RawOutput } from './raw-output.js'

export interface ProcessHost {
  /** Where the program's family is looked for. */
  readonly table: ProcessTable
  readonly log: Logger
  readonly via: 'local' | 'docker'
}
/** A program's pid and this process's ends of its pipes, which pass to whoever gets them. */
export interface Piped {
  readonly pid: number
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
}

const EOT = Buffer.of(4)
const STDIN_BUFFER_BYTES = 64 * 1024

/** What both kinds share: signals and the end. */
abstract class HeldProcess implements RemoteProcess {
  abstract readonly stdin: Writable
  abstract readonly stdout: Readable
  abstract readonly exit: Promise<ExitStatus>
  readonly via: 'local' | 'docker'
  protected readonly host: ProcessHost
  readonly #family: HostFamily
  #closing: Promise<void> | undefined

  constructor(host: ProcessHost, pid: number) {
    this.host = host
    this.via = host.via
    this.#family = new HostFamily(host.table, readProcess(pid) ?? endedLeader(pid))
  }

  abstract resize(size: WindowSize): void
  protected abstract release(): void | Promise<void>

  kill(signal: string): void {
    this.#family.signal(signal).catch((error) => this.host.log.warn({ error, signal }, 'process.kill.failed'))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      const left = await this.#family.end()
      if (left > 0) this.host.log.warn({ left }, 'process.close.left-behind')
    } catch (error) {
      this.host.log.warn({ error }, 'process.close.failed')
    }
    await this.release()
  }
}

/** A program on pipes. */
export class PipedProcess extends HeldProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  readonly exit: Promise<ExitStatus>
  readonly #pipes: readonly (Readable | Writable)[]

  constructor(host: ProcessHost, child: Piped, exit: Promise<ExitStatus>) {
    super(host, child.pid)
    this.#pipes = [child.stdin, child.stdout, child.stderr]
    // Read at once: node throws away, at the program's end, what its streams hold that nobody reads yet.
    this.stdout = new RawOutput(child.stdout).stdout
    this.stderr = new RawOutput(child.stderr).stdout
    this.exit = exit
    // Input that a program does not read any more is dropped.
    child.stdin.on('error', () => {})
    this.stdin = new GatheringWritable({
      highWaterMark: STDIN_BUFFER_BYTES,
      write: (chunk: Buffer, _encoding, done) => void (child.stdin.writable ? child.stdin.write(chunk, () => done()) : done()),
      // What came while the pipe was full leaves in one system call.
      writev: (chunks, done) => {
        if (!child.stdin.writable) return done()
        child.stdin.cork()
        for (const { chunk } of chunks.slice(0, -1)) child.stdin.write(chunk as Buffer)
        child.stdin.write(chunks.at(-1)?.chunk as Buffer, () => done())
        child.stdin.uncork()
      },
      final: (done) => void child.stdin.end(() => done()),
    })
  }

  override resize(): void {}

  protected override release(): void {
    this.stdin.destroy()
    for (const pipe of this.#pipes) pipe.destroy()
    this.stdout.destroy()
    this.stderr.destroy()
  }
}

/** A program in a terminal. */
export class TerminalProcess extends HeldProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly exit: Promise<ExitStatus>
  readonly #pty: Pty

  constructor(host: ProcessHost, pty: Pty) {
    super(host, pty.pid)
    this.#pty = pty
    const output = new RawOutput(pty.output, () => pty.rest())
    this.stdout = output.stdout
    const ended = new Promise<void>((resolve) => {
      pty.output.once('end', resolve)
      pty.output.once('close', resolve)
    })
    this.exit = pty.exit.then(async (status) => {
      endAfterTail(output, ended).catch((error) => host.log.warn({ error }, 'process.tail.failed'))
      return status
    })
    Promise.all([pty.exit, ended]).then(
      () => pty.close(),
      (error) => host.log.warn({ error }, 'process.release.failed'),
    )
    this.stdin = new Writable({
      highWaterMark: STDIN_BUFFER_BYTES,
      write: (chunk: Buffer, _encoding, done) => pty.write(chunk, done),
      // A terminal has no end; its end-of-file character stands for it.
      final: (done) => pty.write(EOT, done),
    })
  }

  override resize(size: WindowSize): void {
    try {
      this.#pty.resize(size)
    } catch (error) {
      this.host.log.debug({ error }, 'process.resize.failed')
    }
  }

  protected override async release(): Promise<void> {
    this.stdin.destroy()
    await this.#pty.close()
    this.stdout.destroy()
  }
}

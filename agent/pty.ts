/**
 * Programs in a terminal of this machine, through node-pty's native part.
 *
 * Its JavaScript part is passed over: 200 ms after the program's end it destroys the terminal, whatever is still unread,
 * so a slow reader would lose the end of the output; and it writes in a busy loop while a program does not read.
 */
import { readSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { ReadStream } from 'node:tty'
import { OpsError } from '../src/core/errors.js'
import type { ExitStatus, WindowSize } from '../src/core/types.js'

/** node-pty 1.1.0, src/unix/pty.cc. */
interface NativePty {
  fork(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string,
    columns: number,
    rows: number,
    uid: number,
    gid: number,
    isUtf8: boolean,
    helperPath: string,
    onExit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number }
  resize(fd: number, columns: number, rows: number): void
}

export interface PtySpawn {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly size: WindowSize
}

/** @throws OpsError BAD_REQUEST when node-pty, an optional dependency, is not installed or was built for another system */
export function loadPty(): PtyFactory {
  try {
    const { loadNativeModule } = createRequire(import.meta.url)('node-pty/lib/utils.js') as { loadNativeModule(name: string): { module: NativePty } }
    return new PtyFactory(loadNativeModule('pty').module)
  } catch (error) {
    const detail = 'no terminals here: the optional package node-pty is not installed'
    throw new OpsError('BAD_REQUEST', `Cannot open a terminal on this machine: node-pty does not load: ${(error as Error).message}`, { cause: error, detail })
  }
}

export class PtyFactory {
  readonly #native: NativePty

  constructor(native: NativePty) {
    this.#native = native
  }

  /** Starts a program that leads a session of its own. It must exist: one that does not shows as exit code 1. */
  spawn({ argv, env, cwd, size }: PtySpawn): Pty {
    const [file = '', ...args] = argv
    const pairs = Object.entries(env).map(([key, value]) => `${key}=${value}`)
    let onExit: (status: ExitStatus) => void = () => {}
    const exit = new Promise<ExitStatus>((resolve) => {
      onExit = resolve
    })
    const { fd, pid } = this.#native.fork(file, args, pairs, cwd, cells(size.columns), cells(size.rows), -1, -1, true, '', (code, signal) =>
      onExit(exitStatus(code, signal)),
    )
    return new Pty((columns, rows) => this.#native.resize(fd, columns, rows), fd, pid, exit)
  }
}

/** The kernel holds at most 64 KiB of a terminal's output. */
const REST_CHUNKS = 64
/** First and longest pause before a write is tried again to a terminal that is full, as long as its program does not read. */
const RETRY_MS = [1, 20] as const

/**
 * Reads a terminal's master side and stays open until it is released. A program that is about to exit may close its
 * terminal first (cat does); reading then gives EIO, and if the master were closed at that, as a net.Socket does, the
 * kernel would send the program SIGHUP, and it would be reported as killed.
 */
class MasterStream extends ReadStream {
  #isReleased = false

  override destroy(error?: Error): this {
    if (this.#isReleased) return super.destroy(error)
    if (error) this.push(null)
    return this
  }

  release(): void {
    this.#isReleased = true
    this.destroy()
  }
}

/** A terminal's master side. Its file descriptor belongs to `output` and is closed with it, by `close`. */
export class Pty {
  readonly pid: number
  readonly exit: Promise<ExitStatus>
  /** Ends when nothing has the terminal open any longer. */
  readonly output: MasterStream
  readonly #resize: (columns: number, rows: number) => void
  readonly #fd: number
  #isClosed = false
  #writing: Promise<void> = Promise.resolve()

  /** @param resize sets the size of `fd`, TIOCSWINSZ of ioctl_tty(2) */
  constructor(resize: (columns: number, rows: number) => void, fd: number, pid: number, exit: Promise<ExitStatus>) {
    this.#resize = resize
    this.#fd = fd
    this.pid = pid
    this.exit = exit
    this.output = new MasterStream(fd)
    this.output.once('close', () => {
      this.#isClosed = true
    })
  }

  /**
   * What is left when `output` ends. libuv takes a short read from a terminal whose program has ended for the
   * last one (POLLHUP and a partial read, uv__stream_io), but a terminal gives at most 4 KiB at once. Call it in the
   * 'end' listener, where the descriptor is still open.
   */
  *rest(): Generator<Buffer> {
    for (let chunks = 0; chunks < REST_CHUNKS; chunks++) {
      const buffer = Buffer.allocUnsafe(4096)
      let bytes = 0
      try {
        bytes = readSync(this.#fd, buffer)
      } catch {
        // EIO is the end, EAGAIN means that a program still holds it open and says nothing.
        return
      }
      if (bytes === 0) return
      yield buffer.subarray(0, bytes)
    }
  }

  /**
   * Calls `done` once the terminal has taken all of it, or is closed. One call at a time.
   * A key is written at once: a thread of the pool would double the time that it takes.
   */
  write(bytes: Buffer, done: () => void): void {
    const taken = this.#isClosed ? undefined : this.#writeSome(bytes, 0)
    if (taken === undefined || taken === bytes.length) done()
    else this.#writing = this.#writeAll(bytes, taken).then(done)
  }

  resize(size: WindowSize): void {
    if (!this.#isClosed) this.#resize(cells(size.columns), cells(size.rows))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    // A write under way must not meet the descriptor's next owner.
    await this.#writing
    this.output.release()
  }

  async #writeAll(bytes: Buffer, from: number): Promise<void> {
    let [waitMs] = RETRY_MS as readonly [number, number]
    for (let at = from; at < bytes.length; ) {
      await new Promise((resolve) => setTimeout(resolve, waitMs))
      const written = this.#isClosed ? undefined : this.#writeSome(bytes, at)
      if (written === undefined) return
      at += written
      waitMs = written > 0 ? RETRY_MS[0] : Math.min(waitMs * 2, RETRY_MS[1])
    }
  }

  /** The descriptor does not block. @returns bytes taken, 0 when it is full, undefined when nobody is left to read */
  #writeSome(bytes: Buffer, at: number): number | undefined {
    try {
      return writeSync(this.#fd, bytes, at, bytes.length - at, null)
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : undefined
    }
  }
}

/** A terminal of no size confuses programs; clients that do not know theirs send 0. */
function cells(count: number): number {
  return Math.min(Math.max(Math.trunc(count) || 1, 1), 65_535)
}

function exitStatus(code: number, signalNumber: number): ExitStatus {
  const name = Object.entries(constants.signals).find(([, number]) => number === signalNumber)?.[0]
  return signalNumber > 0 ? { kind: 'signaled', signal: name?.slice('SIG'.length) ?? String(signalNumber), coreDumped: false } : { kind: 'exited', code }
}

/**
 * One `docker exec`: streams on a hijacked connection, the rest through the API.
 *
 * How a start shows (seen on dockerd 20.10): `start` answers at once, before runc has done anything (about 40 ms of
 * work). A program that could not be started then leaves a text on stdout ("OCI runtime exec failed: …"), end-of-file,
 * and an exec with exit code 126, whatever the reason, and Pid 0. A program that itself exits with 126 or 127 has a Pid.
 * A file that is no program ("exec format error") counts as started: it exits with 1 and runc's text on stderr.
 */
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { abortReason, OpsError, toOpsError } from '../src/core/errors.js'
import type { Logger } from '../src/core/log.js'
import type { ExecRequest, ExitStatus, RemoteProcess, WindowSize } from '../src/core/types.js'
import { GatheringWritable } from '../src/wire/gather.js'
import { DockerDemux } from './demux.js'
import type { DockerApi, ExecState } from './docker-api.js'
import { SideFamily } from './docker-family.js'
import { type Family, HostFamily, type PidWatch } from './family.js'
import type { HijackSocket } from './hijack-socket.js'
import { endedLeader, type ProcessEntry, type ProcessTable, readProcess } from './processes.js'
import { endAfterTail, RawOutput } from './raw-output.js'
import { startFailure } from './start-failure.js'

/** Of a terminal whose size nobody said; and what an exec without one is "resized" to, to learn when it stands. */
const NO_SIZE: WindowSize = { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }
/** Less than runc needs to start anything. */
const SIZE_GRACE_MS = 15
/** Within this the daemon says whether the exec stands. */
const START_LIMIT_MS = 30_000
/** Longest text of a failed start that is read. */
const FAILURE_TEXT_BYTES = 4096
/** A program that ends sooner is not watched by its pid: the end of its output says enough. */
const WATCH_AFTER_MS = 250
/** How often the daemon is asked whether a program runs whose pid cannot be seen. */
const INSPECT_INTERVAL_MS = 3000
/** After the last process was killed, the daemon has this long to say so. */
const STATUS_LIMIT_MS = 1000
const STDIN_BUFFER_BYTES = 64 * 1024
/** The terminal's end-of-file character (termios VEOF, default): a terminal has no other way to say that input has ended. */
const EOT = Buffer.of(4)

/** What all execs of a runtime share. */
export interface DockerHost {
  readonly api: DockerApi
  readonly watch: PidWatch
  readonly log: Logger
}
export interface DockerExec {
  readonly containerId: string
  readonly execId: string
  readonly request: ExecRequest
  /** The container's processes, where host pids can be seen; else the value of MARK_VARIABLE in its environment. */
  readonly found: ProcessTable | string
}

export class DockerProcess implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr?: Readable
  readonly exit: Promise<ExitStatus>
  readonly via = 'docker'
  readonly #host: DockerHost
  readonly #exec: DockerExec
  readonly #socket: HijackSocket
  readonly #output: DockerDemux | RawOutput
  readonly #outputEnd: Promise<void>
  readonly #started: Promise<void>
  /** Aborted once the program has ended or the process was closed: nothing waits for it any longer. */
  readonly #over = new AbortController()
  /** Once known. */
  #pid = 0
  #leader: ProcessEntry | undefined
  #outputEnded = false
  #wanted: WindowSize | undefined
  #sizeCame: () => void = () => {}
  #resizing = false
  #closing: Promise<void> | undefined

  /** Takes over `socket`, the connection of an exec that was told to start. */
  constructor(host: DockerHost, exec: DockerExec, socket: HijackSocket) {
    this.#host = host
    this.#exec = exec
    this.#socket = socket
    if (exec.request.pty) this.#output = new RawOutput(socket)
    else {
      this.#output = new DockerDemux(socket)
      this.stderr = this.#output.stderr
    }
    this.stdout = this.#output.stdout
    this.stdin = this.#openStdin()
    this.#outputEnd = new Promise((resolve) => {
      socket.once('end', () => {
        this.#outputEnded = true
        resolve()
      })
      socket.once('close', resolve)
    })
    this.#started = this.#awaitStart()
    this.exit = this.#started.then(() => this.#awaitExit())
    // Both are handed out and may be looked at later.
    this.#started.catch(() => {})
    this.exit.catch(() => {})
  }

  /** Resolves once the program runs or has run. @throws OpsError why it could not be started */
  get started(): Promise<void> {
    return this.#started
  }

  resize(size: WindowSize): void {
    if (!this.#exec.request.pty) return
    this.#wanted = size
    this.#sizeCame()
    this.#applySize().catch((error) => this.#host.log.debug({ error }, 'docker.resize.failed'))
  }

  kill(signal: string): void {
    this.#signal(signal).catch((error) => this.#host.log.warn({ error, signal }, 'docker.kill.failed'))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // ---- start

  async #awaitStart(): Promise<void> {
    const { api } = this.#host
    let spoke = false
    const output = new Promise<boolean>((resolve) => {
      this.#socket.once('data', () => {
        spoke = true
        resolve(false)
      })
      for (const event of ['end', 'close']) this.#socket.once(event, () => resolve(false))
    })
    const stands = this.#setFirstSize().catch(() => false)
    if (await Promise.race([stands, output])) return
    const limit = AbortSignal.any([this.#over.signal, AbortSignal.timeout(START_LIMIT_MS)])
    for (let waitMs = 2; !limit.aborted; waitMs = Math.min(waitMs * 2, 250)) {
      const spokeBefore = spoke
      const state = await api.inspectExec(this.#exec.execId, limit)
      // An exec counts as running from `start` on, before runc has tried; but its failure shows before the text about it comes.
      if (state.pid > 0 || (state.running && spokeBefore)) return
      if (state.exitCode !== undefined) throw await this.#failure()
      await sleep(waitMs)
    }
    throw new OpsError('TARGET_UNREACHABLE', `Cannot start exec ${this.#exec.execId}: docker did not say whether it runs`)
  }

  /**
   * Resolves once the exec stands or has failed. A caller may say its size a moment after the request; there is time for
   * it while runc works.
   */
  async #setFirstSize(): Promise<boolean> {
    const { pty } = this.#exec.request
    let size = pty?.size ?? NO_SIZE
    if (size.columns === 0) {
      await Promise.race([sleep(SIZE_GRACE_MS), new Promise<void>((resolve) => (this.#sizeCame = resolve))])
      size = this.#wanted ?? NO_SIZE
      this.#wanted = undefined
    }
    const stands = await this.#host.api.resizeExec(this.#exec.execId, size, this.#over.signal)
    // The daemon may know the exec before its terminal stands, and then refuses: so it is asked again once it runs.
    if (!stands && pty) this.resize(this.#wanted ?? size)
    return stands
  }

  async #failure(): Promise<OpsError> {
    let text = ''
    try {
      for (const lane of [this.stdout, this.stderr]) {
        for await (const chunk of lane ?? []) if (text.length < FAILURE_TEXT_BYTES) text += (chunk as Buffer).toString('utf8')
      }
    } catch (error) {
      return toOpsError(error)
    }
    return startFailure(this.#exec.request.argv, this.#exec.request.cwd, text)
  }

  // ---- end

  async #awaitExit(): Promise<ExitStatus> {
    try {
      await Promise.race([this.#outputEnd, this.#watchPid()])
      const state = await this.#untilEnded()
      this.#pid = state.pid
      if (this.#output instanceof RawOutput) endAfterTail(this.#output, this.#outputEnd).catch((error) => this.#host.log.warn({ error }, 'docker.tail.failed'))
      return { kind: 'exited', code: state.exitCode ?? 0 }
    } finally {
      this.#over.abort()
      if (this.#outputEnded) this.#socket.destroy()
    }
  }

  /** Resolves soon after the program has ended, also when something it left behind holds the output open. */
  async #watchPid(): Promise<void> {
    await Promise.race([sleep(WATCH_AFTER_MS), this.#outputEnd])
    while (!this.#outputEnded && !this.#socket.destroyed) {
      const { pid, running } = await this.#host.api.inspectExec(this.#exec.execId, this.#over.signal)
      if (!running) return
      if (pid > 0 && typeof this.#exec.found !== 'string') return this.#host.watch.untilGone(pid, this.#over.signal)
      await Promise.race([sleep(INSPECT_INTERVAL_MS), this.#outputEnd])
    }
  }

  /** The exec's state once it has ended. A program may close its output and go on, so this can take long. */
  async #untilEnded(): Promise<ExecState> {
    for (let waitMs = 2; ; waitMs = Math.min(waitMs * 2, 1000)) {
      const state = await this.#host.api.inspectExec(this.#exec.execId, this.#over.signal)
      if (!state.running) return state
      if (this.#socket.destroyed && !this.#outputEnded && !this.#closing)
        throw new OpsError('PROTOCOL_ERROR', 'Connection to docker broke while the program ran')
      await sleep(waitMs)
    }
  }

  async #close(): Promise<void> {
    const { log } = this.#host
    try {
      await this.#endFamily()
      await Promise.race([this.exit, sleep(STATUS_LIMIT_MS)])
    } catch (error) {
      log.warn({ error, exec: this.#exec.execId }, 'docker.close.failed')
    } finally {
      this.#over.abort(new OpsError('TARGET_UNREACHABLE', `Exec ${this.#exec.execId} was closed before docker said how it ended`))
      this.stdin.destroy()
      this.#socket.destroy()
      this.stdout.destroy()
      this.stderr?.destroy()
    }
  }

  async #endFamily(): Promise<void> {
    const family = await this.#family()
    const left = (await family?.end()) ?? 0
    if (left > 0) this.#host.log.warn({ exec: this.#exec.execId, left }, 'docker.close.left-behind')
  }

  // ---- signals and size

  async #signal(signal: string): Promise<void> {
    await (await this.#family())?.signal(signal)
  }

  /** The program's family; undefined when the program never ran. */
  async #family(): Promise<Family | undefined> {
    const { api } = this.#host
    const { execId, containerId, found } = this.#exec
    try {
      await this.#started
    } catch (error) {
      if (error instanceof OpsError && error.code !== 'TARGET_UNREACHABLE') return undefined
      throw error
    }
    if (typeof found === 'string') return new SideFamily(api, containerId, found)
    if (this.#pid > 0) return this.#hostFamily(found, this.#pid)
    const stop = AbortSignal.timeout(10_000)
    for (let waitMs = 2; !stop.aborted; waitMs *= 2) {
      const state = await api.inspectExec(execId, stop)
      if (state.pid > 0) return this.#hostFamily(found, state.pid)
      if (!state.running) return undefined
      await sleep(waitMs)
    }
    throw abortReason(stop)
  }

  /** By its leader; one that is found once stands for its pid from then on, and may end. */
  #hostFamily(table: ProcessTable, pid: number): Family {
    this.#pid = pid
    this.#leader ??= readProcess(pid)
    return new HostFamily(table, this.#leader ?? endedLeader(pid))
  }

  async #applySize(): Promise<void> {
    if (this.#resizing) return
    this.#resizing = true
    try {
      await this.#started
      for (let size = this.#wanted; size; size = this.#wanted) {
        this.#wanted = undefined
        // Right after the start the daemon may know the exec and its terminal may not stand yet.
        for (let tries = 0; tries < 5 && !this.#wanted; tries++) {
          if (await this.#host.api.resizeExec(this.#exec.execId, size, this.#over.signal)) break
          await sleep(20 * (tries + 1))
        }
      }
    } finally {
      this.#resizing = false
    }
  }

  #openStdin(): Writable {
    const socket = this.#socket
    const isTty = this.#exec.request.pty !== undefined
    return new GatheringWritable({
      highWaterMark: STDIN_BUFFER_BYTES,
      // What a program that has ended does not read is dropped, as a pipe's reader would.
      write: (chunk: Buffer, _encoding, done) => void (socket.writable ? socket.write(chunk, () => done()) : done()),
      // What came while the socket was busy leaves in one system call.
      writev: (chunks, done) => {
        if (!socket.writable) return done()
        socket.cork()
        for (const { chunk } of chunks.slice(0, -1)) socket.write(chunk as Buffer)
        socket.write(chunks.at(-1)?.chunk as Buffer, () => done())
        socket.uncork()
      },
      final: (done) => {
        // The daemon takes the end of a terminal's input for the end of the connection, and ends the output with it.
        if (isTty) socket.write(EOT, () => done())
        else socket.end(() => done())
      },
    })
  }
}

/** A file server of this gateway as a RemoteProcess: the relay, idle limit, drain and end by an administrator see any other program. */
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { abortReason, OpsError, toOpsError } from '../core/errors.js'
import { FileError } from '../core/files.js'
import type { ExitStatus, RemoteProcess } from '../core/types.js'
import type { FileJournal } from './file-journal.js'
import type { VettedFiles } from './vetted-files.js'

/** One conversation, to its end; answers the exit status. Aborting ends it at once. */
export type Serve = (lanes: { readonly input: Readable; readonly output: Writable }, signal: AbortSignal) => Promise<number>

export interface TransferParts {
  readonly files: VettedFiles
  readonly journal: FileJournal
  readonly serve: Serve
  /** The lines of refusals go here; the process ends it. */
  readonly stderr: PassThrough
}

/** What a lane holds while the other side is slow. */
const LANE_BYTES = 256 * 1024

export class TransferProcess implements RemoteProcess {
  readonly via: string
  readonly stdin = new PassThrough({ highWaterMark: LANE_BYTES })
  readonly stdout = new PassThrough({ highWaterMark: LANE_BYTES })
  readonly stderr: PassThrough
  readonly exit: Promise<ExitStatus>
  readonly #parts: TransferParts
  readonly #stop = new AbortController()

  /** Serves at once. Owns `files` and closes them: `exit` settles when every event of theirs rests. */
  constructor(parts: TransferParts) {
    this.#parts = parts
    this.via = parts.files.via
    this.stderr = parts.stderr
    // a destroyed lane says why to the relay, which may have gone by then
    for (const lane of [this.stdin, this.stdout, this.stderr]) lane.on('error', () => undefined)
    this.exit = this.#run()
    this.exit.catch(() => undefined) // who has no use for the status still wants the end
  }

  facts(): Readonly<Record<string, number>> {
    return { ...this.#parts.journal.counts }
  }
  /** A file server has no terminal. */
  resize(): void {}
  /** As sftp-server would: any signal that a client may send it ends it. */
  kill(signal: string): void {
    this.#stop.abort(new OpsError('CLIENT_GONE', `the client sent ${signal}`))
  }

  async close(): Promise<void> {
    this.#stop.abort(new OpsError('CLIENT_GONE', 'the transfer was closed'))
    this.stdin.destroy()
    this.stdout.destroy()
    await this.exit.catch(() => undefined) // the relay has told why
    this.stderr.destroy()
  }

  async #run(): Promise<ExitStatus> {
    const { files, serve } = this.#parts
    const { signal } = this.#stop
    try {
      const code = await this.#untilStopped(serve({ input: this.stdin, output: this.stdout }, signal))
      await files.close()
      return { kind: 'exited', code }
    } catch (error) {
      await files.close()
      throw signal.aborted ? abortReason(signal) : this.#broken(error)
    } finally {
      // what the client still sends has no reader
      this.stdin.resume()
      if (!this.stdout.destroyed) this.stdout.end()
      this.stderr.end()
    }
  }

  /** A lane that is destroyed leaves a writer who waits for it to drain without an answer. */
  async #untilStopped(serving: Promise<number>): Promise<number> {
    const gone = (lane: Readable | Writable): Promise<never> =>
      finished(lane as Writable, { readable: false }).then(
        () => new Promise<never>(() => undefined),
        (error: unknown) => {
          throw error
        },
      )
    const { signal } = this.#stop
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(abortReason(signal)), { once: true })
    })
    serving.catch(() => undefined) // a loser of the race below
    return Promise.race([serving, stopped, gone(this.stdout)])
  }

  #broken(error: unknown): OpsError {
    if (error instanceof FileError)
      return new OpsError(error.code === 'CONNECTION_LOST' ? 'TARGET_UNREACHABLE' : 'PROTOCOL_ERROR', error.message, { cause: error })
    return toOpsError(error, 'PROTOCOL_ERROR')
  }
}

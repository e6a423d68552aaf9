/** The caller of an HTTP exec as a ClientEnd: stdin is what the request brought, output goes where the answer is made. */
import { finished, Readable, Writable } from 'node:stream'
import type { OpsError } from '../core/errors.js'
import type { ClientEnd, ClientListener, ExitStatus } from '../core/types.js'

export type OutputName = 'stdout' | 'stderr'
/** Takes one chunk; resolves when there is room for more. */
export type TakeOutput = (stream: OutputName, chunk: Buffer) => void | Promise<void>

export class ExecClientEnd implements ClientEnd {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Resolves after `finish`, once the last byte of output has been taken. */
  readonly ended: Promise<ExitStatus>
  readonly #gone = new AbortController()
  #end: (status: ExitStatus) => void = () => {}
  #isFinishing = false

  /** @param input the whole of stdin, or what it flows from */
  constructor(input: Buffer | Readable, take: TakeOutput) {
    this.stdin = input instanceof Readable ? input : Readable.from(input.length === 0 ? [] : [input], { objectMode: false })
    this.stdout = lane('stdout', take)
    this.stderr = lane('stderr', take)
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    // destroyed with the reason when the caller leaves, perhaps while no session listens
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.on('error', () => undefined)
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** A request brings no sizes and no signals. */
  subscribe(_listener: ClientListener): () => void {
    return () => {}
  }

  finish(status: ExitStatus): void {
    if (this.#isFinishing) return
    this.#isFinishing = true
    let open = 2
    for (const stream of [this.stdout, this.stderr]) {
      finished(stream, () => {
        open -= 1
        if (open === 0) this.#end(status)
      })
      stream.end()
    }
  }

  /** The caller has hung up, or its time is over: ends the session. */
  leave(reason: OpsError): void {
    // after `finish` it only stops waiting for a caller who takes nothing more
    if (!this.#isFinishing && !this.#gone.signal.aborted) this.#gone.abort(reason)
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy(reason)
  }
}

function lane(name: OutputName, take: TakeOutput): Writable {
  return new Writable({
    highWaterMark: 64 * 1024,
    write: (chunk: Buffer, _encoding, done) => {
      Promise.resolve(take(name, chunk)).then(
        () => done(),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      )
    },
  })
}

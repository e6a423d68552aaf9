/** Door logs: a container's log as a process, held to the lines and the number of bytes that were asked for. */
import { type Readable, Transform, Writable } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { Executor, ExitStatus, LogsRequest, RemoteProcess, Target } from '../core/types.js'
import { sizeText } from '../core/units.js'
import { LineFilter } from './line-filter.js'

/** What a log that was cut at its limit ends with. */
const CUT: ExitStatus = { kind: 'exited', code: 1 }

/** @throws OpsError of the executor; NOT_FOUND where its way leads to no logs */
export async function startLogs(executor: Executor, target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess> {
  if (executor.logs) return new BoundedLogs(await executor.logs(target, request, signal), request)
  throw new OpsError('NOT_FOUND', `${executor.name} leads to no logs`, { detail: 'no logs are kept there: programs of local demo pods write to nobody' })
}

/** Owns `source`. A slow reader of either lane holds it. */
class BoundedLogs implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Transform
  readonly stderr: Transform
  readonly exit: Promise<ExitStatus>
  readonly via: string
  readonly #source: RemoteProcess
  readonly #limitBytes: number
  readonly #joined: { readonly from: Readable; readonly lane: Transform }[] = []
  #left: number
  #isCut = false
  #isTold = false
  #cut: () => void = () => {}

  constructor(source: RemoteProcess, { filter, limitBytes, stream }: LogsRequest) {
    this.#source = source
    this.#limitBytes = limitBytes
    this.#left = limitBytes
    this.via = source.via
    this.stdin = new Writable({ write: (_chunk, _encoding, done) => done() })
    source.stdin.on('error', () => {}) // nobody writes there
    source.stdin.end()
    const cut = new Promise<ExitStatus>((resolve) => {
      this.#cut = () => resolve(CUT)
    })
    this.exit = Promise.race([source.exit, cut])
    this.exit.catch(() => {}) // whoever needs it awaits it
    this.stdout = this.#lane(stream === 'stderr' ? undefined : source.stdout, filter, false)
    this.stderr = this.#lane(stream === 'stdout' ? undefined : source.stderr, filter, true)
    for (const dropped of [stream === 'stderr' && source.stdout, stream === 'stdout' && source.stderr]) if (dropped) dropped.on('error', () => {}).resume() // `exit` says the same
    this.#endInOrder(stream === 'stderr' ? undefined : source.stdout, stream === 'stdout' ? undefined : source.stderr)
  }

  resize(): void {}
  kill(): void {}

  close(): Promise<void> {
    return this.#source.close()
  }

  facts(): Readonly<Record<string, string | number>> {
    return this.#isCut ? { cutAtBytes: this.#limitBytes } : {}
  }

  /** What is cut is told on stderr, which therefore ends last. */
  #endInOrder(out: Readable | undefined, err: Readable | undefined): void {
    const ended = (from: Readable | undefined) => (from ? new Promise<void>((resolve) => from.once('end', resolve)) : Promise.resolve())
    const outTaken = new Promise<void>((resolve) => this.stdout.once('finish', resolve))
    void ended(out).then(() => this.stdout.end())
    void Promise.all([ended(err), outTaken]).then(() => !this.#isCut && this.stderr.end())
    // a source that failed ends nothing
    this.exit.catch((error: Error) => {
      for (const lane of [this.stdout, this.stderr]) lane.destroy(error)
    })
  }

  #lane(from: Readable | undefined, filter: LogsRequest['filter'], tells: boolean): Transform {
    const lines = filter && new LineFilter(filter)
    const taken = (bytes: Buffer): Buffer => {
      const isFirstCut = !this.#isCut
      const part = this.#taken(bytes)
      return tells && isFirstCut && this.#isCut ? Buffer.concat([part, this.#notice()]) : part
    }
    const lane = new Transform({
      transform: (chunk: Buffer, _encoding, done) => done(null, taken(lines ? lines.push(chunk) : chunk)),
      flush: (done) => done(null, lines ? taken(lines.end()) : undefined),
    })
    lane.on('error', () => {}) // told to whoever reads
    if (from) {
      from.on('error', (error) => !this.#isCut && lane.destroy(error))
      from.pipe(lane, { end: false })
      this.#joined.push({ from, lane })
    }
    return lane
  }

  #taken(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#left)
    this.#left -= part.length
    if (part.length < bytes.length && !this.#isCut) {
      this.#isCut = true
      // not while a lane is at work: its own piece goes first
      setImmediate(() => this.#end())
    }
    return part
  }

  /** Once. */
  #notice(): Buffer {
    const text = this.#isTold ? '' : `dockin: the output ends here: its limit of ${sizeText(this.#limitBytes)} was reached\n`
    this.#isTold = true
    return Buffer.from(text)
  }

  /** Both lanes end with what they hold; the source is of no more use. */
  #end(): void {
    for (const { from, lane } of this.#joined) from.unpipe(lane)
    if (!this.#isTold) this.stderr.push(this.#notice())
    this.stdout.end()
    this.stderr.end()
    this.#cut()
    void this.#source.close()
  }
}

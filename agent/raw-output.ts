/** An output that is one lane: of a terminal, or of a pipe. Its source waits when the lane is full. */
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { OpsError } from '../src/core/errors.js'
import { LANE_BUFFER_BYTES } from './demux.js'

export class RawOutput {
  readonly stdout: Readable
  readonly #source: Readable
  #bytes = 0
  #ended = false

  /**
   * Reads `source` from now on; whoever made it destroys it.
   * @param rest what is left when the source says that it has ended
   */
  constructor(source: Readable, rest: () => Iterable<Buffer> = () => []) {
    this.#source = source
    this.stdout = new Readable({ highWaterMark: LANE_BUFFER_BYTES, read: () => this.#resume() })
    this.stdout.on('close', () => this.#resume())
    // Whoever reads the lane hears of its failure; a lane that nobody reads yet must not bring the agent down.
    this.stdout.on('error', () => {})
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => {
      if (!this.#ended) for (const chunk of rest()) this.#take(chunk)
      this.end()
    })
    source.on('error', (error: Error) => this.fail(broke(error)))
    source.on('close', () => this.fail(new OpsError('PROTOCOL_ERROR', 'An output closed before it ended')))
  }

  /** Bytes seen so far; with `isWaiting` it tells a quiet source from one that may not speak. */
  get bytes(): number {
    return this.#bytes
  }
  get isWaiting(): boolean {
    return this.#source.isPaused()
  }

  /** Ends the lane after what it holds. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.stdout.push(null)
  }

  fail(error: OpsError): void {
    if (this.#ended) return
    this.#ended = true
    this.stdout.destroy(error)
  }

  #take(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (!this.#ended && !this.stdout.destroyed && !this.stdout.push(chunk)) this.#source.pause()
  }

  #resume(): void {
    if (!this.#ended || this.stdout.destroyed) this.#source.resume()
  }
}

/** Output that is quiet for this long after its program has ended has ended too. */
const TAIL_QUIET_MS = 100

/**
 * Ends the output of a program that has ended, once what was on its way has come: a job in the background may hold the
 * terminal open for as long as it likes. A reader that is slow is waited for.
 * @param ended settles when the source ends by itself
 */
export async function endAfterTail(output: RawOutput, ended: Promise<void>): Promise<void> {
  let isOver = false
  const over = ended.then(() => {
    isOver = true
  })
  while (!isOver) {
    const before = output.bytes
    await Promise.race([sleep(TAIL_QUIET_MS), over])
    if (output.isWaiting || output.bytes !== before) continue
    output.end()
    return
  }
}

function broke(error: Error): OpsError {
  return new OpsError('PROTOCOL_ERROR', `An output broke: ${error.message}`, { cause: error })
}

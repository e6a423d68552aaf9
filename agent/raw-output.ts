/** The output of a program with a terminal: one lane, and a source that waits when the lane is full. */
import { Readable } from 'node:stream'
import { OpsError } from '../src/core/errors.js'
import { LANE_BUFFER_BYTES } from './demux.js'

export class RawOutput {
  readonly stdout: Readable
  readonly #source: Readable
  #bytes = 0
  #ended = false

  /**
   * Reads `source` from now on; whoever made it destroys it.
   * @param isEnd tells errors that are how this kind of source ends (EIO of a pty) from failures
   */
  constructor(source: Readable, isEnd: (error: Error) => boolean = () => false) {
    this.#source = source
    this.stdout = new Readable({ highWaterMark: LANE_BUFFER_BYTES, read: () => this.#resume() })
    this.stdout.on('close', () => this.#resume())
    // Whoever reads the lane hears of its failure; a lane that nobody reads yet must not bring the agent down.
    this.stdout.on('error', () => {})
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => this.end())
    source.on('error', (error: Error) => (isEnd(error) ? this.end() : this.fail(broke(error))))
    source.on('close', () => this.fail(new OpsError('PROTOCOL_ERROR', 'The terminal closed before its output ended')))
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

function broke(error: Error): OpsError {
  return new OpsError('PROTOCOL_ERROR', `The terminal broke: ${error.message}`, { cause: error })
}

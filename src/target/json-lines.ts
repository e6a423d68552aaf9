/**
 * Newline-delimited JSON as Kubernetes watches and docker events send it: bytes in any cut, values out.
 * Bounded: a line longer than the limit, or one that is no JSON object, ends the stream. Nothing is skipped, because
 * a lost event would leave a pod that is gone in the inventory, or a new one out of it.
 */
import { OpsError } from '../core/errors.js'

const NEWLINE = 0x0a
/** etcd refuses objects above 1.5 MiB; as JSON, with managedFields, a pod stays well below this. */
export const MAX_LINE_BYTES = 4 * 2 ** 20

/** An incremental reader; one for each stream. */
export class JsonLines {
  readonly #maxLineBytes: number
  /** Pieces of the line that is not complete yet: joined once, so that a line in many pieces costs linear time. */
  #pieces: Buffer[] = []
  #pendingBytes = 0

  constructor(maxLineBytes = MAX_LINE_BYTES) {
    this.#maxLineBytes = maxLineBytes
  }

  /** Bytes held of a line that has not ended. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /**
   * The objects whose lines end in `chunk`, in order, each parsed when it is asked for. Must be read to the end before the next push.
   * @throws OpsError PROTOCOL_ERROR for a line that is too long, or no JSON object; the reader is then of no more use
   */
  *push(chunk: Buffer): Generator<Readonly<Record<string, unknown>>> {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const line = this.#take(chunk.subarray(from, end))
      from = end + 1
      const value = parseLine(line)
      if (value !== undefined) yield value
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from))
  }

  #take(tail: Buffer): Buffer {
    this.#checkLength(tail.length)
    if (this.#pieces.length === 0) return tail
    const line = Buffer.concat([...this.#pieces, tail])
    this.#pieces = []
    this.#pendingBytes = 0
    return line
  }

  #hold(piece: Buffer): void {
    this.#checkLength(piece.length)
    // A copy: `piece` would keep the whole chunk of the socket alive. Small pieces are joined, so that a peer that sends
    // single bytes costs bytes and not objects.
    const last = this.#pieces.at(-1)
    if (last !== undefined && last.length < 4096) this.#pieces[this.#pieces.length - 1] = Buffer.concat([last, piece])
    else this.#pieces.push(Buffer.from(piece))
    this.#pendingBytes += piece.length
  }

  #checkLength(more: number): void {
    const length = this.#pendingBytes + more
    if (length > this.#maxLineBytes) throw new OpsError('PROTOCOL_ERROR', `read JSON line: longer than ${this.#maxLineBytes} bytes`)
  }
}

/** @returns undefined for a blank line, which some servers send to keep a connection alive */
function parseLine(line: Buffer): Readonly<Record<string, unknown>> | undefined {
  const text = line.toString('utf8').trim()
  if (text === '') return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new OpsError('PROTOCOL_ERROR', 'read JSON line: not JSON', { cause })
  }
  if (!isRecord(value)) throw new OpsError('PROTOCOL_ERROR', 'read JSON line: not an object')
  return value
}

/** A JSON object, and neither null nor an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Takes lines, single bytes and runs of bytes from a stream, in turn. */
import type { Readable } from 'node:stream'

export class LaneReader {
  readonly #source: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  /** Reads `source` only as far as it is asked to; does not end it. */
  constructor(source: Readable) {
    this.#source = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** One byte; undefined at the end. */
  async byte(): Promise<number | undefined> {
    if (!(await this.#fill())) return undefined
    const [byte] = this.#rest
    this.#rest = this.#rest.subarray(1)
    return byte
  }

  /**
   * A line without its newline; undefined at the end, also when the end comes amid a line.
   * @throws RangeError for a line longer than `maxBytes`
   */
  async line(maxBytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    let bytes = 0
    for (;;) {
      if (!(await this.#fill())) return undefined
      const end = this.#rest.indexOf(0x0a)
      const part = end < 0 ? this.#rest : this.#rest.subarray(0, end)
      bytes += part.length
      if (bytes > maxBytes) throw new RangeError(`a line of more than ${maxBytes} bytes`)
      parts.push(part)
      this.#rest = this.#rest.subarray(part.length + (end < 0 ? 0 : 1))
      if (end >= 0) return parts.length === 1 ? part : Buffer.concat(parts)
    }
  }

  /** What is there, at least one byte and at most `maxBytes`; undefined at the end. */
  async some(maxBytes: number): Promise<Buffer | undefined> {
    if (!(await this.#fill())) return undefined
    const taken = this.#rest.subarray(0, maxBytes)
    this.#rest = this.#rest.subarray(taken.length)
    return taken
  }

  async #fill(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next()
      if (done) return false
      this.#rest = value
    }
    return true
  }
}

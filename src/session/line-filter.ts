/** Lines of a stream of bytes that hold some texts and not others. Texts, not patterns: an expression could be made to take any time. */
import type { LogsFilter } from '../core/types.js'

const NEWLINE = 0x0a
/** A longer line is judged by its beginning, so that one without an end holds no more than this. */
const MAX_JUDGED_BYTES = 64 * 1024

/** Takes bytes in any cut, gives back those of the lines that pass. */
export class LineFilter {
  readonly #filter: LogsFilter
  readonly #grep: readonly Buffer[]
  readonly #exclude: readonly Buffer[]
  /** Of the line that has not ended. */
  #pieces: Buffer[] = []
  #heldBytes = 0
  /** What was decided of a line that is longer than what is judged. */
  #isPassing: boolean | undefined

  constructor(filter: LogsFilter) {
    this.#filter = filter
    const bytes = (texts: readonly string[]) => texts.map((text) => Buffer.from(filter.ignoreCase ? text.toLowerCase() : text))
    this.#grep = bytes(filter.grep)
    this.#exclude = bytes(filter.exclude)
  }

  push(chunk: Buffer): Buffer {
    if (this.#grep.length === 0 && this.#exclude.length === 0) return chunk
    const passed: Buffer[] = []
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      passed.push(...this.#line(chunk.subarray(from, end + 1)))
      from = end + 1
    }
    if (from < chunk.length) passed.push(...this.#part(chunk.subarray(from)))
    return Buffer.concat(passed)
  }

  /** What is left of a last line without an end. */
  end(): Buffer {
    return this.#heldBytes === 0 ? Buffer.alloc(0) : Buffer.concat(this.#line(Buffer.alloc(0)))
  }

  /** The rest of a line, up to its end. */
  #line(rest: Buffer): Buffer[] {
    const decided = this.#isPassing
    const line = [...this.#pieces, rest]
    this.#pieces = []
    this.#heldBytes = 0
    this.#isPassing = undefined
    return (decided ?? this.#passes(Buffer.concat(line))) ? line : []
  }

  /** A part of a line whose end is still to come. */
  #part(part: Buffer): Buffer[] {
    if (this.#isPassing !== undefined) return this.#isPassing ? [part] : []
    // a copy: the piece would keep the whole chunk alive
    this.#pieces.push(Buffer.from(part))
    this.#heldBytes += part.length
    if (this.#heldBytes < MAX_JUDGED_BYTES) return []
    const held = this.#pieces
    this.#isPassing = this.#passes(Buffer.concat(held))
    this.#pieces = []
    this.#heldBytes = 0
    return this.#isPassing ? held : []
  }

  #passes(line: Buffer): boolean {
    const bytes = this.#filter.ignoreCase ? Buffer.from(line.toString().toLowerCase()) : line
    return this.#grep.every((text) => bytes.includes(text)) && !this.#exclude.some((text) => bytes.includes(text))
  }
}

/**
 * asciicast v2 (docs.asciinema.org/manual/asciicast/v2): a header line, then one JSON array a line, `[seconds, code, data]`.
 * Codes here: `o` output, `i` input, `r` resize ("COLUMNSxROWS"), `m` marker; `e` is our own for stderr without a terminal.
 * A reader skips codes that it does not know.
 */
import { isUtf8 } from 'node:buffer'
import { StringDecoder } from 'node:string_decoder'
import { OpsError } from '../core/errors.js'

/** The first line of a recording. Other keys are kept as they are. */
export interface CastHeader {
  readonly version: 2
  readonly width: number
  readonly height: number
  /** Start, seconds since 1970. */
  readonly timestamp?: number
  readonly title?: string
  readonly command?: string
  readonly env?: Readonly<Record<string, string>>
  readonly [key: string]: unknown
}

export interface CastEvent {
  /** Since the start of the recording. */
  readonly seconds: number
  /** "o", "i", "r", "m", "e", or what another writer came up with. */
  readonly code: string
  readonly data: string
}

/** Longer lines are no recording of ours: chunks of output are at most a few hundred KiB. */
const MAX_LINE_BYTES = 32 * 1024 * 1024
const NEWLINE = 0x0a

/** The header as a line. */
export function castHeaderLine(header: CastHeader): string {
  return `${JSON.stringify(header)}\n`
}

/** An event as a line. @param seconds since the start; printed to the millisecond */
export function castEventLine(seconds: number, code: string, data: string): string {
  return `[${Math.round(seconds * 1000) / 1000},"${code}",${JSON.stringify(data)}]\n`
}

/**
 * The same line for data that is UTF-8 already. Looked at as latin1 every byte is a character, JSON escapes only what is ASCII,
 * and so the bytes beyond come through untouched at the price of one-byte text.
 */
export function castEventBytes(seconds: number, code: string, utf8: Buffer): Buffer {
  return Buffer.from(castEventLine(seconds, code, utf8.toString('latin1')), 'latin1')
}

/** "80x24", the data of an `r` event. */
export function castSize(columns: number, rows: number): string {
  return `${columns}x${rows}`
}

/** Reads the data of an `r` event; undefined when it is none. */
export function parseCastSize(data: string): { readonly columns: number; readonly rows: number } | undefined {
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(data)
  return match ? { columns: Number(match[1]), rows: Number(match[2]) } : undefined
}

/**
 * Bytes to text across chunk edges: what a chunk ends with in the middle of a character waits for the next one (3 bytes at
 * most); bytes that are not UTF-8 become U+FFFD.
 */
export class TextDecoding {
  readonly #decoder = new StringDecoder('utf8')

  /** @returns the characters that are complete; "" while there is none */
  push(bytes: Buffer): string {
    return this.#decoder.write(bytes)
  }

  /** What was left over, as U+FFFD. */
  end(): string {
    return this.#decoder.end()
  }
}

/**
 * Like TextDecoding, but bytes to bytes: whole characters of valid UTF-8. Checking is far cheaper than decoding (9 GB/s against
 * 250 MB/s of CPU for text beyond ASCII), and a recorder needs no more.
 */
export class WholeCharacters {
  #carry: Buffer | undefined

  /** @returns the characters that are complete, a view of `bytes` where it can be; empty while there is none */
  push(bytes: Buffer): Buffer {
    const all = this.#carry ? Buffer.concat([this.#carry, bytes]) : bytes
    const cut = all.length - incompleteTail(all)
    this.#carry = cut < all.length ? Buffer.from(all.subarray(cut)) : undefined
    return valid(all.subarray(0, cut))
  }

  /** What was left over, as U+FFFD. */
  end(): Buffer {
    const rest = this.#carry ? valid(this.#carry) : Buffer.alloc(0)
    this.#carry = undefined
    return rest
  }
}

function valid(bytes: Buffer): Buffer {
  return isUtf8(bytes) ? bytes : Buffer.from(bytes.toString('utf8'))
}

/** How many bytes at the end begin a character that may still be completed (RFC 3629 s3). */
function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const needs = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1
    return needs > back ? back : 0
  }
  return 0
}

/**
 * Reads a recording as it comes. The header is checked; a last line without its end (a recording that was cut by a crash) is
 * left out and told by `torn`.
 */
export class CastParser {
  #header: CastHeader | undefined
  #parts: Buffer[] = []
  #partBytes = 0
  #lines = 0
  #torn = false

  /** Undefined until the first line was read. */
  get header(): CastHeader | undefined {
    return this.#header
  }

  /** Whether the last line had no end. Known after `end()`. */
  get torn(): boolean {
    return this.#torn
  }

  /** @throws OpsError BAD_REQUEST naming the line that is not asciicast v2 */
  push(chunk: Buffer): readonly CastEvent[] {
    const events: CastEvent[] = []
    let from = 0
    for (let newline = chunk.indexOf(NEWLINE); newline >= 0; newline = chunk.indexOf(NEWLINE, from)) {
      const event = this.#line(this.#take(chunk.subarray(from, newline)))
      if (event) events.push(event)
      from = newline + 1
    }
    this.#keep(chunk.subarray(from))
    return events
  }

  /** @throws OpsError BAD_REQUEST when not even a header came */
  end(): void {
    this.#torn = this.#partBytes > 0
    if (!this.#header) throw new OpsError('BAD_REQUEST', 'Cannot read recording: it has no header')
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#parts.push(bytes)
    this.#partBytes += bytes.length
    if (this.#partBytes > MAX_LINE_BYTES) throw this.#bad(`longer than ${MAX_LINE_BYTES} bytes`)
  }

  #take(last: Buffer): string {
    if (this.#parts.length === 0) return last.toString('utf8')
    const line = Buffer.concat([...this.#parts, last]).toString('utf8')
    this.#parts = []
    this.#partBytes = 0
    return line
  }

  #line(text: string): CastEvent | undefined {
    this.#lines++
    if (text.trim() === '') return undefined
    const value = this.#json(text)
    if (this.#header) return this.#event(value)
    if (!isHeader(value)) throw this.#bad('not the header of asciicast v2')
    this.#header = value
    return undefined
  }

  #json(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch (error) {
      throw this.#bad((error as Error).message)
    }
  }

  #event(value: unknown): CastEvent {
    if (!Array.isArray(value)) throw this.#bad('not an event')
    const [seconds, code, data] = value as readonly unknown[]
    if (typeof seconds !== 'number' || seconds < 0 || typeof code !== 'string' || typeof data !== 'string') throw this.#bad('not an event')
    return { seconds, code, data }
  }

  #bad(why: string): OpsError {
    return new OpsError('BAD_REQUEST', `Cannot read recording: line ${this.#lines}: ${why}`)
  }
}

/** The events of a whole recording; its header comes through `onHeader` before the first of them. */
export async function* readCast(source: AsyncIterable<Buffer>, onHeader?: (header: CastHeader) => void): AsyncGenerator<CastEvent> {
  const parser = new CastParser()
  let told = false
  for await (const chunk of source) {
    const events = parser.push(chunk)
    if (!told && parser.header) {
      told = true
      onHeader?.(parser.header)
    }
    yield* events
  }
  parser.end()
}

function isHeader(value: unknown): value is CastHeader {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { version, width, height } = value as Record<string, unknown>
  return version === 2 && isCells(width) && isCells(height)
}

function isCells(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 100_000
}

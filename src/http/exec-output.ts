/** What a program wrote, kept for an answer or printed as it comes: text where it is text, base64 where it is not. */
import { isUtf8 } from 'node:buffer'

/** The first `maxBytes` of one output; what is more is counted and dropped. */
export class KeptOutput {
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #kept = 0
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }
  get truncated(): boolean {
    return this.#bytes > this.#maxBytes
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    const part = chunk.subarray(0, this.#maxBytes - this.#kept)
    if (part.length === 0) return
    this.#kept += part.length
    this.#chunks.push(part)
  }

  /** A character that the cap cut in two is left out, so that text stays text. */
  content(): { readonly text: string } | { readonly base64: string } {
    const all = Buffer.concat(this.#chunks, this.#kept)
    const whole = this.truncated ? all.subarray(0, all.length - openEnd(all)) : all
    return isUtf8(whole) ? { text: whole.toString() } : { base64: all.toString('base64') }
  }
}

/** Pieces of one output for a line each: characters that chunks cut in two are joined, bytes that are no text go as base64. */
export class OutputPieces {
  #rest: Buffer = Buffer.alloc(0)

  /** @returns undefined while there is nothing whole to say */
  next(chunk: Buffer): { readonly data: string } | { readonly base64: string } | undefined {
    const joined = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const cut = joined.length - openEnd(joined)
    const whole = joined.subarray(0, cut)
    this.#rest = Buffer.from(joined.subarray(cut))
    if (whole.length === 0) return undefined
    return isUtf8(whole) ? { data: whole.toString() } : { base64: whole.toString('base64') }
  }

  /** What is left when the output ends. */
  last(): { readonly base64: string } | undefined {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    return rest.length === 0 ? undefined : { base64: rest.toString('base64') }
  }
}

/** Bytes at the end that begin a UTF-8 character and do not complete it: 0 to 3. */
function openEnd(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}

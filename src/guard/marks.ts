/**
 * Finds our own marks in a terminal's output and takes them out of it.
 *
 * Two kinds: `ESC ] 7777 ; P BEL`, the prompt of the guarded shell, whose digits P the user may know (it is a variable
 * of the shell) and which therefore only hints; and `ESC ] 7777 ; N ; payload ; N BEL`, whose digits N were made for one
 * line and which nobody could print before. Digits and not hexadecimal, so that `stty olcuc` leaves them alone.
 */
import { timingSafeEqual } from 'node:crypto'

const INTRO = Buffer.from('\x1b]7777;')
const ESC = 0x1b
const BEL = 0x07
const SEMICOLON = 0x3b
/** Decimal digits of a nonce: 106 bits. */
export const NONCE_DIGITS = 32
/** Longest payload: a directory and what was left in a terminal's queue, with room. */
const MAX_PAYLOAD_BYTES = 128 * 1024
const HEADER_BYTES = INTRO.length + NONCE_DIGITS + 1

export type MarkEvent =
  | { readonly kind: 'output'; readonly bytes: Buffer }
  | { readonly kind: 'prompt' }
  /** `payload` is undefined when it was too long to be ours. */
  | { readonly kind: 'mark'; readonly nonce: string; readonly payload: Buffer | undefined }

interface Expected {
  readonly nonce: string
  readonly digits: Buffer
}

/** Feed output with `push`; what is not ours comes out unchanged and in order. Forged marks are only output. */
export class MarkScanner {
  readonly #prompt: Buffer
  #expected: readonly Expected[] = []
  /** The start of what may be a mark, until the rest of it comes. Less than a header. */
  #held: Buffer = Buffer.alloc(0)
  /** The mark whose payload is arriving. */
  #open: { readonly nonce: string; readonly end: Buffer; readonly parts: Buffer[]; bytes: number } | undefined

  constructor(promptNonce: string) {
    this.#prompt = Buffer.from(promptNonce)
  }

  /** From now on a mark with `nonce` is ours; once. */
  expect(nonce: string): void {
    this.#expected = [...this.#expected, { nonce, digits: Buffer.from(nonce) }]
  }

  /** A mark with `nonce` is output from now on. */
  forget(nonce: string): void {
    this.#expected = this.#expected.filter((expected) => expected.nonce !== nonce)
  }

  push(chunk: Buffer): MarkEvent[] {
    // The way of bulk output: nothing held, no ESC, nothing copied.
    if (this.#held.length === 0 && this.#open === undefined && chunk.indexOf(ESC) < 0) return chunk.length === 0 ? [] : [{ kind: 'output', bytes: chunk }]
    const events: MarkEvent[] = []
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = Buffer.alloc(0)
    while (bytes.length > 0) bytes = this.#open ? this.#collect(bytes, events) : this.#scan(bytes, events)
    return events
  }

  /** What was held back in case it became a mark; at the end of output, or before something is drawn. */
  flush(): Buffer {
    const held = this.#held
    this.#held = Buffer.alloc(0)
    return held
  }

  /** Passes output on up to the next mark; answers what is left to look at. */
  #scan(bytes: Buffer, events: MarkEvent[]): Buffer {
    let from = 0
    for (;;) {
      const at = bytes.indexOf(INTRO, from)
      if (at < 0) return this.#keepTail(bytes, events)
      if (bytes.length - at < HEADER_BYTES && this.#couldBeHeader(bytes.subarray(at + INTRO.length))) {
        output(events, bytes.subarray(0, at))
        this.#held = Buffer.from(bytes.subarray(at))
        return Buffer.alloc(0)
      }
      const header = this.#headerAt(bytes, at)
      if (header !== undefined) {
        output(events, bytes.subarray(0, at))
        if (header === 'prompt') events.push({ kind: 'prompt' })
        else this.#open = { nonce: header, end: Buffer.from(`;${header}\x07`), parts: [], bytes: 0 }
        // The payload keeps its first semicolon, so that an empty one still has its end mark.
        return bytes.subarray(at + HEADER_BYTES - (header === 'prompt' ? 0 : 1))
      }
      from = at + 1
    }
  }

  #couldBeHeader(rest: Buffer): boolean {
    return rest.subarray(0, NONCE_DIGITS).every((byte) => byte >= 0x30 && byte <= 0x39)
  }

  #headerAt(bytes: Buffer, at: number): 'prompt' | string | undefined {
    const digits = bytes.subarray(at + INTRO.length, at + INTRO.length + NONCE_DIGITS)
    const end = bytes[at + HEADER_BYTES - 1]
    if (digits.length !== NONCE_DIGITS) return undefined
    if (end === BEL) return timingSafeEqual(digits, this.#prompt) ? 'prompt' : undefined
    if (end !== SEMICOLON) return undefined
    // Every one is compared, each in constant time: how long it takes says nothing about how near a guess was.
    let found: Expected | undefined
    for (const expected of this.#expected) if (timingSafeEqual(digits, expected.digits)) found = expected
    if (found === undefined) return undefined
    const nonce = found.nonce
    this.#expected = this.#expected.filter((expected) => expected.nonce !== nonce)
    return nonce
  }

  /** The end of a chunk may be the start of an intro. */
  #keepTail(bytes: Buffer, events: MarkEvent[]): Buffer {
    const at = bytes.lastIndexOf(ESC)
    const isStart = at >= 0 && bytes.length - at < INTRO.length && INTRO.subarray(0, bytes.length - at).equals(bytes.subarray(at))
    output(events, isStart ? bytes.subarray(0, at) : bytes)
    if (isStart) this.#held = Buffer.from(bytes.subarray(at))
    return Buffer.alloc(0)
  }

  #collect(bytes: Buffer, events: MarkEvent[]): Buffer {
    const open = this.#open
    if (!open) return bytes
    const before = open.parts.at(-1) ?? Buffer.alloc(0)
    const whole = before.length === 0 ? bytes : Buffer.concat([before, bytes])
    const end = whole.indexOf(open.end)
    if (end >= 0) {
      open.parts[Math.max(0, open.parts.length - 1)] = whole.subarray(0, end)
      this.#open = undefined
      const payload = Buffer.concat(open.parts)
      events.push({ kind: 'mark', nonce: open.nonce, payload: payload.subarray(1) })
      return whole.subarray(end + open.end.length)
    }
    open.bytes += bytes.length
    if (open.bytes > MAX_PAYLOAD_BYTES) {
      this.#open = undefined
      events.push({ kind: 'mark', nonce: open.nonce, payload: undefined })
      return Buffer.alloc(0)
    }
    // The last part stays long enough that an end mark cut by a chunk is found when it is joined with the next.
    if (open.parts.length > 0) open.parts.pop()
    const settled = Math.max(0, whole.length - open.end.length)
    if (settled > 0) open.parts.push(Buffer.from(whole.subarray(0, settled)))
    open.parts.push(Buffer.from(whole.subarray(settled)))
    return Buffer.alloc(0)
  }
}

function output(events: MarkEvent[], bytes: Buffer): void {
  if (bytes.length > 0) events.push({ kind: 'output', bytes })
}

/**
 * Bytes of a terminal's keyboard -> key events, one at a time.
 *
 * Pulled event by event and not chunk by chunk: what follows an Enter may belong to the program which that Enter starts,
 * so whatever was not yet decoded must stay available as the bytes it was (`take`).
 */

/** One thing a person did. Names are readline's: `C-a`, `M-b`, `up`, `enter`. */
export type Key =
  /** Printable characters, as many as arrived together. Never holds C0, DEL or C1. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'key'; readonly name: string }
  /** Ctrl-V and the character after it; CR has become a newline. May be a control character: the line is then refused at Enter. */
  | { readonly kind: 'quoted'; readonly text: string }
  /** A bracketed paste: newlines are \n, tabs kept, other control characters gone (`refused`). `overflow`: it was longer than the limit. */
  | { readonly kind: 'paste'; readonly text: string; readonly refused: boolean; readonly overflow: boolean }
  /** Bytes that are no key: NUL, invalid UTF-8, an unknown or endless sequence. */
  | { readonly kind: 'refused' }

/** Longest CSI or SS3 sequence that is waited for, bytes. Real ones have less than 20. */
const MAX_SEQUENCE = 64
/** A paste beyond this many bytes is only counted, not kept. The line's own limit is the same. */
export const MAX_PASTE_BYTES = 64 * 1024

const ESC = 0x1b
const PASTE_END = Buffer.from('\x1b[201~')

const C0_NAMES: Readonly<Record<number, string>> = {
  8: 'backspace',
  9: 'tab',
  10: 'enter',
  13: 'enter',
  28: 'C-\\',
  29: 'C-]',
  30: 'C-^',
  31: 'C-_',
  127: 'backspace',
}

/** Final part of CSI (xterm ctlseqs "PC-Style Function Keys"; rxvt and linux console where they differ). */
const CSI_NAMES: Readonly<Record<string, string>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  H: 'home',
  F: 'end',
  Z: 'S-tab',
  '1~': 'home',
  '7~': 'home',
  '4~': 'end',
  '8~': 'end',
  '2~': 'insert',
  '3~': 'delete',
  '5~': 'page-up',
  '6~': 'page-down',
}
const SS3_NAMES: Readonly<Record<string, string>> = { A: 'up', B: 'down', C: 'right', D: 'left', H: 'home', F: 'end', M: 'enter' }

/** Length of the UTF-8 sequence that `lead` opens; 0 when it opens none (RFC 3629 s4). */
function utf8Length(lead: number): number {
  if (lead < 0x80) return 1
  if (lead >= 0xc2 && lead <= 0xdf) return 2
  if (lead >= 0xe0 && lead <= 0xef) return 3
  if (lead >= 0xf0 && lead <= 0xf4) return 4
  return 0
}

/** Bytes of `bytes` at `at` that are one valid character; 0 invalid, -1 cut off by the end. */
function utf8At(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0
  const length = utf8Length(lead)
  if (length < 2) return length
  const second = bytes[at + 1]
  if (second === undefined) return -1
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) return 0
  if (lead === 0xc2 && second < 0xa0) return 0 // C1 control characters: a terminal could act on them
  for (let i = 2; i < length; i++) {
    const next = bytes[at + i]
    if (next === undefined) return -1
    if ((next & 0xc0) !== 0x80) return 0
  }
  return length
}

/** Modifier parameter of xterm: 1 + shift 1 + alt 2 + ctrl 4. */
function modified(name: string, modifier: number): string {
  const bits = modifier - 1
  return `${bits & 4 ? 'C-' : ''}${bits & 2 ? 'M-' : ''}${name}`
}

function csiKey(body: string): Key {
  const final = body.slice(-1)
  const parameters = body.slice(0, -1).split(';')
  const base = final === '~' ? CSI_NAMES[`${parameters[0] ?? ''}~`] : CSI_NAMES[final]
  if (base === undefined || !/^[0-9;]*$/.test(body.slice(0, -1))) return { kind: 'refused' }
  const modifier = Number(parameters[1] ?? '1')
  return { kind: 'key', name: modifier > 1 && modifier <= 8 ? modified(base, modifier) : base }
}

/** What a paste becomes in the line: newlines unified, everything that is no text taken out. */
function pasted(bytes: Buffer, overflow: boolean): Key {
  const text = bytes.toString('utf8').replace(/\r\n?/g, '\n')
  const clean = text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]/g, '')
  return { kind: 'paste', text: clean, refused: clean.length !== text.length, overflow }
}

/** Feed bytes with `feed`, pull keys with `next` until it answers undefined. */
export class KeyDecoder {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** Chunks of the paste that is open; undefined outside of one. */
  #paste: Buffer[] | undefined
  #pasteBytes = 0
  #pasteOverflow = false

  feed(chunk: Buffer): void {
    const rest = this.#bytes.length - this.#at
    this.#bytes = rest === 0 ? chunk : Buffer.concat([this.#bytes.subarray(this.#at), chunk])
    this.#at = 0
  }

  /** Bytes fed and not yet decoded. */
  get pending(): number {
    return this.#bytes.length - this.#at
  }

  /** True while a lone ESC waits for what may follow it; the caller calls `settle` after 50 ms. */
  get escaping(): boolean {
    return this.#paste === undefined && this.pending === 1 && this.#bytes[this.#at] === ESC
  }

  /** The lone ESC was the Escape key: it is taken, and means nothing to the editor but "end the search". */
  settle(): Key | undefined {
    if (!this.escaping) return undefined
    this.#at += 1
    return { kind: 'key', name: 'escape' }
  }

  /** Takes every undecoded byte back: they belong to somebody else. An open paste stays open. */
  take(): Buffer {
    const rest = this.#bytes.subarray(this.#at)
    this.#bytes = Buffer.alloc(0)
    this.#at = 0
    return rest
  }

  /** The next key; undefined when more bytes are needed. */
  next(): Key | undefined {
    if (this.#paste !== undefined) return this.#nextOfPaste()
    const lead = this.#bytes[this.#at]
    if (lead === undefined) return undefined
    if (lead === ESC) return this.#escape()
    if (lead === 0x16) return this.#quoted()
    if (lead < 0x20 || lead === 0x7f) {
      this.#at += 1
      if (lead === 0) return { kind: 'refused' }
      return { kind: 'key', name: C0_NAMES[lead] ?? `C-${String.fromCharCode(lead + 0x60)}` }
    }
    return this.#text()
  }

  #text(): Key | undefined {
    let end = this.#at
    while (end < this.#bytes.length) {
      const byte = this.#bytes[end] ?? 0
      if (byte < 0x20 || byte === 0x7f) break
      const length = byte < 0x80 ? 1 : utf8At(this.#bytes, end)
      if (length <= 0) break
      end += length
    }
    if (end === this.#at) {
      if (utf8At(this.#bytes, end) < 0) return undefined // cut by the chunk: the rest is on its way
      this.#at += 1
      return { kind: 'refused' }
    }
    const text = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end
    return { kind: 'text', text }
  }

  #quoted(): Key | undefined {
    const byte = this.#bytes[this.#at + 1]
    if (byte === undefined) return undefined
    const length = utf8At(this.#bytes, this.#at + 1)
    if (length < 0) return undefined
    const from = this.#at + 1
    this.#at = from + Math.max(1, length)
    if (length === 0 || byte === 0) return { kind: 'refused' }
    if (byte === 13) return { kind: 'quoted', text: '\n' }
    return { kind: 'quoted', text: this.#bytes.toString('utf8', from, from + length) }
  }

  #escape(): Key | undefined {
    const second = this.#bytes[this.#at + 1]
    if (second === undefined) return undefined
    if (second === 0x5b) return this.#csi(2)
    if (second === 0x4f) return this.#ss3()
    if (second === ESC) {
      // Alt with an arrow on some terminals is ESC ESC [ A; otherwise the first ESC was a key of its own.
      if (this.#bytes[this.#at + 2] === undefined) return undefined
      this.#at += 1
      return { kind: 'key', name: 'escape' }
    }
    if (second < 0x20 || second === 0x7f) {
      this.#at += 2
      return { kind: 'key', name: `M-${C0_NAMES[second] ?? `C-${String.fromCharCode(second + 0x60)}`}` }
    }
    const length = utf8At(this.#bytes, this.#at + 1)
    if (length < 0) return undefined
    const from = this.#at + 1
    this.#at = from + Math.max(1, length)
    return length === 1 ? { kind: 'key', name: `M-${String.fromCharCode(second).toLowerCase()}` } : { kind: 'refused' }
  }

  /** CSI: parameters 0x30-0x3f, intermediates 0x20-0x2f, one final byte (ECMA-48 s5.4). */
  #csi(skip: number): Key | undefined {
    let end = this.#at + skip
    while (end < this.#bytes.length) {
      const byte = this.#bytes[end] ?? 0
      if (byte >= 0x40 && byte <= 0x7e) return this.#finishCsi(end + 1, skip)
      if (byte < 0x20 || byte > 0x3f || end - this.#at > MAX_SEQUENCE) {
        // Broken off: the byte that broke it is a key of its own, so that Ctrl-C always works.
        this.#at = end
        return { kind: 'refused' }
      }
      end += 1
    }
    return undefined
  }

  #finishCsi(end: number, skip: number): Key | undefined {
    const body = this.#bytes.toString('latin1', this.#at + skip, end)
    if (body === '[') {
      // Linux console function keys: ESC [ [ A
      if (this.#bytes[end] === undefined) return undefined
      this.#at = end + 1
      return { kind: 'refused' }
    }
    this.#at = end
    if (body === '200~') {
      this.#paste = []
      this.#pasteBytes = 0
      this.#pasteOverflow = false
      return this.#nextOfPaste()
    }
    if (body === '201~') return { kind: 'refused' }
    return csiKey(body)
  }

  #ss3(): Key | undefined {
    const third = this.#bytes[this.#at + 2]
    if (third === undefined) return undefined
    this.#at += third < 0x20 ? 2 : 3
    const name = SS3_NAMES[String.fromCharCode(third)]
    return name === undefined ? { kind: 'refused' } : { kind: 'key', name }
  }

  #nextOfPaste(): Key | undefined {
    const end = this.#bytes.indexOf(PASTE_END, this.#at)
    // What could be the start of the end mark stays behind for the next chunk.
    const upTo = end >= 0 ? end : Math.max(this.#at, this.#bytes.length - this.#endMarkPrefix())
    this.#keep(this.#bytes.subarray(this.#at, upTo))
    this.#at = upTo
    if (end < 0) return undefined
    this.#at = end + PASTE_END.length
    const bytes = Buffer.concat(this.#paste ?? [])
    this.#paste = undefined
    return pasted(bytes, this.#pasteOverflow)
  }

  #keep(part: Buffer): void {
    if (part.length === 0 || this.#paste === undefined) return
    if (this.#pasteBytes + part.length > MAX_PASTE_BYTES) {
      this.#pasteOverflow = true
      return
    }
    this.#pasteBytes += part.length
    this.#paste.push(Buffer.from(part))
  }

  #endMarkPrefix(): number {
    const tail = this.#bytes.subarray(Math.max(this.#at, this.#bytes.length - PASTE_END.length + 1))
    for (let n = Math.min(tail.length, PASTE_END.length - 1); n > 0; n--) {
      if (tail.subarray(tail.length - n).equals(PASTE_END.subarray(0, n))) return n
    }
    return 0
  }
}

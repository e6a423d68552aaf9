/** Bytes of a terminal -> keys of the picker (pure). xterm control sequences; ECMA-48 s5.4 for their form. */

export type KeyName =
  | 'up'
  | 'down'
  | 'pageUp'
  | 'pageDown'
  | 'home'
  | 'end'
  | 'enter'
  /** Esc: one step back. */
  | 'back'
  /** Ctrl-C, Ctrl-D: out of the picker. */
  | 'leave'
  | 'erase'
  | 'eraseWord'
  | 'eraseAll'
  | 'redraw'
  /** A sequence that means nothing here. */
  | 'ignored'
export type Key = { readonly name: KeyName } | { readonly name: 'text'; readonly text: string }
export interface KeyRead {
  readonly key: Key
  /** How many bytes it took; at least 1. What follows belongs to whoever reads next. */
  readonly bytes: number
}

const CONTROL: Readonly<Record<number, KeyName>> = {
  3: 'leave',
  4: 'leave',
  8: 'erase',
  10: 'enter',
  12: 'redraw',
  13: 'enter',
  14: 'down',
  16: 'up',
  21: 'eraseAll',
  23: 'eraseWord',
  127: 'erase',
}
/** Last byte of CSI and SS3 sequences. */
const FINAL: Readonly<Record<string, KeyName>> = { A: 'up', B: 'down', H: 'home', F: 'end' }
/** First parameter of CSI … ~: VT220 and rxvt. */
const TILDE: Readonly<Record<string, KeyName>> = { 1: 'home', 4: 'end', 5: 'pageUp', 6: 'pageDown', 7: 'home', 8: 'end' }
const ESC = 0x1b
/** No key sends a longer sequence; what pretends to be one is thrown away piece by piece. */
const MAX_SEQUENCE_BYTES = 32

/**
 * Reads the first key of `bytes`.
 * @param complete nothing more is on its way: a lone Esc is then the key itself
 * @returns undefined when the key is not complete yet (or `bytes` is empty)
 */
export function readKey(bytes: Uint8Array, complete: boolean): KeyRead | undefined {
  const first = bytes[0]
  if (first === undefined) return undefined
  if (first === ESC) return readEscape(bytes, complete)
  if (first < 0x20 || first === 0x7f) return { key: { name: CONTROL[first] ?? 'ignored' }, bytes: 1 }
  return readText(bytes, complete)
}

function readEscape(bytes: Uint8Array, complete: boolean): KeyRead | undefined {
  const second = bytes[1]
  if (second === undefined) return complete ? named('back', 1) : undefined
  if (second === ESC) return named('back', 1)
  // Alt and a key: it may be any length of character, so only the Esc is taken here, with the key after it.
  if (second !== 0x5b && second !== 0x4f) {
    const after = readKey(bytes.subarray(1), complete)
    return after && named('ignored', 1 + after.bytes)
  }
  return second === 0x4f ? readSs3(bytes, complete) : readCsi(bytes, complete)
}

function readSs3(bytes: Uint8Array, complete: boolean): KeyRead | undefined {
  const final = bytes[2]
  if (final === undefined) return complete ? named('ignored', 2) : undefined
  return named(FINAL[String.fromCharCode(final)] ?? 'ignored', 3)
}

/** CSI, parameters 0x30-0x3f, intermediates 0x20-0x2f, one final byte 0x40-0x7e. */
function readCsi(bytes: Uint8Array, complete: boolean): KeyRead | undefined {
  for (let i = 2; i < Math.min(bytes.length, MAX_SEQUENCE_BYTES); i++) {
    const byte = bytes[i] ?? 0
    if (byte >= 0x20 && byte <= 0x3f) continue
    // Not a sequence after all: what broke it is read for itself.
    if (byte < 0x40 || byte > 0x7e) return named('ignored', i)
    const final = String.fromCharCode(byte)
    const parameter = String.fromCharCode(...bytes.subarray(2, i)).split(';')[0] ?? ''
    return named((final === '~' ? TILDE[parameter] : FINAL[final]) ?? 'ignored', i + 1)
  }
  return complete || bytes.length >= MAX_SEQUENCE_BYTES ? named('ignored', Math.min(bytes.length, MAX_SEQUENCE_BYTES)) : undefined
}

/** One UTF-8 character; controls, format characters and broken bytes are nothing that could be searched for. */
function readText(bytes: Uint8Array, complete: boolean): KeyRead | undefined {
  const length = utf8Length(bytes[0] ?? 0)
  if (length === 0) return named('ignored', 1)
  if (bytes.length < length) return complete ? named('ignored', bytes.length) : undefined
  const text = new TextDecoder().decode(bytes.subarray(0, length))
  if (text.includes('\ufffd')) return named('ignored', 1)
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text)) return named('ignored', length)
  return { key: { name: 'text', text }, bytes: length }
}

/** RFC 3629 s3; 0 for a byte that begins no character. */
function utf8Length(byte: number): number {
  if (byte < 0x80) return 1
  if (byte >= 0xc2 && byte <= 0xdf) return 2
  if (byte >= 0xe0 && byte <= 0xef) return 3
  return byte >= 0xf0 && byte <= 0xf4 ? 4 : 0
}

function named(name: KeyName, bytes: number): KeyRead {
  return { key: { name }, bytes }
}

/** The part of DER (ITU-T X.690) that X.509 certificates are made of: writing, and taking apart what was written. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const
/** Context-specific class, and the bit of a constructed value; X.690 s8.1.2. */
const CONTEXT = 0x80
const CONSTRUCTED = 0x20
/** A longer length field than this would mean more than 4 GiB. */
const LENGTH_BYTES = 4

/** One value as it stands in its parent. */
export interface DerElement {
  readonly tag: number
  readonly content: Buffer
  /** Tag, length and content. */
  readonly bytes: Buffer
}

function encode(tag: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(tag), encodeLength(content.length), content])
}

/** X.690 s8.1.3: one byte up to 127, else the number of bytes that follow, then those. */
function encodeLength(bytes: number): Buffer {
  return bytes < 0x80 ? Buffer.of(bytes) : ((digits) => Buffer.concat([Buffer.of(0x80 | digits.length), digits]))(bigEndian(BigInt(bytes)))
}

/** Shortest big-endian bytes of a number that is not negative; at least one. */
function bigEndian(number: bigint): Buffer {
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return encode(TAG.sequence, Buffer.concat(parts))
}

/** SET OF: its members are written in the order of their bytes (X.690 s11.6). */
export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return encode(TAG.set, Buffer.concat(parts.toSorted(Buffer.compare)))
}

export function boolean(is: boolean): Buffer {
  return encode(TAG.boolean, Buffer.of(is ? 0xff : 0))
}

/** @throws RangeError for a negative number, which no certificate has */
export function integer(number: number | bigint): Buffer {
  if (number < 0) throw new RangeError(`${number} is negative`)
  const bytes = bigEndian(BigInt(number))
  // Two's complement: a first bit of 1 would be a sign.
  return encode(TAG.integer, (bytes[0] as number) & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes)
}

/** Whole bytes: keys and signatures. */
export function bitString(bytes: Uint8Array): Buffer {
  return encode(TAG.bitString, Buffer.concat([Buffer.of(0), bytes]))
}

/** Numbered flags, 0 the first bit; DER leaves out what follows the last that is set (X.690 s11.2.2). */
export function namedBits(...numbers: readonly number[]): Buffer {
  const last = Math.max(-1, ...numbers)
  const bytes = Buffer.alloc(Math.ceil((last + 1) / 8))
  for (const number of numbers) bytes[number >> 3] = (bytes[number >> 3] as number) | (0x80 >> (number & 7))
  return encode(TAG.bitString, Buffer.concat([Buffer.of(bytes.length * 8 - last - 1), bytes]))
}

export function octetString(bytes: Uint8Array): Buffer {
  return encode(TAG.octetString, bytes)
}

/** "1.2.840.10045.4.3.2"; X.690 s8.19. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return encode(TAG.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

function base128(number: number): number[] {
  const digits = [number % 128]
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift(0x80 | (rest % 128))
  return digits
}

export function utf8String(text: string): Buffer {
  return encode(TAG.utf8String, Buffer.from(text, 'utf8'))
}

/** Whole seconds, UTC; two-digit years until 2049, four after that (RFC 5280 s4.1.2.5). @throws RangeError outside 1950 to 9999 */
export function time(date: Date): Buffer {
  const year = date.getUTCFullYear()
  if (!(year >= 1950 && year <= 9999)) throw new RangeError(`${String(date)} cannot be written into a certificate`)
  const digits = date.toISOString().replace(/\..*|[-:T]/g, '')
  return year < 2050 ? encode(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`)) : encode(TAG.generalizedTime, Buffer.from(`${digits}Z`))
}

/** `[number] EXPLICIT`: a constructed value around another. */
export function explicit(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return encode(CONTEXT | CONSTRUCTED | number, Buffer.concat(parts))
}

/** `[number] IMPLICIT` of a primitive: the tag in place of its own. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return encode(CONTEXT | number, content)
}

/**
 * The values that stand one after the other in `bytes`: a certificate, or the content of a constructed value.
 * @throws RangeError for what is not DER: a value that is cut off, an indefinite or oversized length
 */
export function elements(bytes: Buffer): DerElement[] {
  const found: DerElement[] = []
  for (let at = 0; at < bytes.length; ) {
    const { header, length } = readLength(bytes, at)
    const end = at + header + length
    if (end > bytes.length) throw new RangeError('Not DER: a value is cut off')
    found.push({ tag: bytes[at] as number, content: bytes.subarray(at + header, end), bytes: bytes.subarray(at, end) })
    at = end
  }
  return found
}

/** @returns bytes of tag and length together, and the length */
function readLength(bytes: Buffer, at: number): { readonly header: number; readonly length: number } {
  const first = bytes[at + 1]
  if (first === undefined) throw new RangeError('Not DER: a value is cut off')
  if (first < 0x80) return { header: 2, length: first }
  const digits = first & 0x7f
  if (digits === 0 || digits > LENGTH_BYTES || at + 2 + digits > bytes.length) throw new RangeError('Not DER: a length that cannot be')
  return { header: 2 + digits, length: bytes.readUIntBE(at + 2, digits) }
}

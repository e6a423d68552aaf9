/**
 * Name/value blocks of SPDY/3 (draft-mbelshe-httpbis-spdy-00 s2.6.10): one zlib stream for each direction of a
 * connection, with a preset dictionary, flushed after each block.
 */
import { Unzlib } from 'fflate'
import { SPDY_DICTIONARY } from './dictionary.js'
import { SPDY_LIMITS, type SpdyLimits, spdyError } from './limits.js'

export type HeaderRecord = Readonly<Record<string, string>>

/** Deflate expands at most 1,032 times, so a slice of this many bytes yields at most 260 KiB before the limit is looked at. */
const SLICE_BYTES = 256
/** CMF, FLG with FDICT, and the Adler-32 of the dictionary (RFC 1950 s2.2). */
const ZLIB_HEADER = Buffer.from('78bbe3c6a7c2', 'hex')
/** An empty stored block: what zlib's sync flush writes. Without it Go's inflater waits for more and then fails for good. */
const SYNC_MARKER = Buffer.from('000000ffff', 'hex')
/** Of one stored block, RFC 1951 s3.2.4. */
const STORED_BYTES = 0xffff

/** Reads the blocks of one direction, in order. The inflater runs in JavaScript because Node's is asynchronous. */
export class HeaderReader {
  readonly #limits: SpdyLimits
  readonly #inflate: Unzlib
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(limits: SpdyLimits = SPDY_LIMITS) {
    this.#limits = limits
    this.#inflate = new Unzlib({ dictionary: SPDY_DICTIONARY }, (part) => {
      this.#bytes += part.length
      if (part.length > 0) this.#parts.push(part)
    })
  }

  /** @throws OpsError PROTOCOL_ERROR; the reader must not be used after that, its window is lost */
  read(block: Buffer): HeaderRecord {
    this.#parts = []
    this.#bytes = 0
    for (let at = 0; at < block.length; at += SLICE_BYTES) {
      this.#push(block.subarray(at, at + SLICE_BYTES))
      if (this.#bytes > this.#limits.headerBytes) throw spdyError(`a header block over ${this.#limits.headerBytes} bytes`)
    }
    const parts = this.#parts
    this.#parts = []
    return parsePairs(Buffer.concat(parts), this.#limits.headerPairs)
  }

  #push(slice: Buffer): void {
    try {
      this.#inflate.push(slice)
    } catch (error) {
      throw spdyError(`a header block that does not inflate: ${error instanceof Error ? error.message : String(error)}`, error)
    }
  }
}

/** Writes the blocks of one direction, in order, uncompressed: there is nothing to gain from 30 bytes and no state to keep. */
export class HeaderWriter {
  #started = false

  /** Names go out in lower case, as s2.6.10 demands. */
  write(headers: HeaderRecord): Buffer {
    const pairs = printPairs(headers)
    const parts: Buffer[] = this.#started ? [] : [ZLIB_HEADER]
    this.#started = true
    for (let at = 0; at < pairs.length; at += STORED_BYTES) {
      const stored = pairs.subarray(at, at + STORED_BYTES)
      const head = Buffer.alloc(5)
      head.writeUInt16LE(stored.length, 1)
      head.writeUInt16LE(~stored.length & 0xffff, 3)
      parts.push(head, stored)
    }
    return Buffer.concat([...parts, SYNC_MARKER])
  }
}

function parsePairs(block: Buffer, maxPairs: number): HeaderRecord {
  let at = 0
  const length = () => {
    if (block.length - at < 4) throw spdyError('a header block that ends early')
    at += 4
    return block.readUInt32BE(at - 4)
  }
  const text = () => {
    const bytes = length()
    if (block.length - at < bytes) throw spdyError('a header block that ends early')
    at += bytes
    return block.toString('utf8', at - bytes, at)
  }
  const count = length()
  if (count > maxPairs) throw spdyError(`${count} headers, limit ${maxPairs}`)
  const headers = new Map<string, string>()
  for (let i = 0; i < count; i++) {
    const name = text().toLowerCase()
    if (name === '' || headers.has(name)) throw spdyError('a header name that is empty or given twice')
    headers.set(name, text())
  }
  if (at !== block.length) throw spdyError('a header block with bytes after its end')
  return Object.fromEntries(headers)
}

function printPairs(headers: HeaderRecord): Buffer {
  const entries = Object.entries(headers)
  const parts = [word(entries.length)]
  for (const [name, value] of entries) {
    for (const text of [name.toLowerCase(), value]) {
      const bytes = Buffer.from(text)
      parts.push(word(bytes.length), bytes)
    }
  }
  return Buffer.concat(parts)
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A tar of a few files, written as it is read: POSIX ustar (IEEE 1003.1-1988), enough for names and sizes of ours. */
import { Readable } from 'node:stream'
import { OpsError } from '../core/errors.js'

export interface TarEntry {
  /** At most 100 bytes. */
  readonly name: string
  readonly bytes: number
  /** Exactly `bytes` of them. */
  readonly content: Buffer | AsyncIterable<Buffer>
}

const BLOCK = 512

/** @param mtime of every entry */
export function tarOf(entries: Iterable<TarEntry> | AsyncIterable<TarEntry>, mtime: Date): Readable {
  return Readable.from(blocks(entries, mtime), { objectMode: false })
}

async function* blocks(entries: Iterable<TarEntry> | AsyncIterable<TarEntry>, mtime: Date): AsyncGenerator<Buffer> {
  for await (const entry of entries) {
    yield tarHeader(entry, mtime)
    let sent = 0
    for await (const chunk of Buffer.isBuffer(entry.content) ? [entry.content] : entry.content) {
      sent += chunk.length
      yield chunk
    }
    // the header has gone out: a tar with the wrong number of bytes must not look whole
    if (sent !== entry.bytes) throw new OpsError('INTERNAL', `tar entry "${entry.name}" has ${sent} bytes in place of ${entry.bytes}`)
    if (sent % BLOCK > 0) yield Buffer.alloc(BLOCK - (sent % BLOCK))
  }
  yield Buffer.alloc(2 * BLOCK)
}

function tarHeader({ name, bytes }: TarEntry, mtime: Date): Buffer {
  if (Buffer.byteLength(name) > 100) throw new OpsError('INTERNAL', `tar entry "${name}" has too long a name`)
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0)
  header.write(octal(0o600, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(bytes, 12), 124)
  header.write(octal(Math.floor(mtime.getTime() / 1000), 12), 136)
  header.write(' '.repeat(8), 148)
  header.write('0', 156)
  header.write('ustar\0', 257)
  header.write('00', 263)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`
}

/** How a recording lies in its file: a sequence of blocks, each holding whole lines. What reads and writes files knows no more. */
import type { FileHandle } from 'node:fs/promises'
import { BLOCK_HEAD_BYTES, decodeBlock, encodeBlock, parseBlockHead } from '../wire/tape-blocks.js'

/** Where a block rests. */
export interface Frame {
  readonly offset: number
  readonly bytes: number
  /** Milliseconds since the start of the recording. */
  readonly startMs: number
}

/** Writes one recording. */
export interface BlockWriter {
  /** What stands before the first block. */
  readonly head: Buffer
  /** @param startMs when its first event happened; blocks come in order, one at a time */
  encode(plain: Buffer, startMs: number): Promise<Buffer>
}

/** Reads one recording. */
export interface BlockReader {
  /** Where the blocks begin. */
  readonly start: number
  readonly headBytes: number
  parseHead(bytes: Buffer): { readonly bytes: number; readonly startMs: number } | undefined
  /** @param index of the block, from 0. @throws Error when it is damaged */
  decode(block: Buffer, index: number): Promise<Buffer>
}

/** Reads bytes of a recording, wherever it rests. */
export interface TapeBytes {
  readonly size: number
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

export interface TapeFormat {
  /** Ends the name: ".cast.gz". */
  readonly extension: string
  writer(): Promise<BlockWriter>
  /** @throws OpsError CONFIG_INVALID when it is encrypted and the key is not here; BAD_REQUEST when it is none */
  reader(tape: TapeBytes): Promise<BlockReader>
}

const gzipBlocks = { start: 0, headBytes: BLOCK_HEAD_BYTES, parseHead: parseBlockHead, decode: decodeBlock } satisfies BlockReader

/** Blocks of gzip. */
export const GZIP: TapeFormat = {
  extension: '.cast.gz',
  writer: async () => ({ head: Buffer.alloc(0), encode: encodeBlock }),
  reader: async () => gzipBlocks,
}

/** How much of the heads is read at once: blocks are rarely smaller than a few hundred bytes. */
const SCAN_BYTES = 64 * 1024

/** The blocks that are whole, in order. Reads heads only. */
export async function framesOf(tape: TapeBytes, reader: BlockReader): Promise<Frame[]> {
  const frames: Frame[] = []
  let offset = reader.start
  let window: Buffer = Buffer.alloc(0)
  let windowAt = 0
  while (offset + reader.headBytes <= tape.size) {
    if (offset < windowAt || offset + reader.headBytes > windowAt + window.length) {
      windowAt = offset
      window = await tape.read(offset, Math.min(SCAN_BYTES, tape.size - offset))
    }
    const head = reader.parseHead(window.subarray(offset - windowAt))
    if (!head || offset + head.bytes > tape.size) break
    frames.push({ offset, bytes: head.bytes, startMs: head.startMs })
    offset += head.bytes
  }
  return frames
}

/** Bytes of an open file. @param size what counts of it */
export function fileBytes(handle: FileHandle, size: number): TapeBytes {
  return {
    size,
    async read(offset, length) {
      const bytes = Buffer.allocUnsafe(length)
      const { bytesRead } = await handle.read(bytes, 0, length, offset)
      return bytes.subarray(0, bytesRead)
    },
    close: () => handle.close(),
  }
}

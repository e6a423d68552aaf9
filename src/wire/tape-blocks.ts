/**
 * A recording in blocks that can be found without reading what is between them. Each block is a gzip member of its own (RFC 1952
 * s2.2), so `zcat` reads the whole; an extra field (s2.3.1.1, id "DK") holds the member's length and when the block begins:
 *   1f 8b 08 04 <mtime 4> <xfl> <os> | 0c 00 'D' 'K' 08 00 <member bytes u32le> <start ms u32le> | deflate | crc32 | size
 */

import { promisify } from 'node:util'
import { crc32, deflateRaw, gunzip } from 'node:zlib'

const deflate = promisify(deflateRaw)
const inflate = promisify(gunzip)

/** Bytes before the deflated data: enough to know where the next block begins. */
export const BLOCK_HEAD_BYTES = 24
const MAX_BLOCK_BYTES = 256 * 1024 * 1024
/** Fast: a session must not wait for the last percent. */
const LEVEL = 3

export interface BlockHead {
  /** Of the whole member. */
  readonly bytes: number
  /** Milliseconds since the start of the recording. */
  readonly startMs: number
}

/** @param startMs when the first event of the block happened */
export async function encodeBlock(plain: Buffer, startMs: number): Promise<Buffer> {
  const packed = await deflate(plain, { level: LEVEL })
  const block = Buffer.alloc(BLOCK_HEAD_BYTES + packed.length + 8)
  block.set([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 12, 0, 0x44, 0x4b, 8, 0])
  block.writeUInt32LE(block.length, 16)
  block.writeUInt32LE(Math.min(Math.max(0, Math.floor(startMs)), 0xffffffff), 20)
  packed.copy(block, BLOCK_HEAD_BYTES)
  block.writeUInt32LE(crc32(plain), block.length - 8)
  block.writeUInt32LE(plain.length % 2 ** 32, block.length - 4)
  return block
}

/** Reads the head of a block; undefined where none begins. @param bytes at least BLOCK_HEAD_BYTES */
export function parseBlockHead(bytes: Buffer): BlockHead | undefined {
  if (bytes.length < BLOCK_HEAD_BYTES || bytes.readUInt32BE(0) !== 0x1f8b0804 || bytes.readUInt32BE(12) !== 0x444b0800) return undefined
  const length = bytes.readUInt32LE(16)
  return length < BLOCK_HEAD_BYTES + 8 || length > MAX_BLOCK_BYTES ? undefined : { bytes: length, startMs: bytes.readUInt32LE(20) }
}

/** @throws Error when the block is damaged */
export function decodeBlock(block: Buffer): Promise<Buffer> {
  return inflate(block, { maxOutputLength: MAX_BLOCK_BYTES })
}

/** When the first event of some lines happened, milliseconds; 0 for the header, undefined where no event begins. */
export function startOfLines(lines: Buffer): number | undefined {
  const text = lines.toString('latin1', 0, 24)
  if (text.startsWith('{')) return 0
  const match = /^\[(\d+(?:\.\d+)?),/.exec(text)
  return match ? Number(match[1]) * 1000 : undefined
}

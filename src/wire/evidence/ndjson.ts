/** Files of one JSON object a line, read without ever holding a whole file. */
import type { FileHandle } from 'node:fs/promises'

const CHUNK_BYTES = 256 * 1024
/** A line longer than this is no event of ours; reading on would let a broken file fill the memory. */
export const MAX_LINE_BYTES = 32 * 1024 * 1024
const NEWLINE = 0x0a

/** A line with the place where it begins. */
export interface PlacedLine {
  readonly at: number
  readonly text: string
  /** False for a last line that has no newline. */
  readonly whole: boolean
}

/**
 * The lines of `[start, end)`, in groups as they were read. @param start must be the beginning of a line
 * @throws RangeError when a line is longer than 32 MiB
 */
export async function* readLines(file: FileHandle, start: number, end: number): AsyncGenerator<readonly PlacedLine[]> {
  let carry: Buffer = Buffer.alloc(0)
  let at = start
  let position = start
  while (position < end) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - position))
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) break
    position += bytesRead
    const bytes = carry.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([carry, chunk.subarray(0, bytesRead)])
    const lines: PlacedLine[] = []
    let from = 0
    for (let newline = bytes.indexOf(NEWLINE); newline >= 0; newline = bytes.indexOf(NEWLINE, from)) {
      lines.push({ at: at + from, text: bytes.toString('utf8', from, newline), whole: true })
      from = newline + 1
    }
    carry = bytes.subarray(from)
    at += from
    if (carry.length > MAX_LINE_BYTES) throw new RangeError(`the line at byte ${at} is longer than ${MAX_LINE_BYTES} bytes`)
    yield lines
  }
  if (carry.length > 0) yield [{ at, text: carry.toString('utf8'), whole: false }]
}

/**
 * Where to begin reading a file whose lines are in order: the beginning of some line at or before the first for which `isBefore`
 * is false, at most 64 KiB too early. Reads a few chunks, whatever the size.
 */
export async function seekLine(file: FileHandle, size: number, isBefore: (line: string) => boolean): Promise<number> {
  let low = 0
  let high = size
  while (high - low > 64 * 1024) {
    const middle = low + Math.floor((high - low) / 2)
    const line = await firstLineAfter(file, middle, high)
    if (line && isBefore(line.text)) low = line.at
    else high = middle
  }
  return low
}

async function firstLineAfter(file: FileHandle, position: number, end: number): Promise<PlacedLine | undefined> {
  // The rest of the line that `position` falls into comes first; it only counts where a line begins exactly there.
  let skipped = false
  for await (const lines of readLines(file, position, end)) {
    for (const line of lines) {
      if (skipped && line.whole) return line
      skipped = true
    }
  }
  return undefined
}

/** The lines of a file from its end to its beginning. @param size bytes from the beginning that count */
export async function* readLinesBackwards(file: FileHandle, size: number): AsyncGenerator<PlacedLine> {
  let tail: Buffer = Buffer.alloc(0)
  let position = size
  let whole = false
  while (position > 0) {
    const length = Math.min(CHUNK_BYTES, position)
    const chunk = Buffer.allocUnsafe(length)
    position -= length
    const { bytesRead } = await file.read(chunk, 0, length, position)
    if (bytesRead < length) throw new RangeError(`the file ended at byte ${position + bytesRead}, before ${size}`)
    let bytes: Buffer = tail.length === 0 ? chunk : Buffer.concat([chunk, tail])
    for (let newline = bytes.lastIndexOf(NEWLINE); newline >= 0; newline = bytes.lastIndexOf(NEWLINE)) {
      const text = bytes.toString('utf8', newline + 1)
      if (whole || text !== '') yield { at: position + newline + 1, text, whole }
      whole = true
      bytes = bytes.subarray(0, newline)
    }
    tail = bytes
    if (tail.length > MAX_LINE_BYTES) throw new RangeError(`the line before byte ${position + tail.length} is longer than ${MAX_LINE_BYTES} bytes`)
  }
  if (tail.length > 0 || whole) yield { at: 0, text: tail.toString('utf8'), whole }
}

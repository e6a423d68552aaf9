/**
 * Keyframes rest beside the recording (NAME.keyframes), in blocks of the same format and under the same keys: one block a screen,
 * a last one with the markers. They can be made again from the recording at any time and prove nothing.
 */
import { open, rename, unlink } from 'node:fs/promises'
import { CastParser } from '../wire/asciicast.js'
import { KEYFRAMES_ENDING } from '../wire/evidence/verify-recordings.js'
import { type Keyframe, ScreenReplay } from '../wire/keyframes.js'
import { fileBytes } from './tape-format.js'
import { blockAt, linesFrom, markOf, type OpenTape, openBlocks, type TapeMark, type TapePlace } from './tape-replay.js'

/** A screen each so many seconds or bytes of lines (evidence.md, "Recording"). */
const EVERY_SECONDS = 30
const EVERY_BYTES = 256 * 1024

const STILL_GOOD_BYTES = 1024 * 1024

/** The last block. */
interface KeyframesTail {
  readonly version: 1
  /** Size of the recording that they were made of: one that has grown since needs new ones. */
  readonly tapeBytes: number
  readonly marks: readonly TapeMark[]
}

/** Makes the keyframes of a recording. CPU-bound: about 50 ms for a MiB of output; for a thread of its own. */
export async function makeKeyframes(place: TapePlace): Promise<void> {
  const opened = await openBlocks(place)
  const draft = `${place.path}${KEYFRAMES_ENDING}.new`
  try {
    const file = await open(draft, 'w', 0o600)
    try {
      const writer = await place.format.writer()
      await file.writeFile(writer.head)
      const marks: TapeMark[] = []
      for await (const frame of screensOf(opened, marks)) await file.writeFile(await writer.encode(Buffer.from(JSON.stringify(frame)), frame.seconds * 1000))
      const tail: KeyframesTail = { version: 1, tapeBytes: opened.tape.size, marks }
      await file.writeFile(await writer.encode(Buffer.from(JSON.stringify(tail)), 0xffffffff))
    } finally {
      await file.close()
    }
    await rename(draft, place.path + KEYFRAMES_ENDING)
  } catch (error) {
    await unlink(draft).catch(() => undefined) // it may never have been there; the failure is the one to tell
    throw error
  } finally {
    await opened.tape.close()
  }
}

async function* screensOf(opened: OpenTape, marks: TapeMark[]): AsyncGenerator<Keyframe> {
  const parser = new CastParser()
  let replay: ScreenReplay | undefined
  let [lastSeconds, bytes, block] = [0, 0, 0]
  try {
    for await (const lines of linesFrom(opened, 0)) {
      const seconds = (opened.frames[block]?.startMs ?? 0) / 1000
      if (replay && (seconds - lastSeconds >= EVERY_SECONDS || bytes >= EVERY_BYTES)) {
        yield { seconds, block, columns: replay.columns, rows: replay.rows, screen: replay.screen() }
        lastSeconds = seconds
        bytes = 0
      }
      const events = parser.push(lines)
      if (parser.header) replay ??= new ScreenReplay(parser.header)
      await replay?.feed(events)
      for (const { seconds: at, code, data } of events) if (code === 'm') marks.push(markOf(at, data))
      bytes += lines.length
      block++
    }
  } finally {
    replay?.close()
  }
}

/** Keyframes that are there and still fit the recording; undefined when they have to be made. */
export async function openKeyframes(place: TapePlace, tapeBytes: number): Promise<KeyframesFile | undefined> {
  try {
    const path = place.path + KEYFRAMES_ENDING
    const opened = await openBlocks({ path, format: place.format, open: async () => openBytes(path) })
    const file = new KeyframesFile(opened)
    const made = (await file.tail())?.tapeBytes ?? -1
    const grew = tapeBytes - made
    // a recording only ever grows: while its session runs, screens of a little while ago are good enough to begin at
    if (grew === 0 || (made >= 0 && grew > 0 && grew < STILL_GOOD_BYTES && place.path.endsWith('.part'))) return file
    await file.close()
  } catch {
    return undefined // missing, torn or made by another version: they are made again
  }
  return undefined
}

export class KeyframesFile {
  readonly #opened: OpenTape

  constructor(opened: OpenTape) {
    this.#opened = opened
  }

  /** The newest screen at or before `seconds`. */
  async before(seconds: number): Promise<Keyframe | undefined> {
    const { frames } = this.#opened
    let index = frames.length - 2
    while (index >= 0 && (frames[index]?.startMs ?? 0) > seconds * 1000) index--
    return index < 0 ? undefined : (JSON.parse((await blockAt(this.#opened, index)).toString()) as Keyframe)
  }

  async tail(): Promise<KeyframesTail | undefined> {
    const last = this.#opened.frames.length - 1
    if (last < 0) return undefined
    const value = JSON.parse((await blockAt(this.#opened, last)).toString()) as Partial<KeyframesTail>
    return value.version === 1 && value.marks !== undefined ? (value as KeyframesTail) : undefined
  }

  close(): Promise<void> {
    return this.#opened.tape.close()
  }
}

async function openBytes(path: string) {
  const handle = await open(path, 'r')
  return fileBytes(handle, (await handle.stat()).size)
}

/** Markers of recordings: of a long one that is whole they stand beside its screens; else its blocks are read, each once. */
import { CastParser } from '../wire/asciicast.js'
import type { KeyframeThread } from './keyframe-thread.js'
import { linesFrom, markOf, openBlocks, type TapeMark, type TapePlace } from './tape-replay.js'

/** Read in a moment: a thread would take longer to start. */
const SHORT_BYTES = 256 * 1024
/** Recordings whose markers are remembered: those that are looked at while they grow. */
const MAX_REMEMBERED = 32

interface Known {
  blocks: number
  readonly marks: TapeMark[]
}

export class TapeMarks {
  readonly #keyframes: KeyframeThread | undefined
  /** By path; the longest unused first. */
  readonly #known = new Map<string, Known>()
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(keyframes: KeyframeThread | undefined) {
    this.#keyframes = keyframes
  }

  /** In order. @throws OpsError CONFIG_INVALID when it is encrypted for somebody else */
  async of(place: TapePlace): Promise<readonly TapeMark[]> {
    const tape = await place.open()
    await tape.close()
    const kept = place.path.endsWith('.part') || tape.size < SHORT_BYTES ? undefined : await this.#keyframes?.marks(place)
    if (kept) return kept
    // one reader at a time: two would note the same blocks twice
    const turn = (this.#turns.get(place.path) ?? Promise.resolve()).then(() => this.#read(place))
    const settled = turn.catch(() => undefined).finally(() => this.#turns.get(place.path) === settled && this.#turns.delete(place.path))
    this.#turns.set(place.path, settled)
    return await turn
  }

  async #read(place: TapePlace): Promise<readonly TapeMark[]> {
    const known = this.#known.get(place.path) ?? { blocks: 0, marks: [] }
    this.#known.delete(place.path)
    this.#known.set(place.path, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > MAX_REMEMBERED && oldest !== undefined) this.#known.delete(oldest)
    const opened = await openBlocks(place)
    try {
      const parser = new CastParser()
      // blocks hold whole lines, and the first of them the header that the parser wants to see
      if (known.blocks > 0) for await (const lines of linesFrom({ ...opened, frames: opened.frames.slice(0, 1) }, 0)) parser.push(lines)
      for await (const lines of linesFrom(opened, known.blocks)) {
        for (const { code, seconds, data } of parser.push(lines)) if (code === 'm') known.marks.push(markOf(seconds, data))
        known.blocks++
      }
    } finally {
      await opened.tape.close()
    }
    return [...known.marks]
  }
}

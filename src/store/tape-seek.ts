/** A recording from a second on: the screen as it was there, then what follows. */
import { Readable } from 'node:stream'
import { type CastEvent, type CastHeader, CastParser, castEventLine, castHeaderLine } from '../wire/asciicast.js'
import type { Keyframe } from '../wire/keyframes.js'
import type { KeyframeThread } from './keyframe-thread.js'
import { blockAt, linesFrom, type OpenTape, openBlocks, type TapePlace } from './tape-replay.js'

/**
 * Begins at the newest screen at or before `seconds`; what happened between the two is told at `seconds`, at once.
 * The header's `dockin.seek` says both times.
 */
export async function seekTape(place: TapePlace, seconds: number, keyframes: KeyframeThread | undefined): Promise<Readable> {
  const frame = seconds > 0 ? await keyframes?.before(place, seconds) : undefined
  const opened = await openBlocks(place)
  const lines = async function* () {
    try {
      yield* shown(opened, seconds, frame)
    } finally {
      await opened.tape.close()
    }
  }
  return Readable.from(lines(), { objectMode: false })
}

async function* shown(opened: OpenTape, seconds: number, frame: Keyframe | undefined): AsyncGenerator<Buffer> {
  if (opened.frames.length === 0) return
  const parser = new CastParser()
  const first = parser.push(await blockAt(opened, 0))
  if (!parser.header) return
  yield Buffer.from(castHeaderLine(headerAt(parser.header, seconds, frame)))
  if (frame) yield Buffer.from(castEventLine(seconds, 'o', frame.screen))
  const between = new Between(seconds)
  if (!frame) yield* between.take(first)
  for await (const block of linesFrom(opened, frame?.block ?? 1)) yield* between.take(parser.push(block))
  yield* between.end()
}

/** The header of a replay that begins at a second. */
export function headerAt(header: CastHeader, seconds: number, frame: Keyframe | undefined): CastHeader {
  const seek = { seconds, keyframe: frame?.seconds ?? 0 }
  const dockin: unknown = header.dockin
  const facts = typeof dockin === 'object' && dockin !== null ? dockin : {}
  return { ...header, ...(frame && { width: frame.columns, height: frame.rows }), dockin: { ...facts, seek } }
}

/** What came before the second that was asked for is told at that second, output in one piece; markers before it are left out. */
export class Between {
  readonly #seconds: number
  #text: string[] = []

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  *take(events: readonly CastEvent[]): Generator<Buffer> {
    let lines = ''
    for (const { seconds, code, data } of events) {
      if (seconds >= this.#seconds) lines += this.#flushed() + castEventLine(seconds, code, data)
      else if (code === 'o' || code === 'e') this.#text.push(data)
      else if (code === 'r') lines += this.#flushed() + castEventLine(this.#seconds, code, data)
    }
    if (this.#text.length > 256) lines += this.#flushed()
    if (lines !== '') yield Buffer.from(lines)
  }

  *end(): Generator<Buffer> {
    const line = this.#flushed()
    if (line !== '') yield Buffer.from(line)
  }

  #flushed(): string {
    if (this.#text.length === 0) return ''
    const line = castEventLine(this.#seconds, 'o', this.#text.join(''))
    this.#text = []
    return line
  }
}

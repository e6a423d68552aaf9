/**
 * A part of a recording, small enough to be answered at once: header, the screen as it was, and what follows for some bytes. The
 * header's `dockin.part` says where the next part begins, so a player shows any second of hours without the rest.
 */
import { type CastHeader, CastParser, castEventLine, castHeaderLine } from '../wire/asciicast.js'
import type { CastPartFacts, CastPlace } from '../wire/tape-part.js'
import type { KeyframeThread } from './keyframe-thread.js'
import { blockAt, type OpenTape, openBlocks, type TapeMark, type TapePlace } from './tape-replay.js'
import { Between, headerAt } from './tape-seek.js'

export interface PartParts {
  readonly keyframes: KeyframeThread | undefined
  /** The markers of the recording; asked for a command only. */
  readonly marks: () => Promise<readonly TapeMark[]>
}

/**
 * @param limit of bytes of lines: the part ends with the block that reaches it
 * @throws OpsError CONFIG_INVALID when it is encrypted for somebody else
 */
export async function partOfTape(tape: TapePlace, place: CastPlace, limit: number, parts: PartParts): Promise<Buffer> {
  const seq = place.seq === undefined ? undefined : markAt(await parts.marks(), place.seq)
  const opened = await openBlocks(tape)
  try {
    if (opened.frames.length === 0) return Buffer.alloc(0)
    const parser = new CastParser()
    const first = parser.push(await blockAt(opened, 0))
    const { header } = parser
    if (!header) return Buffer.alloc(0)
    const total = await lastSecond(opened)
    if (place.block !== undefined) return await following(opened, header, place.block, limit, total)
    const seconds = Math.min(seq ?? place.seconds ?? secondOf(header, place.time), total)
    const frame = seconds > 0 ? await parts.keyframes?.before(tape, seconds) : undefined
    const between = new Between(seconds)
    const lines = frame ? [Buffer.from(castEventLine(seconds, 'o', frame.screen))] : [...between.take(first)]
    let bytes = lengthOf(lines)
    let index = frame?.block ?? 1
    for (; index < opened.frames.length && (bytes < limit || startOf(opened, index) <= seconds); index++) {
      for (const each of between.take(parser.push(await blockAt(opened, index)))) {
        lines.push(each)
        bytes += each.length
      }
    }
    lines.push(...between.end())
    return withHeader(headerAt(header, seconds, frame), { seconds, total, ...nextOf(opened, index) }, lines)
  } finally {
    await opened.tape.close()
  }
}

async function following(opened: OpenTape, header: CastHeader, first: number, limit: number, total: number): Promise<Buffer> {
  const lines: Buffer[] = []
  let index = Math.max(1, first)
  for (let bytes = 0; index < opened.frames.length && bytes < limit; index++) {
    const block = await blockAt(opened, index)
    lines.push(block)
    bytes += block.length
  }
  return withHeader(header, { seconds: Math.min(startOf(opened, Math.max(1, first)), total), total, ...nextOf(opened, index) }, lines)
}

function withHeader(header: CastHeader, part: CastPartFacts, lines: readonly Buffer[]): Buffer {
  const dockin: unknown = header.dockin
  const facts = typeof dockin === 'object' && dockin !== null ? dockin : {}
  return Buffer.concat([Buffer.from(castHeaderLine({ ...header, dockin: { ...facts, part } })), ...lines])
}

function nextOf({ frames }: OpenTape, index: number): { readonly next?: number } {
  return index < frames.length ? { next: index } : {}
}

/** Of the block's first event; Infinity behind the last, so that comparisons need no case of their own. */
function startOf({ frames }: OpenTape, index: number): number {
  return (frames[index]?.startMs ?? Number.POSITIVE_INFINITY) / 1000
}

function lengthOf(lines: readonly Buffer[]): number {
  return lines.reduce((sum, { length }) => sum + length, 0)
}

/** When the last event happened. */
async function lastSecond(opened: OpenTape): Promise<number> {
  for (let index = opened.frames.length - 1; index > 0; index--) {
    const text = (await blockAt(opened, index)).toString('latin1')
    const at = /(?:^|\n)\[(\d+(?:\.\d+)?),[^\n]*\n?$/.exec(text)
    if (at) return Number(at[1])
  }
  const parser = new CastParser()
  return parser.push(await blockAt(opened, 0)).at(-1)?.seconds ?? 0
}

/** A command without a marker (behind a size cap) is looked for at the last one before it. */
function markAt(marks: readonly TapeMark[], seq: number): number {
  return marks.findLast((mark) => mark.seq !== undefined && mark.seq <= seq)?.seconds ?? 0
}

function secondOf({ dockin, timestamp }: CastHeader, time: Date | undefined): number {
  if (!time) return 0
  const began: unknown = typeof dockin === 'object' && dockin !== null ? Reflect.get(dockin, 'began') : undefined
  const startMs = typeof began === 'string' ? Date.parse(began) : (timestamp ?? 0) * 1000
  return Math.max(0, (time.getTime() - startMs) / 1000)
}

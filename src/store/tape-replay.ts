/** Reading a recording back: its blocks, its events, its markers. */
import { Readable } from 'node:stream'
import { type BlockReader, type Frame, framesOf, type TapeBytes, type TapeFormat } from './tape-format.js'

/** A recording that can be opened. */
export interface TapePlace {
  /** Absolute, also where the bytes are elsewhere: what stands beside a recording is found by it. */
  readonly path: string
  readonly format: TapeFormat
  open(): Promise<TapeBytes>
}

/** A command in a recording: where a search hit is found. */
export interface TapeMark {
  readonly seconds: number
  /** Number of the `command` event; absent when another marker. */
  readonly seq?: number
  readonly label: string
}

/** An open recording with its blocks. Whoever opens it closes `tape`. */
export interface OpenTape {
  readonly tape: TapeBytes
  readonly reader: BlockReader
  readonly frames: readonly Frame[]
}

/** @throws OpsError CONFIG_INVALID, BAD_REQUEST */
export async function openBlocks(place: TapePlace): Promise<OpenTape> {
  const tape = await place.open()
  try {
    const reader = await place.format.reader(tape)
    return { tape, reader, frames: await framesOf(tape, reader) }
  } catch (error) {
    await tape.close()
    throw error
  }
}

/** The lines of the blocks from `first` on. Blocks are read when they are asked for. */
export async function* linesFrom({ tape, reader, frames }: OpenTape, first: number): AsyncGenerator<Buffer> {
  for (let index = first; index < frames.length; index++) yield await blockAt({ tape, reader, frames }, index)
}

/** The lines of one block. @throws Error when it is damaged */
export async function blockAt({ tape, reader, frames }: OpenTape, index: number): Promise<Buffer> {
  const { offset, bytes } = frames[index] as Frame
  return await reader.decode(await tape.read(offset, bytes), index)
}

/** The whole as asciicast. */
export async function openTape(place: TapePlace): Promise<Readable> {
  const opened = await openBlocks(place)
  const lines = async function* () {
    try {
      yield* linesFrom(opened, 0)
    } finally {
      await opened.tape.close()
    }
  }
  return Readable.from(lines(), { objectMode: false })
}

/** "1234 ls -la" -> the marker of event 1234. */
export function markOf(seconds: number, data: string): TapeMark {
  const match = /^(\d{1,15}) (.*)$/s.exec(data)
  return match ? { seconds, seq: Number(match[1]), label: match[2] as string } : { seconds, label: data }
}

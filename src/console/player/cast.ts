/**
 * Reads asciicast v2 for the player. wire/asciicast.ts does the same on the gateway, with Node's buffers; here is no Node.
 * A recording that was cut by a crash ends with its last whole line.
 */
import type { CastPartFacts } from '../../wire/tape-part.js'

export type CastEvent = readonly [seconds: number, code: string, data: string]
export interface CastHead {
  readonly columns: number
  readonly rows: number
  /** Output of a terminal; else of pipes, whose line ends move no cursor to the left. */
  readonly hasTerminal: boolean
}
/** Some of a recording: its first event is the screen as it was, unless it goes on from the part before. */
export interface CastPart extends CastHead, CastPartFacts {
  readonly events: readonly CastEvent[]
  readonly characters: number
}

/** @throws Error when the first line is no header of asciicast v2 that says which part it is */
export function parsePart(text: string): CastPart {
  const lines = text.split('\n')
  const head = parseCastHead(lines[0] ?? '')
  const facts = partFacts(parsed(lines[0] ?? ''))
  if (!head || !facts) throw new Error('This is not a recording that the console can show (asciicast v2).')
  const events: CastEvent[] = []
  for (let index = 1; index < lines.length; index++) {
    const event = parseCastEvent(lines[index] ?? '')
    if (event) events.push(event)
  }
  return { ...head, ...facts, events, characters: text.length }
}

function partFacts(head: unknown): CastPartFacts | undefined {
  const part = fieldOf(fieldOf(head, 'dockin'), 'part')
  const [seconds, total, next] = [fieldOf(part, 'seconds'), fieldOf(part, 'total'), fieldOf(part, 'next')]
  if (typeof seconds !== 'number' || typeof total !== 'number') return undefined
  return { seconds, total, ...(typeof next === 'number' && { next }) }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** Undefined for anything but a header. */
export function parseCastHead(line: string): CastHead | undefined {
  const value = parsed(line)
  if (typeof value !== 'object' || value === null) return undefined
  const { version, width, height, env } = value as Readonly<Record<string, unknown>>
  if (version !== 2 || !isCells(width) || !isCells(height)) return undefined
  return { columns: width, rows: height, hasTerminal: typeof env === 'object' && env !== null && 'TERM' in env }
}

/** Undefined for anything but an event. */
export function parseCastEvent(line: string): CastEvent | undefined {
  const value = line === '' ? undefined : parsed(line)
  if (!Array.isArray(value)) return undefined
  const [seconds, code, data] = value as readonly unknown[]
  return typeof seconds === 'number' && seconds >= 0 && typeof code === 'string' && typeof data === 'string' ? [seconds, code, data] : undefined
}

/** What a terminal is to be given for an event; undefined for events that show nothing. `e` is stderr without a terminal. */
export function shownText([, code, data]: CastEvent, hasTerminal: boolean): string | undefined {
  if (code !== 'o' && code !== 'e') return undefined
  return hasTerminal ? data : data.replace(/\r?\n/g, '\r\n')
}

/** "80x24" of an `r` event. */
export function parseSize(data: string): { readonly columns: number; readonly rows: number } | undefined {
  const match = /^(\d{1,4})x(\d{1,4})$/.exec(data)
  const [columns, rows] = [Number(match?.[1]), Number(match?.[2])]
  return columns > 0 && rows > 0 ? { columns, rows } : undefined
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    // torn, or not of ours: the caller goes without it
    return undefined
  }
}

/** A terminal of more cells than this is nobody's, and would only cost the browser its memory. */
const MAX_CELLS = 1000
function isCells(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= MAX_CELLS
}

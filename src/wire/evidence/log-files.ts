/** The files of an audit log: YYYY-MM-DD.ndjson, and where a day outgrew one file YYYY-MM-DD.2.ndjson, .3 and on. */
import { open, readdir } from 'node:fs/promises'
import type { StoredEvent } from '../../core/types.js'
import { hashOrNone, isLinked } from './chain.js'
import { readLines, readLinesBackwards } from './ndjson.js'

const NAME = /^(\d{4}-\d{2}-\d{2})(?:\.([1-9]\d{0,5}))?\.ndjson$/

/** One file of a log. */
export interface LogPart {
  readonly name: string
  /** UTC day of its events. */
  readonly day: string
  /** 1 for the first file of a day. */
  readonly part: number
}

/** The files of `dir` in the order of their events; none where there is no such directory. */
export async function logParts(dir: string): Promise<LogPart[]> {
  const parts: LogPart[] = []
  for (const name of await namesIn(dir)) {
    const match = NAME.exec(name)
    if (match) parts.push({ name, day: match[1] as string, part: Number(match[2] ?? 1) })
  }
  return parts.sort((a, b) => (a.day === b.day ? a.part - b.part : a.day < b.day ? -1 : 1))
}

/** Where the first events of a day rest. */
export function firstPart(day: string): LogPart {
  return { name: `${day}.ndjson`, day, part: 1 }
}

/** Where its events go once a file is full. */
export function nextPart({ day, part }: LogPart): LogPart {
  return { name: `${day}.${part + 1}.ndjson`, day, part: part + 1 }
}

/** An event from its line; undefined where it is none. */
export function parseLine(text: string): StoredEvent | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isLinked(value) ? value : undefined
  } catch {
    return undefined // not JSON: the caller decides whether that is a torn write or damage
  }
}

/** The first event of a file; undefined when it has none that is whole. */
export async function firstEvent(path: string): Promise<StoredEvent | undefined> {
  const handle = await open(path, 'r')
  try {
    for await (const lines of readLines(handle, 0, (await handle.stat()).size)) {
      if (lines[0]) return lines[0].whole ? parseLine(lines[0].text) : undefined
    }
    return undefined
  } finally {
    await handle.close()
  }
}

/** The last event of a file that is whole and carries its own hash. */
export async function lastEvent(path: string): Promise<StoredEvent | undefined> {
  const handle = await open(path, 'r')
  try {
    for await (const line of readLinesBackwards(handle, (await handle.stat()).size)) {
      const event = line.whole ? parseLine(line.text) : undefined
      if (event && hashOrNone(event) === event.hash) return event
    }
    return undefined
  } finally {
    await handle.close()
  }
}

async function namesIn(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

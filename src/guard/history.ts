/** The lines of this session, oldest first. A value: every change answers a new one. */

/** Entries kept. Bash's default is 500. */
const MAX_ENTRIES = 1000
/** UTF-16 units over all entries; a session of pasted 64 KiB lines stays at a few MiB. */
const MAX_UNITS = 1024 * 1024

export interface History {
  readonly entries: readonly string[]
  readonly units: number
}

export const EMPTY_HISTORY: History = { entries: [], units: 0 }

/** Adds a line unless it is empty or repeats the last one; drops the oldest when it grows beyond its limits. */
export function remember(history: History, line: string): History {
  if (line.trim() === '' || history.entries.at(-1) === line) return history
  const entries = [...history.entries, line]
  let units = history.units + line.length
  while (entries.length > 1 && (entries.length > MAX_ENTRIES || units > MAX_UNITS)) units -= entries.shift()?.length ?? 0
  return { entries, units }
}

/** Where `pattern` occurs at or before entry `from` (older: true) or at or after it; undefined when nowhere. */
export function findEntry(history: History, pattern: string, from: number, older: boolean): number | undefined {
  const step = older ? -1 : 1
  for (let i = from; i >= 0 && i < history.entries.length; i += step) {
    if (history.entries[i]?.includes(pattern)) return i
  }
  return undefined
}

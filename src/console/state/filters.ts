/** Filters that live in the address, so that a view can be reloaded, kept and sent to somebody. */
import { useCallback } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'

export interface Filters<K extends string> {
  readonly values: Readonly<Partial<Record<K, string>>>
  /** The same values give the same text. */
  readonly key: string
  readonly isEmpty: boolean
  /** Empty text removes a filter. What is typed replaces the entry of the history, what is chosen adds one. */
  readonly set: (changes: Readonly<Partial<Record<K, string>>>, options?: { readonly replace?: boolean }) => void
  readonly clear: () => void
}

export function useFilters<K extends string>(names: readonly K[]): Filters<K> {
  const [search, setSearch] = useSearchParams()
  const values: Partial<Record<K, string>> = {}
  for (const name of names) {
    const value = search.get(name)
    if (value) values[name] = value
  }
  const set = useCallback(
    (changes: Readonly<Partial<Record<K, string>>>, { replace = false } = {}) => {
      setSearch(
        (old) => {
          for (const [name, value] of Object.entries(changes) as [K, string][]) {
            if (value === '') old.delete(name)
            else old.set(name, value)
          }
          return old
        },
        { replace },
      )
    },
    [setSearch],
  )
  const clear = (): void => set(Object.fromEntries(names.map((name) => [name, ''])) as Record<K, string>)
  return { values, key: JSON.stringify(values), isEmpty: Object.keys(values).length === 0, set, clear }
}

/** Spans that a person asks for: hours back from now. */
export const SINCE: Readonly<Record<string, { readonly label: string; readonly hours: number }>> = {
  '1h': { label: 'Last hour', hours: 1 },
  '24h': { label: 'Last 24 hours', hours: 24 },
  '7d': { label: 'Last 7 days', hours: 168 },
  '30d': { label: 'Last 30 days', hours: 720 },
}

/** `since` of SINCE, or `from` and `to` as a date field writes them (local time), as the API's RFC 3339. */
export function rangeOf(values: { readonly since?: string; readonly from?: string; readonly to?: string }, now: Date): { from?: string; to?: string } {
  const span = values.since === undefined ? undefined : SINCE[values.since]
  if (span) return { from: new Date(now.getTime() - span.hours * 3_600_000).toISOString() }
  const from = isoOf(values.from)
  const to = isoOf(values.to)
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

function isoOf(text: string | undefined): string | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}

/** Without what is undefined. */
export function given<T extends object>(query: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}

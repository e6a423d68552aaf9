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

/** Without what is undefined. */
export function given<T extends object>(query: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}

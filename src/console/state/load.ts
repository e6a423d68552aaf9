/** Answers of the API as a page needs them: what stands while asking, what came, what went wrong, and asking again. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<T> {
  readonly data?: T
  readonly error?: unknown
  readonly isLoading: boolean
  /** Asks again; what stands stays until the answer is there. */
  readonly reload: () => void
}

/** Asks when `key` changes, and every `everyMs` while the page is looked at. An answer to an older question is dropped. */
export function useLoad<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: unknown; isLoading: boolean }>({ key, isLoading: true })
  const [round, setRound] = useState(0)
  const asking = useRef(ask)
  asking.current = ask
  useEffect(() => {
    const gone = new AbortController()
    setState((old) => (old.key === key ? { ...old, isLoading: true } : { key, isLoading: true }))
    asking.current(gone.signal).then(
      (data) => gone.signal.aborted || setState({ key, data, isLoading: false }),
      (error: unknown) => gone.signal.aborted || setState((old) => ({ ...old, key, error, isLoading: false })),
    )
    return () => gone.abort()
  }, [key, round])
  const reload = useCallback(() => setRound((old) => old + 1), [])
  useEvery(everyMs, reload)
  // the render between a new key and its effect must not show the old answer
  return state.key === key ? { ...state, reload } : { isLoading: true, reload }
}

/** Calls while the page is visible. */
export function useEvery(everyMs: number | undefined, call: () => void): void {
  useEffect(() => {
    if (everyMs === undefined) return
    const timer = setInterval(() => document.visibilityState === 'visible' && call(), everyMs)
    return () => clearInterval(timer)
  }, [everyMs, call])
}

interface Part<T> {
  readonly items: readonly T[]
  readonly next?: string | undefined
}
export interface Pages<T> extends Loaded<readonly T[]> {
  readonly hasMore: boolean
  readonly more: () => void
  readonly isLoadingMore: boolean
}

/** A list that comes in parts; the first is asked anew every `everyMs` as long as no other was asked for. */
export function usePages<T>(key: string, ask: (cursor: string | undefined, signal: AbortSignal) => Promise<Part<T>>, everyMs?: number): Pages<T> {
  const [later, setLater] = useState<{ key: string; items: readonly T[]; next?: string | undefined; isLoading: boolean; error?: unknown } | undefined>()
  const mine = later?.key === key ? later : undefined
  const first = useLoad(key, (signal) => ask(undefined, signal), mine ? undefined : everyMs)
  const next = mine ? mine.next : first.data?.next
  const more = (): void => {
    if (next === undefined || mine?.isLoading) return
    const before = mine?.items ?? []
    setLater({ key, items: before, next, isLoading: true })
    ask(next, new AbortController().signal).then(
      (part) => setLater((old) => (old?.key === key ? { key, items: [...before, ...part.items], next: part.next, isLoading: false } : old)),
      (error: unknown) => setLater((old) => (old?.key === key ? { key, items: before, next, isLoading: false, error } : old)),
    )
  }
  const reload = (): void => {
    setLater(undefined)
    first.reload()
  }
  const error = first.error ?? mine?.error
  return {
    ...(first.data && { data: [...first.data.items, ...(mine?.items ?? [])] }),
    ...(error !== undefined && { error }),
    isLoading: first.isLoading,
    hasMore: next !== undefined,
    isLoadingMore: mine?.isLoading ?? false,
    more,
    reload,
  }
}

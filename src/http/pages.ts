/** Lists that are held in memory, handed out in parts. */
import { OpsError } from '../core/errors.js'

export interface Part<T> {
  items: T[]
  next?: string
}

/** The part of a list that begins at the cursor, which is a place in it. @throws OpsError BAD_REQUEST */
export function partOf<T>(list: readonly T[], { cursor, limit = 100 }: { readonly cursor?: string | undefined; readonly limit?: number | undefined }): Part<T> {
  const start = cursor === undefined ? 0 : Number(cursor)
  if (!Number.isSafeInteger(start) || start < 0) throw new OpsError('BAD_REQUEST', 'cursor is none', { detail: 'the cursor is none of ours' })
  const end = start + limit
  return { items: list.slice(start, end), ...(end < list.length && { next: String(end) }) }
}

/** A query's values without those that were not given, times as Date. */
export function given<T extends Readonly<Record<string, unknown>>>(query: T): { [K in keyof T]: K extends 'from' | 'to' ? Date : Exclude<T[K], undefined> } {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([key, value]) => [key, (key === 'from' || key === 'to') && typeof value === 'string' ? new Date(value) : value])) as {
    [K in keyof T]: K extends 'from' | 'to' ? Date : Exclude<T[K], undefined>
  }
}

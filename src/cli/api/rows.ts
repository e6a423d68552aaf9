/** Answers of the API as rows: read by path, so that a newer gateway's extra keys do no harm. */
import { GatewayError } from '../problem.js'

export type Row = Readonly<Record<string, unknown>>

export function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a dotted path; undefined when there is none. */
export function at(row: unknown, path: string): unknown {
  let value: unknown = row
  for (const key of path.split('.')) {
    if (!isRow(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

/** The first of the paths that holds a text or a number, as text. */
export function text(row: unknown, ...paths: string[]): string {
  for (const path of paths) {
    const value = at(row, path)
    if (typeof value === 'string') return value
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  }
  return ''
}

export function number(row: unknown, ...paths: string[]): number | undefined {
  for (const path of paths) {
    const value = at(row, path)
    if (typeof value === 'number') return value
  }
  return undefined
}

/** The texts at a path; "a, b" as its parts would be. */
export function texts(row: unknown, path: string): string[] {
  const value = at(row, path)
  return Array.isArray(value) ? value.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))) : []
}

export interface Page {
  readonly rows: readonly Row[]
  /** Cursor of the next page. */
  readonly next: string | undefined
}

/** `{items: [...], next?}` or a bare list. @throws GatewayError PROTOCOL_ERROR for anything else */
export function pageOf(value: unknown): Page {
  const list = Array.isArray(value) ? value : at(value, 'items')
  if (!Array.isArray(list)) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered with something that is no list')
  const next = text(value, 'next', 'cursor')
  return { rows: list.filter(isRow), next: next === '' ? undefined : next }
}

/** One object. @throws GatewayError PROTOCOL_ERROR */
export function rowOf(value: unknown): Row {
  if (!isRow(value)) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered with something that is no object')
  return value
}

/** "3m", "2h", "5d" since a time, as kubectl's AGE; "" when it is none. */
export function ageOf(time: string, now: number): string {
  const ms = now - Date.parse(time)
  if (Number.isNaN(ms)) return ''
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

/** Aligned columns, as kubectl prints them. */
import { safe } from './safe.js'
import { cellsOf, cut, pad } from './width.js'

export interface Column<T> {
  readonly title: string
  /** What a server said may stand in it as it is: the table escapes it. */
  readonly value: (row: T) => string | number | undefined
  /** Printed with `-o wide` only. */
  readonly wide?: boolean
  readonly align?: 'left' | 'right'
  /** On a terminal that is too narrow the column shrinks down to this many cells. Default: never. */
  readonly shrinkTo?: number
  readonly cut?: 'end' | 'middle'
}

export interface TableOptions {
  readonly wide?: boolean
  /** Cells of the terminal; undefined: not a terminal, nothing is cut. */
  readonly width?: number | undefined
  readonly headers?: boolean
}

/** Between columns; a narrow terminal gets the smallest that it needs. */
const GAPS = [3, 2, 1] as const
/** What an empty cell shows, so that columns stay columns for awk. */
const NOTHING = '-'

/** Lines, each with its line feed; "" for no rows and no headers. */
export function drawTable<T>(rows: readonly T[], columns: readonly Column<T>[], options: TableOptions = {}): string {
  const shown = columns.filter((column) => options.wide || !column.wide)
  const cells = rows.map((row) => shown.map((column) => cellText(column.value(row))))
  const headers = options.headers === false ? [] : [shown.map((column) => column.title)]
  const lines = [...headers, ...cells]
  const layout = fitWidths(shown, lines, options.width)
  return lines.map((line) => `${drawLine(line, shown, layout)}\n`).join('')
}

function cellText(value: string | number | undefined): string {
  return value === undefined || value === '' ? NOTHING : safe(String(value))
}

function drawLine<T>(line: readonly string[], columns: readonly Column<T>[], { widths, gap }: Layout): string {
  const parts = columns.map((column, i) => pad(cut(line[i] ?? '', widths[i] ?? 0, column.cut), widths[i] ?? 0, column.align))
  return parts.join(' '.repeat(gap)).trimEnd()
}

interface Layout {
  readonly widths: readonly number[]
  readonly gap: number
}

/** Natural widths; where they are too much, the widest that may shrink gives first, then the gaps. What is too much even then is wrapped by the terminal. */
function fitWidths<T>(columns: readonly Column<T>[], lines: readonly (readonly string[])[], total: number | undefined): Layout {
  const widths = columns.map((_, i) => lines.reduce((widest, line) => Math.max(widest, cellsOf(line[i] ?? '')), 0))
  if (total === undefined) return { widths, gap: GAPS[0] }
  const floors = columns.map((column, i) => Math.min(widths[i] ?? 0, Math.max(column.shrinkTo ?? Number.POSITIVE_INFINITY, cellsOf(column.title))))
  const needs = (sizes: readonly number[], gap: number) => sizes.reduce((sum, size) => sum + size, gap * Math.max(0, columns.length - 1))
  const gap = GAPS.find((one) => needs(floors, one) <= total) ?? 1
  for (let over = needs(widths, gap) - total; over > 0; over--) {
    const widest = widestAbove(widths, floors)
    if (widest === undefined) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return { widths, gap }
}

function widestAbove(widths: readonly number[], floors: readonly number[]): number | undefined {
  let widest: number | undefined
  widths.forEach((width, i) => {
    if (width > (floors[i] ?? 0) && (widest === undefined || width > (widths[widest] ?? 0))) widest = i
  })
  return widest
}

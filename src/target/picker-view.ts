/** Lines of the picker's screen (pure): nothing here writes, and what it is given is already safe for a terminal. */
import stringWidth from 'string-width'
import { escapePeerText } from '../core/log.js'
import type { WindowSize } from '../core/types.js'

export interface Column {
  readonly title: string
  readonly minWidth: number
  /** Where "…" goes when it is too narrow: the middle keeps the end of a name, which tells pods of one workload apart. */
  readonly cut: 'middle' | 'end'
  /** The lower, the sooner it is left out on a narrow screen; never when absent. */
  readonly dropAt?: number
}
export interface MenuScreen {
  readonly prompt: string
  readonly filter: string
  readonly count: number
  readonly total: number
  readonly columns: readonly Column[]
  /** How wide the cells of each column are. */
  readonly widths: readonly number[]
  readonly lines: readonly (readonly string[])[]
  /** Index into `lines`. */
  readonly chosen: number
  readonly empty: string
  readonly hint: string
  readonly urgent: boolean
}
export type LineStyle = 'plain' | 'heading' | 'chosen' | 'faint' | 'urgent'
export interface Line {
  /** Never wider than the screen. */
  readonly text: string
  readonly style: LineStyle
}
export interface Frame {
  /** One for each row of the screen. */
  readonly lines: readonly Line[]
  /** Where the cursor stands, from 0. */
  readonly cursor: { readonly row: number; readonly column: number }
}

const GAP = 2
/** A terminal that does not know its size says 0; VT100. */
const FALLBACK = { columns: 80, rows: 24 }
/** Beyond this a client is not drawing a terminal but wasting our memory. */
const MAX_SIDE = 1000

/** The size to draw for: never 0, never absurd. */
export function screenSize(size: Pick<WindowSize, 'columns' | 'rows'>): { readonly columns: number; readonly rows: number } {
  const side = (n: number, fallback: number) => (Number.isInteger(n) && n > 0 ? Math.min(n, MAX_SIDE) : fallback)
  return { columns: side(size.columns, FALLBACK.columns), rows: side(size.rows, FALLBACK.rows) }
}

/** How many lines of the list fit: all but prompt, heading and hint, which low screens lose first. */
export function listRows(rows: number): number {
  return Math.max(1, rows - (rows >= 5 ? 3 : rows >= 3 ? 2 : 1))
}

/** Draws a menu. */
export function drawMenu(screen: MenuScreen, columns: number, rows: number): Frame {
  const widths = columnWidths(screen.columns, screen.widths, columns)
  const body: Line[] = screen.lines.map((cells, i) => ({ text: row(cells, screen.columns, widths, columns), style: i === screen.chosen ? 'chosen' : 'plain' }))
  if (body.length === 0) body.push({ text: fit(screen.empty, columns, 'end').trimEnd(), style: 'plain' })
  const { line: prompt, column } = promptLine(screen, columns)
  const heading: Line = {
    text: row(
      screen.columns.map((one) => one.title),
      screen.columns,
      widths,
      columns,
    ),
    style: 'heading',
  }
  const hint: Line = { text: fit(screen.hint, columns, 'end').trimEnd(), style: screen.urgent ? 'urgent' : 'faint' }
  const blank: Line = { text: '', style: 'plain' }
  const space = listRows(rows)
  const padded = [...body, ...Array.from({ length: Math.max(0, space - body.length) }, () => blank)].slice(0, space)
  const lines = [prompt, ...(rows >= 5 ? [heading] : []), ...padded, ...(rows >= 3 ? [hint] : [])]
  return { lines: lines.slice(0, rows), cursor: { row: 0, column } }
}

/** The text typed keeps its end in sight; the count stands at the right where there is room. */
function promptLine(screen: MenuScreen, columns: number): { readonly line: Line; readonly column: number } {
  const prompt = stringWidth(screen.prompt) <= columns / 2 ? screen.prompt : '> '
  const typed = tail(escapePeerText(screen.filter), Math.max(0, columns - stringWidth(prompt) - 1))
  const left = fit(prompt + typed, columns, 'end').trimEnd()
  const column = Math.min(columns - 1, stringWidth(prompt + typed))
  const right = screen.filter === '' ? `${screen.total}` : `${screen.count} of ${screen.total}`
  const space = columns - column - 1 - stringWidth(right)
  return { line: { text: space >= GAP ? prompt + typed + ' '.repeat(space + 1) + right : left, style: 'plain' }, column }
}

/**
 * Natural widths where they fit. Else what may be left out first is narrowed first, then the widest, each down to its
 * minimum; and where even the minima are too much, columns are left out (width 0).
 */
export function columnWidths(columns: readonly Column[], natural: readonly number[], total: number): readonly number[] {
  const widths = columns.map((column, i) => Math.min(total, Math.max(stringWidth(column.title), natural[i] ?? 0)))
  const floor = columns.map((column, i) => Math.min(widths[i] ?? 0, column.minWidth))
  const byDrop = columns.map((column, i) => ({ i, at: column.dropAt ?? Number.POSITIVE_INFINITY })).sort((a, b) => a.at - b.at)
  for (const { i, at } of byDrop) {
    if (spread(floor) > total && Number.isFinite(at)) widths[i] = floor[i] = 0
  }
  narrow(widths, floor, total, [byDrop[0]?.i ?? 0])
  narrow(
    widths,
    floor,
    total,
    columns.map((_, i) => i),
  )
  return widths
}

/** Takes a cell from the widest of `these` until all fit, or none can be narrowed. */
function narrow(widths: number[], floor: readonly number[], total: number, these: readonly number[]): void {
  for (let over = spread(widths) - total; over > 0; over--) {
    const reducible = these.filter((i) => (widths[i] ?? 0) > (floor[i] ?? 0))
    const [widest] = reducible.sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))
    if (widest === undefined) return
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}

function spread(widths: readonly number[]): number {
  const shown = widths.filter((width) => width > 0)
  return shown.reduce((sum, width) => sum + width, 0) + GAP * Math.max(0, shown.length - 1)
}

/** As wide as the screen, so that the chosen line is a bar. */
function row(cells: readonly string[], columns: readonly Column[], widths: readonly number[], total: number): string {
  const shown = columns.flatMap((column, i) => {
    const width = widths[i] ?? 0
    return width === 0 ? [] : [fit(cells[i] ?? '', width, column.cut)]
  })
  return fit(shown.join(' '.repeat(GAP)), total, 'end')
}

const graphemes = new Intl.Segmenter()

/** Exactly `width` cells: filled with spaces, or cut with "…". */
export function fit(text: string, width: number, cut: Column['cut']): string {
  const wide = stringWidth(text)
  if (wide <= width) return text + ' '.repeat(width - wide)
  if (width <= 0) return ''
  const after = cut === 'middle' ? Math.floor((width - 1) / 2) : 0
  const shortened = `${head(text, width - 1 - after)}…${tail(text, after)}`
  return shortened + ' '.repeat(Math.max(0, width - stringWidth(shortened)))
}

/** As much of the beginning as fits into `width` cells. */
function head(text: string, width: number): string {
  let result = ''
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    used += stringWidth(segment)
    if (used > width) break
    result += segment
  }
  return result
}

/** As much of the end as fits into `width` cells. */
function tail(text: string, width: number): string {
  let result = ''
  let used = 0
  for (const { segment } of [...graphemes.segment(text)].reverse()) {
    used += stringWidth(segment)
    if (used > width) break
    result = segment + result
  }
  return result
}

/**
 * Line + cursor + prompt -> the bytes that make a terminal show them, and no more than needed.
 * Knows what it drew last and where it left the cursor; knows nothing of the rest of the terminal.
 */
import { cellsOf, isPlain } from './cells.js'
import { type Layout, layOut, type Row } from './layout.js'

export interface Prompt {
  /** As written, colours included. */
  readonly text: string
  /** Cells it takes; less than the terminal's columns. */
  readonly cells: number
}
export interface View {
  readonly prompt: Prompt
  readonly text: string
  readonly cursor: number
}

interface Drawn {
  readonly view: View
  readonly rows: readonly Row[]
  /** Layout row shown in the first screen row; above zero when the line is taller than the terminal. */
  readonly top: number
  readonly cursorRow: number
  readonly cursorColumn: number
}

const up = (n: number) => (n > 0 ? `\x1b[${n}A` : '')
const right = (n: number) => (n > 0 ? `\x1b[${n}C` : '')
const CLEAR_BELOW = '\x1b[J'
const CLEAR_RIGHT = '\x1b[K'

/** Follows the terminal's cursor while bytes are collected. `column === columns` is the pending wrap of a full row. */
class Pen {
  out = ''
  constructor(
    public row: number,
    public column: number,
    readonly columns: number,
  ) {}

  write(text: string, cells: number): void {
    this.out += text
    this.column += cells
  }

  moveTo(row: number, column: number): void {
    if (row === this.row && column === this.column) return
    // A full row's cursor is in no column at all until something is written; CR is the one move that all agree on.
    const steps = this.column - column
    if (row === this.row && this.column < this.columns && steps > 0 && steps <= 4) this.out += '\b'.repeat(steps)
    else if (row === this.row && this.column < this.columns && steps < 0) this.out += right(-steps)
    else this.#jump(row, column)
    this.row = row
    this.column = column
  }

  #jump(row: number, column: number): void {
    // Line feeds and not "cursor down": the row below may not exist yet, at the foot of the terminal.
    this.out += row > this.row ? `\r${'\n'.repeat(row - this.row)}` : `\r${up(this.row - row)}`
    this.out += right(column)
  }
}

/** UTF-16 units that both texts begin with, ended before a character that a combining one joins. */
function commonPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length)
  let n = 0
  while (n < most && a.charCodeAt(n) === b.charCodeAt(n)) n++
  while (n > 0 && (joins(a, n) || joins(b, n))) n--
  return n
}
function joins(text: string, at: number): boolean {
  if (at >= text.length) return false
  const unit = text.charCodeAt(at)
  if (unit < 0x300) return false
  if (unit >= 0xdc00 && unit <= 0xdfff) return true
  return cellsOf(text.codePointAt(at) ?? 0) === 0
}
function cells(text: string): number {
  if (isPlain(text)) return text.length
  let sum = 0
  for (const character of text) sum += cellsOf(character.codePointAt(0) ?? 0)
  return sum
}

/** One editor's place on the terminal. The caller writes what the methods answer, in order. */
export class Screen {
  #columns: number
  #height: number
  #drawn: Drawn | undefined

  constructor(columns: number, rows: number) {
    this.#columns = Math.max(2, columns)
    this.#height = Math.max(1, rows)
  }

  get columns(): number {
    return this.#columns
  }

  /** Draws `view`: what differs from what stands there, or all of it on the cursor's row when nothing does. */
  render(view: View): string {
    const old = this.#drawn
    const appended = old && this.#append(old, view)
    if (appended !== undefined) return appended
    const layout = layOut(view.prompt.cells, view.text, view.cursor, this.#columns)
    const top = this.#topFor(layout, old?.top ?? 0)
    if (old && old.view.prompt.text === view.prompt.text && old.top === top) return this.#update(old, view, layout, top)
    return (old ? this.erase() : '\r') + this.#drawAll(view, layout, top)
  }

  /** Takes the line off the terminal; the cursor is then where it began. */
  erase(): string {
    const old = this.#drawn
    this.#drawn = undefined
    if (!old) return ''
    return `\r${up(old.cursorRow - old.top)}${CLEAR_BELOW}`
  }

  /** Leaves the line standing and goes to the row below it. */
  leave(): string {
    const old = this.#drawn
    this.#drawn = undefined
    if (!old) return ''
    const last = Math.min(old.rows.length - 1, old.top + this.#height - 1)
    // The empty row that only holds the cursor after a full row is the row below already.
    const row = old.rows[last]
    const stands = row !== undefined && last > 0 && row.text === '' && old.rows[last - 1]?.wraps === true
    return `\r${'\n'.repeat(last - old.cursorRow + (stands ? 0 : 1))}`
  }

  /** Forgets what was drawn: something else wrote over it. */
  forget(): void {
    this.#drawn = undefined
  }

  /**
   * The terminal has another size: draws `view` anew.
   * Assumes that the terminal has re-wrapped what stood there, as all but the oldest do.
   */
  resize(columns: number, rows: number, view: View | undefined): string {
    const old = this.#drawn
    this.#columns = Math.max(2, columns)
    this.#height = Math.max(1, rows)
    this.#drawn = undefined
    if (!old || !view) return ''
    const before = layOut(Math.min(old.view.prompt.cells, this.#columns - 1), old.view.text, old.view.cursor, this.#columns)
    const above = Math.min(before.cursorRow, this.#height - 1)
    return `\r${up(above)}${CLEAR_BELOW}${this.render(view)}`
  }

  /** Typing at the end of the line: the characters themselves, and nothing else. */
  #append(old: Drawn, view: View): string | undefined {
    const added = view.text.slice(old.view.text.length)
    const atEnd = old.view.cursor === old.view.text.length && view.cursor === view.text.length
    if (!atEnd || added === '' || !isPlain(added) || old.cursorColumn + added.length >= this.#columns) return undefined
    if (old.view.prompt.text !== view.prompt.text || !view.text.startsWith(old.view.text)) return undefined
    const last = old.rows.at(-1)
    if (last === undefined || old.cursorRow !== old.rows.length - 1) return undefined
    const row = { ...last, text: last.text + added, end: last.end + added.length }
    this.#drawn = { ...old, view, rows: [...old.rows.slice(0, -1), row], cursorColumn: old.cursorColumn + added.length }
    return added
  }

  /** The first row to show so that the cursor is among the `height` rows. */
  #topFor(layout: Layout, top: number): number {
    if (layout.rows.length <= this.#height) return 0
    const lowest = Math.max(0, layout.cursorRow - this.#height + 1)
    const highest = Math.min(layout.cursorRow, layout.rows.length - this.#height)
    return Math.min(Math.max(top, lowest), Math.max(lowest, highest))
  }

  #drawAll(view: View, layout: Layout, top: number): string {
    const pen = new Pen(0, 0, this.#columns)
    if (top === 0) pen.write(view.prompt.text, view.prompt.cells)
    this.#writeRows(pen, [], layout.rows.slice(top, top + this.#height))
    pen.moveTo(layout.cursorRow - top, layout.cursorColumn)
    this.#drawn = { view, rows: layout.rows, top, cursorRow: layout.cursorRow, cursorColumn: layout.cursorColumn }
    return pen.out
  }

  #update(old: Drawn, view: View, layout: Layout, top: number): string {
    const pen = new Pen(old.cursorRow - top, old.cursorColumn, this.#columns)
    const before = old.rows.slice(top, top + this.#height)
    const rows = layout.rows.slice(top, top + this.#height)
    this.#writeRows(pen, before, rows)
    if (before.length > rows.length) {
      pen.moveTo(rows.length, 0)
      pen.out += CLEAR_BELOW
    }
    pen.moveTo(layout.cursorRow - top, layout.cursorColumn)
    this.#drawn = { view, rows: layout.rows, top, cursorRow: layout.cursorRow, cursorColumn: layout.cursorColumn }
    return pen.out
  }

  #writeRows(pen: Pen, before: readonly Row[], rows: readonly Row[]): void {
    rows.forEach((row, index) => {
      const old = before[index]
      const common = old && old.from === row.from ? commonPrefix(old.text, row.text) : 0
      const rest = row.text.slice(common)
      if (old && rest === '' && old.end === row.end) return
      const column = row.from + cells(row.text.slice(0, common))
      this.#goTo(pen, rows, index, column, old === undefined, rest)
      pen.write(rest, cells(rest))
      if (old && old.end > row.end) pen.out += CLEAR_RIGHT
    })
  }

  /** Goes to where a row is written; after a full row the terminal wraps by itself, which keeps copied lines whole. */
  #goTo(pen: Pen, rows: readonly Row[], index: number, column: number, isNew: boolean, rest: string): void {
    const wrapsInto = column === 0 && pen.row === index - 1 && pen.column === this.#columns && rows[index - 1]?.wraps === true
    if (wrapsInto && rest !== '') {
      pen.row = index
      pen.column = 0
    } else if (wrapsInto && isNew) {
      pen.out += ' \r'
      pen.row = index
      pen.column = 0
    } else pen.moveTo(index, column)
  }
}

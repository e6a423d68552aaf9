/** A line with its prompt, cut into the rows of a terminal. Pure. */
import { cellsOf, isPlain } from './cells.js'

/** What stands before the second and every later line of a line with newlines. */
export const CONTINUATION = '> '

export interface Row {
  /** What is written, from column `from` on: no control characters. */
  readonly text: string
  readonly from: number
  /** Column after the last character. */
  readonly end: number
  /** The row is full and goes on in the next one: the terminal wraps by itself. */
  readonly wraps: boolean
}
export interface Layout {
  readonly rows: readonly Row[]
  readonly cursorRow: number
  readonly cursorColumn: number
}

/** How a control character is shown: ^C, ^?; a lone surrogate as U+FFFD. */
function shown(codePoint: number): string {
  if (codePoint < 0x20) return `^${String.fromCharCode(codePoint + 0x40)}`
  if (codePoint >= 0x7f && codePoint < 0xa0) return codePoint === 0x7f ? '^?' : '\ufffd'
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return '\ufffd'
  return String.fromCodePoint(codePoint)
}

function isMark(character: string): boolean {
  return /^\p{M}/u.test(character)
}

class RowBuilder {
  readonly rows: Row[] = []
  #text = ''
  #from: number
  column: number

  constructor(
    from: number,
    readonly columns: number,
  ) {
    this.#from = from
    this.column = from
  }

  get row(): number {
    return this.rows.length
  }

  /** The next character has none before it that a combining mark could stand on. */
  bare = true

  /** Adds one character; a wide one that does not fit goes to the next row whole, as terminals do it. */
  add(character: string, cells: number): void {
    if (this.column + cells > this.columns) this.#wrap()
    this.#text += character
    this.column += cells
  }

  /** A place for the cursor after a full row is the start of the next one. */
  settle(): void {
    if (this.column >= this.columns) this.#wrap()
  }

  /** A full row is followed by an empty one whether or not the cursor stands there, so that moving it changes no rows. */
  newline(): void {
    this.settle()
    this.#push(false)
    this.#text = ''
    this.#from = 0
    this.column = 0
  }

  finish(): void {
    this.#push(false)
  }

  /** A run of one-cell characters, in slices instead of one by one. */
  addPlain(text: string): void {
    if (text !== '') this.bare = false
    let at = 0
    while (at < text.length) {
      this.settle()
      const part = text.slice(at, at + this.columns - this.column)
      this.#text += part
      this.column += part.length
      at += part.length
    }
  }

  #wrap(): void {
    this.#push(this.column === this.columns)
    this.#text = ''
    this.#from = 0
    this.column = 0
  }

  #push(wraps: boolean): void {
    this.rows.push({ text: this.#text, from: this.#from, end: this.column, wraps })
  }
}

function addCharacter(builder: RowBuilder, character: string): void {
  const codePoint = character.codePointAt(0) ?? 0
  if (codePoint === 9) {
    builder.settle()
    builder.bare = true
    const spaces = 8 - (builder.column % 8)
    for (let i = 0; i < spaces; i++) builder.add(' ', 1)
    return
  }
  // A combining mark with nothing to stand on would change the prompt's last cell: it gets a dotted circle.
  if (builder.bare && isMark(character)) builder.add('\u25cc', 1)
  for (const visible of shown(codePoint)) builder.add(visible, cellsOf(visible.codePointAt(0) ?? 0))
  builder.bare = codePoint < 0x20 || codePoint === 0x7f
}

function addText(builder: RowBuilder, text: string): void {
  if (isPlain(text)) {
    builder.addPlain(text)
    return
  }
  for (const character of text) {
    if (character !== '\n') {
      addCharacter(builder, character)
      continue
    }
    builder.newline()
    builder.addPlain(CONTINUATION)
    builder.bare = true
  }
}

/**
 * Cuts `text` into rows.
 * @param promptCells cells that the prompt takes on the first row; less than `columns`
 */
export function layOut(promptCells: number, text: string, cursor: number, columns: number): Layout {
  const builder = new RowBuilder(promptCells, columns)
  addText(builder, text.slice(0, cursor))
  // A combining character after the cursor still belongs on the full row; everything else starts the next one.
  builder.settle()
  const cursorRow = builder.row
  const cursorColumn = builder.column
  addText(builder, text.slice(cursor))
  builder.settle()
  builder.finish()
  return { rows: builder.rows, cursorRow, cursorColumn }
}

/**
 * A terminal small enough to trust: what xterm does with the bytes that the line editor sends.
 * Widths come from Unicode properties and not from the table under test.
 */
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}]$/u

function cellsOf(character: string): number {
  const code = character.codePointAt(0) ?? 0
  if (ZERO.test(character) && code !== 0xad) return 0
  const wide =
    (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff)
  const emoji = code >= 0x1f300 && code <= 0x1faff && /^\p{Emoji_Presentation}$/u.test(character)
  return wide || emoji || (code >= 0xff00 && code <= 0xff60) ? 2 : 1
}

export class Terminal {
  #rows: string[][] = [[]]
  row = 0
  column = 0
  /** Rows that scrolled away. */
  scrolled = 0
  readonly unknown: string[] = []

  constructor(
    readonly columns: number,
    readonly height = 10_000,
  ) {}

  write(text: string): this {
    const tokens = text.match(/\x1b\[[0-9;?]*[A-Za-z]|\x1b[^[]|[\s\S]/gu) ?? []
    for (const token of tokens) this.#token(token)
    return this
  }

  /** The text of every row, blanks at the end cut. */
  get lines(): string[] {
    const lines = this.#rows.map((row) =>
      Array.from(row, (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    )
    while (lines.length > 1 && lines.at(-1) === '') lines.pop()
    return lines
  }

  /** Where the next character would appear: a pending wrap is the start of the next row. */
  get place(): [number, number] {
    return this.column >= this.columns ? [this.row + 1, 0] : [this.row, this.column]
  }

  #line(): string[] {
    while (this.#rows.length <= this.row) this.#rows.push([])
    return this.#rows[this.row] ?? []
  }

  #token(token: string): void {
    if (token === '\r') this.column = 0
    else if (token === '\n') this.#feed()
    else if (token === '\b') this.column = Math.max(0, Math.min(this.column, this.columns - 1) - 1)
    else if (token === '\x07') return
    else if (token.startsWith('\x1b')) this.#escape(token)
    else if (token < ' ') this.unknown.push(token)
    else this.#put(token)
  }

  #feed(): void {
    this.row += 1
    this.#line()
    if (this.row < this.height) return
    this.#rows.shift()
    this.row -= 1
    this.scrolled += 1
  }

  #put(character: string): void {
    const cells = cellsOf(character)
    if (cells === 0) {
      const line = this.#line()
      let at = this.column - 1
      while (at > 0 && line[at] === '') at--
      if (at >= 0) line[at] = (line[at] ?? ' ') + character
      return
    }
    if (this.column + cells > this.columns) {
      this.column = 0
      this.#feed()
    }
    const line = this.#line()
    for (let i = line.length; i < this.column; i++) line[i] = ' '
    line[this.column] = character
    if (cells === 2) line[this.column + 1] = ''
    this.column += cells
  }

  #escape(token: string): void {
    const n = Number.parseInt(token.slice(2), 10) || 1
    const line = this.#line()
    if (token.endsWith('A')) this.row = Math.max(0, this.row - n)
    else if (token.endsWith('C')) this.column = Math.min(this.columns - 1, this.column + n)
    else if (token === '\x1b[K') line.length = Math.min(line.length, this.column)
    else if (token === '\x1b[J') {
      line.length = Math.min(line.length, this.column)
      this.#rows.length = this.row + 1
    } else if (!token.endsWith('m')) this.unknown.push(token)
  }
}

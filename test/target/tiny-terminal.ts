/** Just enough of a terminal to see what the picker draws; anything that it does not know is an error. */
import stringWidth from 'string-width'

export class TinyTerminal {
  alternate = false
  wraps = true
  cursorShown = true
  row = 0
  column = 0
  readonly columns: number
  readonly rows: number
  #cells: string[][] = []
  #reverse: boolean[] = []
  #reversing = false

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
    this.#clear()
  }

  get lines(): string[] {
    return this.#cells.map((cells) => cells.join('').trimEnd())
  }
  /** The line that is drawn in reverse. */
  get chosen(): string | undefined {
    const at = this.#reverse.indexOf(true)
    return at < 0 ? undefined : this.lines[at]
  }

  write(text: string): void {
    let rest = text
    while (rest !== '') {
      const control = /^\x1b\[(\??)([\d;]*)([A-Za-z])/.exec(rest)
      if (control) {
        this.#control(control[1] === '?', control[2] ?? '', control[3] ?? '')
        rest = rest.slice(control[0].length)
        continue
      }
      const [{ segment } = { segment: '' }] = new Intl.Segmenter().segment(rest)
      if (/[\x00-\x1f\x7f-\x9f]/.test(segment)) throw new Error(`the terminal was sent ${JSON.stringify(rest.slice(0, 20))}`)
      this.#put(segment)
      rest = rest.slice(segment.length)
    }
  }

  #put(segment: string): void {
    const width = stringWidth(segment)
    if (this.column + width > this.columns) throw new Error(`"${segment}" stands beyond column ${this.columns} of "${this.lines[this.row]}"`)
    const cells = this.#cells[this.row]
    if (!cells) throw new Error(`row ${this.row} of ${this.rows}`)
    cells[this.column] = segment
    for (let i = 1; i < width; i++) cells[this.column + i] = ''
    this.column += width
    if (this.#reversing) this.#reverse[this.row] = true
  }

  #control(isPrivate: boolean, parameters: string, final: string): void {
    const numbers = parameters.split(';').map((one) => (one === '' ? 0 : Number(one)))
    if (isPrivate) this.#mode(parameters, final === 'h')
    else if (final === 'H') {
      this.row = Math.max(1, numbers[0] ?? 1) - 1
      this.column = Math.max(1, numbers[1] ?? 1) - 1
    } else if (final === 'J' && parameters === '2') this.#clear()
    else if (final === 'K' && parameters === '2') {
      this.#cells[this.row] = Array<string>(this.columns).fill(' ')
      this.#reverse[this.row] = false
    } else if (final === 'm') {
      for (const number of numbers) this.#reversing = number === 7 || (number !== 0 && this.#reversing)
    } else throw new Error(`unknown control ${parameters}${final}`)
  }

  #mode(mode: string, on: boolean): void {
    if (mode === '1049') this.alternate = on
    else if (mode === '7') this.wraps = on
    else if (mode === '25') this.cursorShown = on
    else throw new Error(`unknown mode ${mode}`)
  }

  #clear(): void {
    this.#cells = Array.from({ length: this.rows }, () => Array<string>(this.columns).fill(' '))
    this.#reverse = Array<boolean>(this.rows).fill(false)
  }
}

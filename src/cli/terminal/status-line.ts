/** One line at the bottom of a terminal that is drawn over and over; nothing at all where there is no terminal. */
import { isTerminal, type TerminalOutput } from '../streams.js'
import { cut } from '../text/width.js'

/** Redrawn at most this often; the last text is always drawn by `flush`. */
const REDRAW_MS = 80

export class StatusLine {
  readonly #output: TerminalOutput
  readonly #now: () => number
  readonly #isShown: boolean
  #drawnAt = Number.NEGATIVE_INFINITY
  #drawn = ''

  constructor(output: TerminalOutput, now: () => number = () => performance.now()) {
    this.#output = output
    this.#now = now
    this.#isShown = isTerminal(output)
  }

  /** `text` must be safe for a terminal. */
  update(text: string): void {
    if (!this.#isShown || this.#now() - this.#drawnAt < REDRAW_MS) return
    this.flush(text)
  }

  flush(text: string): void {
    if (!this.#isShown) return
    this.#drawnAt = this.#now()
    const fitted = cut(text, (this.#output.columns || 80) - 1)
    if (fitted === this.#drawn) return
    this.#drawn = fitted
    this.#output.write(`\r\x1b[K${fitted}`)
  }

  /** Prints lines above it. */
  print(lines: string): void {
    this.clear()
    this.#output.write(lines)
  }

  clear(): void {
    if (this.#drawn !== '') this.#output.write('\r\x1b[K')
    this.#drawn = ''
    this.#drawnAt = Number.NEGATIVE_INFINITY
  }
}

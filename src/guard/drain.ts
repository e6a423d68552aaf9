/** Reads the terminal empty after a line that was given input: what nobody read becomes input of the editor. */
import { DRAINED, type MarkFacts, makeNonce } from './pipe-lines.js'

export interface DrainParts {
  /** Has the shell read up to `sentinel`. */
  readonly ask: (sentinel: string) => void
  /** Writes to the terminal, behind all that was written to it. */
  readonly write: (text: string) => void
  readonly later: (ms: number, callback: () => void) => () => void
  /** `unread` is what came back; undefined when the terminal could not be read empty. */
  readonly done: (unread: Buffer | undefined) => void
}

/** For one answer. It takes a few milliseconds; a terminal that a program stopped (Ctrl-S) or filled takes its time. */
const LIMIT_MS = 2000
/** After a prompt without a mark: time for the mark, which comes first unless the drain was interrupted. */
const AGAIN_MS = 50
/** An interrupt that was on its way empties the queue, and the sentinel with it. */
const MAX_TRIES = 5

export class Drain {
  readonly #parts: DrainParts
  readonly #sentinels: string[] = []
  #tries = 0
  #cancels: (() => void)[] = []
  #output: Buffer[] = []
  #outputBytes = 0

  constructor(parts: DrainParts) {
    this.#parts = parts
    this.#ask()
  }

  /** The mark of the drain. Without its last field it was interrupted, or a background program wrote into it. */
  answered(facts: MarkFacts | undefined): void {
    if (facts?.fields.at(-1) === DRAINED) this.#finish(Buffer.from(facts.fields.slice(0, -1).join('\n')))
    else this.#ask()
  }

  /** The shell has prompted: if the mark does not follow, the drain was interrupted. */
  prompted(): void {
    const tries = this.#tries
    this.#wait(AGAIN_MS, () => {
      if (this.#tries === tries) this.#ask()
    })
  }

  /** Output meanwhile; answers what may be shown: the terminal may have echoed the sentinel. */
  filter(bytes: Buffer | undefined, maxBytes: number): Buffer {
    if (bytes) {
      this.#output.push(bytes)
      this.#outputBytes += bytes.length
      if (this.#outputBytes <= maxBytes) return Buffer.alloc(0)
    }
    let text = Buffer.concat(this.#output).toString('latin1')
    this.#output = []
    this.#outputBytes = 0
    for (const sentinel of this.#sentinels) text = text.replaceAll(new RegExp(`(?:\\^U)?${sentinel}\\r?\\n?`, 'g'), '')
    return Buffer.from(text, 'latin1')
  }

  #ask(): void {
    this.#tries += 1
    this.#cancel()
    if (this.#tries > MAX_TRIES) {
      this.#finish(undefined)
      return
    }
    const sentinel = makeNonce()
    this.#sentinels.push(sentinel)
    this.#parts.ask(sentinel)
    this.#parts.write(`${sentinel}\n`)
    // A line of more than 4095 bytes lost its end, and the sentinel: Ctrl-U empties it. At last Ctrl-C ends the reading.
    this.#wait(LIMIT_MS, () => this.#parts.write(`\x15${sentinel}\n`))
    this.#wait(2 * LIMIT_MS, () => this.#parts.write(`\x03${sentinel}\n`))
    this.#wait(3 * LIMIT_MS, () => this.#finish(undefined))
  }

  #wait(ms: number, callback: () => void): void {
    this.#cancels.push(this.#parts.later(ms, callback))
  }

  #cancel(): void {
    for (const cancel of this.#cancels) cancel()
    this.#cancels = []
  }

  #finish(unread: Buffer | undefined): void {
    this.#cancel()
    this.#parts.done(unread)
  }
}

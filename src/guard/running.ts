/** RUN: one line in the shell, from its commit to the mark that ends it. */
import type { Clock } from './clock.js'
import type { MarkFacts } from './pipe-lines.js'
import type { TargetShell } from './target-shell.js'

export interface RunningParts {
  readonly shell: TargetShell
  readonly clock: Clock
  readonly later: (ms: number, callback: () => void) => () => void
  /** The line is over; the shell waits for the next one. */
  readonly over: (facts: MarkFacts) => void
  /** The program has the terminal: what was typed before may go there now. */
  readonly letGo: () => void
  readonly lost: (why: string) => void
  /** Whether something waits to go to the terminal. */
  readonly hasTypeAhead: () => boolean
}

/**
 * What was typed before the line ran waits so long before it goes to the terminal. A program that reads has it then;
 * after one that does not, the next line is here already and need not be read back.
 */
const TYPE_AHEAD_MS = 30
/** Mark and prompt are printed together; a prompt that was taken away is waited for this long. */
const PROMPT_MS = 100
/** Between two questions where the shell stands; doubles each time, so that a program that prints our prompt all day fills no pipe. */
const KNOCK_MS = 25
const MAX_KNOCK_MS = 60_000
/** In a shell without prompts the question is asked after so long, and again after a key that may have interrupted the line. */
const PROBE_MS = 50
const MAX_KNOCKS = 64
/** Between such a key and the question: time for the program to end. */
const KEY_MS = 20
const MAX_UNREADABLE = 6
const CTRL_C = 0x03
const CTRL_BACKSLASH = 0x1c

export class Running {
  readonly startedAt: number
  readonly #parts: RunningParts
  #facts: MarkFacts | undefined
  #over = false
  #touched = false
  #holds = true
  #knocks = 0
  #knocking = false
  #keyKnocks = 0
  #unreadable = 0

  /** @param seq of the command event; undefined for the `exit` of Ctrl-D. @param changesSettings the line calls stty itself */
  constructor(
    readonly seq: number | undefined,
    readonly changesSettings: boolean,
    parts: RunningParts,
  ) {
    this.#parts = parts
    this.startedAt = parts.clock.now()
  }

  /** It has not begun, or bytes typed before it began still wait: what comes now must queue behind them. */
  get holds(): boolean {
    return this.#holds
  }
  /** Client bytes went to the terminal. */
  get touched(): boolean {
    return this.#touched
  }

  /** The shell has read the whole line and runs it: from now on a Ctrl-C is the program's, and the terminal may be written to. */
  begun(): void {
    if (!this.#parts.shell.printsPrompt) this.#later(PROBE_MS, () => this.#knock())
    if (this.#parts.hasTypeAhead()) this.#later(TYPE_AHEAD_MS, () => this.#letGo())
    else this.#letGo()
  }

  /** Bytes go to the terminal. */
  touch(bytes: Buffer): void {
    this.#touched = true
    const interrupts = bytes.includes(CTRL_C) || bytes.includes(CTRL_BACKSLASH)
    if (interrupts && !this.#parts.shell.printsPrompt && this.#keyKnocks < MAX_KNOCKS) {
      this.#keyKnocks += 1
      this.#later(KEY_MS, () => {
        if (!this.#facts) this.#parts.shell.knock()
      })
    }
  }

  /** The shell takes lines again, and is shielded. */
  answered(): void {
    if (this.#facts) return
    // The terminal's settings may be what makes the marks unreadable.
    if (this.#unreadable > 0) this.#parts.shell.restoreSettings()
    this.#parts.shell.query()
  }

  /** The mark at the end of the line, or the answer to a question. */
  marked(facts: MarkFacts | undefined): void {
    if (!facts) {
      this.#unreadable += 1
      if (this.#unreadable > MAX_UNREADABLE) this.#parts.lost('its marks cannot be read')
      return
    }
    this.#facts = facts
    if (this.#parts.shell.printsPrompt) this.#later(PROMPT_MS, () => this.#end())
    else this.#end()
  }

  /** The prompt comes after the mark; alone it says that the line was interrupted. It can be forged, so the shell is asked. */
  prompted(): void {
    if (this.#facts) this.#end()
    else this.#knock()
  }

  #end(): void {
    if (this.#over || !this.#facts) return
    this.#over = true
    this.#parts.over(this.#facts)
  }

  #letGo(): void {
    this.#holds = false
    this.#parts.letGo()
  }

  #later(ms: number, callback: () => void): void {
    this.#parts.later(ms, () => {
      if (!this.#over) callback()
    })
  }

  /** Only the answer to a question that was asked now says that the shell is there. */
  #knock(): void {
    if (this.#knocking) return
    this.#knocking = true
    const { shell } = this.#parts
    this.#later(this.#knocks === 0 ? 0 : Math.min(MAX_KNOCK_MS, KNOCK_MS * 2 ** this.#knocks), () => {
      if (this.#facts) return
      this.#knocking = false
      this.#knocks += 1
      shell.knock()
      // Without prompts nothing would tell that this one was lost to an interrupt.
      if (!shell.printsPrompt && this.#knocks < MAX_KNOCKS) this.#knock()
    })
  }
}

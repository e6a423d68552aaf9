/** Taking over the terminal, and giving it back on every way out: end, error, signal, exit. */
import { writeSync } from 'node:fs'
import type { CliStreams } from '../streams.js'

export interface HoldOptions {
  /** Draw on the alternate screen without a cursor; what stood on the terminal is back afterwards. */
  readonly screen?: boolean
  /** Signals end the program after the terminal is back, with 128 + their number. Default true. */
  readonly signals?: boolean
}

const ENTER_SCREEN = '\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H'
/**
 * Leaves the alternate screen, shows the cursor, and switches off what a program or a recording may have left on: colours,
 * scroll region, mouse, bracketed paste, application keys, reverse screen, focus events (xterm control sequences).
 */
export const RESET_MODES = '\x1b[0m\x1b[r\x1b[?1;5;6;9;1000;1002;1003;1004;1005;1006;1015;2004l\x1b[?7;25h\x1b>\x1b(B\x0f'
const LEAVE_SCREEN = `${RESET_MODES}\x1b[?1049l\x1b[?25h`
/** kill(1) and a lost terminal; raw mode makes Ctrl-C a key. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** Holds a terminal in raw mode until `release`. Only one at a time. */
export class TerminalHold {
  readonly #streams: CliStreams
  readonly #screen: boolean
  readonly #onExit = (): void => this.release()
  readonly #onContinue = (): void => this.#enter()
  readonly #handlers = new Map<NodeJS.Signals, () => void>()
  #held = true

  constructor(streams: CliStreams, options: HoldOptions = {}) {
    this.#streams = streams
    this.#screen = options.screen ?? false
    process.once('exit', this.#onExit)
    process.on('SIGCONT', this.#onContinue)
    if (options.signals ?? true) {
      for (const [name, number] of Object.entries(SIGNALS)) this.#onSignal(name as NodeJS.Signals, 128 + number)
    }
    this.#enter()
  }

  /** Gives the terminal back; may be called twice. */
  release(): void {
    if (!this.#held) return
    this.#held = false
    process.off('exit', this.#onExit).off('SIGCONT', this.#onContinue)
    for (const [name, handler] of this.#handlers) process.off(name, handler)
    const { stdin } = this.#streams
    try {
      stdin.setRawMode?.(false)
    } catch {
      // the terminal is gone (EIO): there is nothing to give back
    }
    stdin.pause()
    if (this.#screen) this.#writeNow(LEAVE_SCREEN)
  }

  #enter(): void {
    this.#streams.stdin.setRawMode?.(true)
    if (this.#screen) this.#writeNow(ENTER_SCREEN)
  }

  #onSignal(name: NodeJS.Signals, code: number): void {
    const handler = (): void => {
      this.release()
      process.exit(code)
    }
    this.#handlers.set(name, handler)
    process.on(name, handler)
  }

  /** In an exit handler only what is written at once is written at all. */
  #writeNow(text: string): void {
    const { stdout } = this.#streams
    if (stdout !== process.stdout) {
      stdout.write(text)
      return
    }
    try {
      writeSync(1, text)
    } catch {
      // full (EAGAIN) or gone (EIO): the stream may still bring it
      stdout.write(text)
    }
  }
}

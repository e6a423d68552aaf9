/** Screens of a recording: a terminal that sees its output and can print what it shows, so that a replay can begin in the middle. */
import { SerializeAddon } from '@xterm/addon-serialize'
import xterm from '@xterm/headless'
import type { CastEvent, CastHeader } from './asciicast.js'
import { parseCastSize } from './asciicast.js'

/** What a terminal shows before a block of a recording. */
export interface Keyframe {
  readonly seconds: number
  /** Number of the block that follows. */
  readonly block: number
  readonly columns: number
  readonly rows: number
  /** Text that makes an empty terminal of this size show it. */
  readonly screen: string
}

/** Sizes come from a recording: nobody has more cells than this. */
const MAX_COLUMNS = 1000
const MAX_ROWS = 500
/** No screen shows more: of a burst only the end has to be looked at. */
const MAX_PENDING = 64 * 1024

export class ScreenReplay {
  readonly #terminal: InstanceType<typeof xterm.Terminal>
  readonly #serializer = new SerializeAddon()
  #pending: string[] = []
  #pendingLength = 0

  constructor({ width, height }: Pick<CastHeader, 'width' | 'height'>) {
    this.#terminal = new xterm.Terminal({ cols: cells(width, MAX_COLUMNS), rows: cells(height, MAX_ROWS), scrollback: 0, allowProposedApi: true })
    this.#terminal.loadAddon(this.#serializer)
  }

  get columns(): number {
    return this.#terminal.cols
  }
  get rows(): number {
    return this.#terminal.rows
  }

  /** Resolves when the terminal has taken it in. */
  async feed(events: readonly CastEvent[]): Promise<void> {
    for (const { code, data } of events) {
      if (code === 'o' || code === 'e') {
        this.#pending.push(data)
        this.#pendingLength += data.length
        if (this.#pendingLength > MAX_PENDING) await this.#flush()
      } else if (code === 'r') {
        await this.#flush()
        const size = parseCastSize(data)
        if (size) this.#terminal.resize(cells(size.columns, MAX_COLUMNS), cells(size.rows, MAX_ROWS))
      }
    }
    await this.#flush()
  }

  screen(): string {
    return this.#serializer.serialize({ scrollback: 0 })
  }

  close(): void {
    this.#terminal.dispose()
  }

  async #flush(): Promise<void> {
    if (this.#pending.length === 0) return
    const text = this.#pending.join('')
    this.#pending = []
    this.#pendingLength = 0
    await new Promise<void>((resolve) => this.#terminal.write(text, resolve))
  }
}

function cells(value: number, max: number): number {
  return Math.min(Math.max(Math.floor(value) || 1, 2), max)
}

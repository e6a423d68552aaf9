/** A replay in the terminal: keys, the status line while it stands still, the terminal back whatever happens. */
import { type CliStreams, widthOf, writeOut } from '../streams.js'
import { RESET_MODES, TerminalHold } from '../terminal/hold.js'
import { readKeys } from '../terminal/keys.js'
import { safe } from '../text/safe.js'
import { cut, pad } from '../text/width.js'
import { DrawingFilter } from './filter.js'
import { Playback } from './playback.js'
import type { Timeline } from './timeline.js'

export interface ReplayOptions {
  readonly speed: number
  readonly startMs: number
  /** Do not play: show the moment and wait. */
  readonly paused: boolean
  readonly title: string
}

/** What is drawn again after a jump: more than any screen needs, and quick. */
const REDRAW_CHARACTERS = 4 * 1024 * 1024
/** Far enough ahead that a timer need not be longer. */
const MAX_WAIT_MS = 60_000

/** Plays until `q`, Ctrl-C or the end of input. Needs a terminal at both ends. */
export async function replayInTerminal(streams: CliStreams, timeline: Timeline, options: ReplayOptions): Promise<void> {
  const hold = new TerminalHold(streams, { screen: true })
  try {
    await new Screen(streams, timeline, options).play()
  } finally {
    hold.release()
  }
}

class Screen {
  readonly #streams: CliStreams
  readonly #timeline: Timeline
  readonly #title: string
  readonly #playback: Playback
  #filter = new DrawingFilter()
  #shown = 0
  #keys: string[] = []
  #wake: () => void = () => {}
  #ended = false

  constructor(streams: CliStreams, timeline: Timeline, options: ReplayOptions) {
    this.#streams = streams
    this.#timeline = timeline
    this.#title = options.title
    this.#playback = new Playback(timeline, { ...options, now: performance.now() })
    if (options.paused) this.#playback.pause(performance.now())
  }

  async play(): Promise<void> {
    const { stdin, stdout } = this.#streams
    const onData = (bytes: Buffer): void => {
      this.#keys.push(...readKeys(bytes))
      this.#wake()
    }
    const onEnd = (): void => {
      this.#ended = true
      this.#wake()
    }
    const onResize = (): void => {
      this.#keys.push('redraw')
      this.#wake()
    }
    stdin.on('data', onData).on('end', onEnd)
    stdout.on('resize', onResize).on('close', onEnd)
    stdin.resume()
    try {
      await this.#redraw()
      await this.#loop()
    } finally {
      stdin.off('data', onData).off('end', onEnd)
      stdout.off('resize', onResize).off('close', onEnd)
    }
  }

  async #loop(): Promise<void> {
    while (!this.#ended) {
      const key = this.#keys.shift()
      if (key !== undefined) {
        const effect = this.#playback.press(key, performance.now())
        if (effect === 'quit') return
        if (effect === 'redraw') await this.#redraw()
        continue
      }
      await this.#draw()
      if (!this.#playback.paused && this.#shown >= this.#timeline.events.length) {
        this.#playback.pause(performance.now())
        await this.#status()
      }
      await this.#sleep(this.#playback.waitFor(this.#shown, performance.now()))
    }
  }

  /** Until a key comes, or this long. */
  async #sleep(ms: number | undefined): Promise<void> {
    if (this.#keys.length > 0 || this.#ended) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (ms !== undefined) timer = setTimeout(resolve, Math.min(ms, MAX_WAIT_MS))
    })
    clearTimeout(timer)
    this.#wake = () => {}
  }

  async #draw(): Promise<void> {
    const until = this.#timeline.countAt(this.#playback.position(performance.now()))
    if (until <= this.#shown) return
    const text = this.#filter.push(this.#timeline.output(this.#shown, until))
    this.#shown = until
    await writeOut(this.#streams.stdout, text)
  }

  /** The screen from nothing, as it was at this moment. */
  async #redraw(): Promise<void> {
    this.#filter = new DrawingFilter()
    this.#shown = this.#timeline.countAt(this.#playback.position(performance.now()))
    const text = this.#timeline.output(0, this.#shown).slice(-REDRAW_CHARACTERS)
    await writeOut(this.#streams.stdout, `${RESET_MODES}\x1b[?1049h\x1b[2J\x1b[H${this.#filter.push(text)}`)
    if (this.#playback.paused) await this.#status()
  }

  /** Only while it stands still: when it goes on, the screen is drawn anew, and no saved cursor of the recording is lost. */
  async #status(): Promise<void> {
    const { stdout } = this.#streams
    const width = widthOf(stdout) ?? 80
    const at = this.#playback.position(performance.now())
    const marker = this.#timeline.markerAt(at)
    const left = ` ${clock(at)} / ${clock(this.#timeline.durationMs)}  ${this.#playback.speed}x  ${marker ? `$ ${safe(marker)}` : this.#title}`
    const keys = '  space play  arrows seek, speed  , . step  [ ] command  q quit '
    const line = left.length + keys.length <= width ? pad(left, width - keys.length) + keys : pad(cut(left, width), width)
    await writeOut(stdout, `\x1b7\x1b[r\x1b[${stdout.rows || 24};1H\x1b[0;7m${line}\x1b[0m\x1b8`)
  }
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${seconds >= 3600 ? `${Math.floor(seconds / 3600)}:` : ''}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

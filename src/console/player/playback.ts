/** asciinema-player as the page uses it: seconds are the recording's, speed and skipped silence may change while it plays. */
import { create, type Player, type RecordingEvent } from 'asciinema-player'
import 'asciinema-player/dist/bundle/asciinema-player.css'
import { batch, type Signal, signal } from '@preact/signals'
import { type Cast, parseSize, shownText } from './cast.js'
import { TimeMap } from './time-map.js'

/** Silence longer than this is skipped, seconds. */
const IDLE_LIMIT = 2
export const SPEEDS: readonly number[] = [0.5, 1, 2, 4, 8]

export class Playback {
  /** Seconds of the recording. */
  readonly time: Signal<number>
  readonly isPlaying = signal(false)
  readonly speed = signal<number>(1)
  readonly skipsIdle = signal(true)
  readonly seconds: number
  readonly #cast: Cast
  readonly #place: HTMLElement
  #player: Player | undefined
  #map: TimeMap
  #frame = 0
  #isClosed = false

  constructor(cast: Cast, place: HTMLElement, startAt: number) {
    this.#cast = cast
    this.#place = place
    this.seconds = cast.seconds
    this.time = signal(Math.min(startAt, cast.seconds))
    this.#map = this.#newMap()
    this.#start()
  }

  async play(): Promise<void> {
    if (this.time.value >= this.seconds - 0.01) await this.seek(0)
    await this.#player?.play()
  }

  async toggle(): Promise<void> {
    if (this.isPlaying.value) await this.#player?.pause()
    else await this.play()
  }

  async seek(seconds: number): Promise<void> {
    const to = Math.min(this.seconds, Math.max(0, seconds))
    this.time.value = to
    await this.#player?.seek(this.#map.toPlayed(to))
  }

  setSpeed(speed: number): void {
    this.speed.value = speed
    this.#restart()
  }

  setSkipsIdle(skips: boolean): void {
    this.skipsIdle.value = skips
    this.#map = this.#newMap()
    this.#restart()
  }

  close(): void {
    this.#isClosed = true
    this.#stop()
  }

  #newMap(): TimeMap {
    const limit = this.skipsIdle.peek() ? IDLE_LIMIT : Number.POSITIVE_INFINITY
    return new TimeMap(
      this.#cast.events.map(([at]) => at),
      limit,
    )
  }

  #restart(): void {
    const wasPlaying = this.isPlaying.value
    this.#stop()
    this.#start()
    if (wasPlaying) void this.play().catch(() => {}) // closed meanwhile
  }

  #start(): void {
    const { columns, rows } = this.#cast
    // sizes belong to the recording, not to the options: those would hold against later resizes
    const player = create({ data: '', parser: () => ({ cols: columns, rows, events: this.#events() }) }, this.#place, {
      controls: false,
      preload: true,
      fit: 'both',
      theme: 'dockin',
      cursorMode: 'steady',
      terminalFontFamily: 'var(--mono)',
      speed: this.speed.peek(),
    })
    this.#player = player
    player.addEventListener('playing', () => this.#playing())
    player.addEventListener('pause', () => this.#paused())
    player.addEventListener('ended', () => {
      this.time.value = this.seconds
      this.#paused()
    })
    void player.seek(this.#map.toPlayed(this.time.peek())).catch(() => {}) // closed before it was ready
  }

  #stop(): void {
    cancelAnimationFrame(this.#frame)
    this.isPlaying.value = false
    this.#player?.dispose()
    this.#player = undefined
  }

  #playing(): void {
    this.isPlaying.value = true
    const step = (): void => {
      const player = this.#player
      if (this.#isClosed || !player || !this.isPlaying.peek()) return
      this.time.value = Math.min(this.seconds, this.#map.toRecorded(player.getCurrentTime()))
      this.#frame = requestAnimationFrame(step)
    }
    cancelAnimationFrame(this.#frame)
    step()
  }

  #paused(): void {
    batch(() => {
      cancelAnimationFrame(this.#frame)
      this.isPlaying.value = false
    })
  }

  /** What the player shows: output and sizes, in milliseconds of its own time. Markers are the time bar's. */
  *#events(): Generator<RecordingEvent> {
    const { hasTerminal, events } = this.#cast
    // the player takes no recording without events
    yield [0, 'o', '']
    for (const event of events) {
      const [at, code, data] = event
      const ms = this.#map.toPlayed(at) * 1000
      const text = shownText(event, hasTerminal)
      if (text !== undefined) yield [ms, 'o', text]
      else if (code === 'r' && parseSize(data)) yield [ms, 'r', data]
    }
    yield [this.#map.toPlayed(this.seconds) * 1000, 'o', '']
  }
}

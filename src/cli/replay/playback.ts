/** Where a replay stands and how fast it goes. Pure: the clock comes in. */
import type { Timeline } from './timeline.js'

export const SPEEDS: readonly number[] = [0.25, 0.5, 1, 2, 4, 8, 16, 32]
const SHORT_MS = 5000
const LONG_MS = 60_000

export type Effect = 'none' | 'redraw' | 'quit'

export class Playback {
  readonly timeline: Timeline
  #speed: number
  #paused = false
  #ms: number
  #since: number

  /** @param now milliseconds of any clock that goes forward */
  constructor(timeline: Timeline, options: { readonly speed: number; readonly startMs: number; readonly now: number }) {
    this.timeline = timeline
    this.#speed = options.speed
    this.#ms = Math.min(timeline.durationMs, Math.max(0, options.startMs))
    this.#since = options.now
  }

  get speed(): number {
    return this.#speed
  }

  get paused(): boolean {
    return this.#paused
  }

  position(now: number): number {
    const gone = this.#paused ? 0 : (now - this.#since) * this.#speed
    return Math.min(this.timeline.durationMs, this.#ms + gone)
  }

  /** Milliseconds of the clock until the event with this index; undefined while paused or when there is none. */
  waitFor(index: number, now: number): number | undefined {
    const event = this.timeline.events[index]
    if (this.#paused || !event) return undefined
    return Math.max(0, (event.atMs - this.position(now)) / this.#speed)
  }

  /** Stands still at the end. */
  pause(now: number): void {
    this.#settle(now)
    this.#paused = true
  }

  press(key: string, now: number): Effect {
    if (key === 'q' || key === 'ctrl-c' || key === 'ctrl-d') return 'quit'
    this.#settle(now)
    const at = this.#target(key)
    if (at !== undefined) this.#ms = Math.min(this.timeline.durationMs, Math.max(0, at))
    else if (key === 'space') this.#toggle()
    else if (key === 'up' || key === '+') this.#shiftSpeed(1)
    else if (key === 'down' || key === '-') this.#shiftSpeed(-1)
    else if (key !== 'redraw') return 'none'
    if (key === ',' || key === '.') this.#paused = true
    return 'redraw'
  }

  #target(key: string): number | undefined {
    const { timeline } = this
    const steps: Readonly<Record<string, () => number | undefined>> = {
      left: () => this.#ms - SHORT_MS,
      right: () => this.#ms + SHORT_MS,
      'shift-left': () => this.#ms - LONG_MS,
      'shift-right': () => this.#ms + LONG_MS,
      'page-up': () => this.#ms - LONG_MS,
      'page-down': () => this.#ms + LONG_MS,
      home: () => 0,
      end: () => timeline.durationMs,
      ',': () => timeline.near(this.#ms, -1, 'oe') ?? 0,
      '.': () => timeline.near(this.#ms, 1, 'oe') ?? timeline.durationMs,
      '[': () => timeline.near(this.#ms, -1, 'm') ?? 0,
      ']': () => timeline.near(this.#ms, 1, 'm') ?? timeline.durationMs,
    }
    if (/^\d$/.test(key)) return (timeline.durationMs * Number(key)) / 10
    return steps[key]?.()
  }

  #toggle(): void {
    this.#paused = !this.#paused
    if (!this.#paused && this.#ms >= this.timeline.durationMs) this.#ms = 0
  }

  #shiftSpeed(step: number): void {
    const nearest = SPEEDS.reduce((best, speed, i) => (Math.abs(speed - this.#speed) < Math.abs((SPEEDS[best] ?? 1) - this.#speed) ? i : best), 0)
    this.#speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, nearest + step))] ?? 1
  }

  #settle(now: number): void {
    this.#ms = this.position(now)
    this.#since = now
  }
}

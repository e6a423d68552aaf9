/** A recording laid out in time, silence shortened. Pure. */
import type { CastEvent } from '../../wire/asciicast.js'

export interface TimedEvent {
  /** Milliseconds from the start, silence shortened. */
  readonly atMs: number
  readonly code: string
  readonly data: string
}

export interface TimelineOptions {
  /** Longer silences are shortened to this; undefined: kept. */
  readonly idleLimitMs?: number | undefined
}

export class Timeline {
  readonly events: readonly TimedEvent[]
  readonly durationMs: number

  constructor(events: readonly CastEvent[], options: TimelineOptions = {}) {
    const limit = options.idleLimitMs ?? Number.POSITIVE_INFINITY
    let last = 0
    let at = 0
    this.events = events.map(({ seconds, code, data }) => {
      // a clock that stepped back makes no time run backwards
      at += Math.min(limit, Math.max(0, seconds * 1000 - last))
      last = Math.max(last, seconds * 1000)
      return { atMs: at, code, data }
    })
    this.durationMs = at
  }

  /** How many events have happened at `ms`. */
  countAt(ms: number): number {
    let low = 0
    let high = this.events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.events[middle]?.atMs ?? 0) <= ms) low = middle + 1
      else high = middle
    }
    return low
  }

  /** What was drawn by the events from `from` up to `to` (exclusive). */
  output(from: number, to: number): string {
    let text = ''
    for (let i = from; i < to; i++) {
      const event = this.events[i]
      if (event && (event.code === 'o' || event.code === 'e')) text += event.data
    }
    return text
  }

  /** Where the next or the previous event of this kind stands, seen from `ms`; undefined: there is none. */
  near(ms: number, step: 1 | -1, codes: string): number | undefined {
    const matches = (event: TimedEvent) => codes.includes(event.code)
    if (step > 0) return this.events.find((event) => event.atMs > ms && matches(event))?.atMs
    return this.events.findLast((event) => event.atMs < ms && matches(event))?.atMs
  }

  /** The marker (a command) that is current at `ms`. */
  markerAt(ms: number): string | undefined {
    return this.events.slice(0, this.countAt(ms)).findLast((event) => event.code === 'm')?.data
  }
}

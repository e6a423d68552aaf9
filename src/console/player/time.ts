/** How the recording's clock passes while one watches: silence beyond a limit passes faster, evenly, so that the clock never jumps. */
import type { CastEvent } from './cast.js'

/** Silence longer than this is skipped, seconds of watching. */
export const IDLE_LIMIT = 2

/**
 * Where the clock stands after some watching.
 * @param next index of the first event that was not shown
 * @param begin second before the first of them
 * @param shown second of the recording at which it stood
 * @param watched seconds of watching, at the chosen speed
 * @returns undefined when the events do not reach so far: there the clock has to wait
 */
export function passed(events: readonly CastEvent[], next: number, begin: number, shown: number, watched: number, skipsIdle: boolean): number | undefined {
  let [at, left] = [shown, watched]
  for (let index = next; ; index++) {
    const event = events[index]
    if (!event) return undefined
    const gapStart = events[index - 1]?.[0] ?? begin
    const gap = event[0] - gapStart
    const rate = skipsIdle && gap > IDLE_LIMIT ? gap / IDLE_LIMIT : 1
    const wanted = (event[0] - at) / rate
    if (wanted > left) return at + left * rate
    left -= Math.max(0, wanted)
    at = Math.max(at, event[0])
  }
}

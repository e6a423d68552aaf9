/**
 * From seconds of the recording to seconds of the player and back. They differ where silence is skipped: a gap longer than
 * the limit plays for the limit.
 */
export class TimeMap {
  /** Ends of shortened gaps, in both times; between them both run alike. */
  readonly #recorded: number[] = [0]
  readonly #played: number[] = [0]
  readonly #limit: number

  /** @param seconds of the events, ascending; @param limit longest silence, seconds; Infinity keeps all */
  constructor(seconds: Iterable<number>, limit: number) {
    this.#limit = limit
    let before = 0
    let cut = 0
    for (const at of seconds) {
      const gap = at - before
      if (gap > limit) {
        cut += gap - limit
        this.#recorded.push(at)
        this.#played.push(at - cut)
      }
      before = Math.max(before, at)
    }
  }

  toPlayed(recorded: number): number {
    const at = lastAtMost(this.#recorded, recorded)
    const base = this.#played[at] ?? 0
    const gap = this.#gapAfter(at)
    const played = base + recorded - (this.#recorded[at] ?? 0)
    if (!gap || recorded <= gap.start) return played
    return gap.playedStart + (this.#limit * (recorded - gap.start)) / (gap.end - gap.start)
  }

  toRecorded(played: number): number {
    const at = lastAtMost(this.#played, played)
    const gap = this.#gapAfter(at)
    if (!gap || played <= gap.playedStart) return (this.#recorded[at] ?? 0) + played - (this.#played[at] ?? 0)
    return gap.start + ((gap.end - gap.start) * (played - gap.playedStart)) / this.#limit
  }

  /** A shortened gap passes evenly, so that the clock never jumps. */
  #gapAfter(at: number): { readonly start: number; readonly end: number; readonly playedStart: number } | undefined {
    const end = this.#recorded[at + 1]
    const playedEnd = this.#played[at + 1]
    if (end === undefined || playedEnd === undefined) return undefined
    const playedStart = playedEnd - this.#limit
    return { start: (this.#recorded[at] ?? 0) + playedStart - (this.#played[at] ?? 0), end, playedStart }
  }
}

/** Index of the last value that is not above; 0 when all are. */
function lastAtMost(values: readonly number[], value: number): number {
  let low = 0
  let high = values.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((values[middle] ?? 0) <= value) low = middle
    else high = middle - 1
  }
  return low
}

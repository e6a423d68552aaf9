/** The time of events: the wall clock, never backwards. */
export class AuditClock {
  readonly #now: () => number
  #lastMs: number
  #text: string
  #behind = false

  /** @param now milliseconds since 1970; @param last time of the newest event there is, as text */
  constructor(now: () => number, last: string | undefined) {
    this.#now = now
    this.#lastMs = last === undefined ? Number.NEGATIVE_INFINITY : Date.parse(last)
    this.#text = last ?? ''
  }

  /** RFC 3339, milliseconds, UTC. The wall clock, or the last answer while the wall clock is behind it. */
  read(): string {
    const now = this.#now()
    if (now > this.#lastMs) {
      this.#lastMs = now
      this.#text = new Date(now).toISOString()
    }
    return this.#text
  }

  /** The last answer again: for an event that belongs to the end of a day. */
  get last(): string {
    return this.#text
  }

  /** How far the wall clock stepped back, once for each time it does so by a second or more; else undefined. */
  steppedBackMs(): number | undefined {
    const behindMs = this.#lastMs - this.#now()
    if (behindMs <= 0) this.#behind = false
    if (behindMs < 1000 || this.#behind) return undefined
    this.#behind = true
    return behindMs
  }
}

/** The part of a recording that is here: it begins with a screen, and grows at its end as it is played. */
import type { CastEvent, CastHead, CastPart } from './cast.js'

/** Where a part begins. */
export type Place = { readonly from: number } | { readonly block: number }
export type FetchPart = (place: Place, signal: AbortSignal) => Promise<CastPart>

/** What has been played is let go of beyond this, in characters: seeking back then asks for it again. */
const MAX_CHARACTERS = 8 * 2 ** 20

export class Reel {
  readonly head: CastHead
  /** Second at which it began. */
  readonly begin: number
  /** Second of its screen; undefined once the beginning has been let go of. */
  #base: number | undefined
  #events: CastEvent[]
  #characters: number
  #next: number | undefined
  #total: number

  constructor(part: CastPart) {
    this.head = part
    this.begin = part.seconds
    this.#base = part.seconds
    this.#events = [...part.events]
    this.#characters = part.characters
    this.#next = part.next
    this.#total = part.total
  }

  get events(): readonly CastEvent[] {
    return this.#events
  }
  /** Block where what is not here begins; undefined when the recording ends here. */
  get next(): number | undefined {
    return this.#next
  }
  /** Seconds of the whole recording. */
  get total(): number {
    return this.#total
  }
  /** Second of the last event that is here. */
  get last(): number {
    return this.#events.at(-1)?.[0] ?? this.#base ?? 0
  }

  /** Whether the screen at that second can be made of what is here. */
  holds(seconds: number): boolean {
    return this.#base !== undefined && seconds >= this.#base && this.#reaches(seconds)
  }

  /** Whether it can be played up to there from a second at or before it. */
  #reaches(seconds: number): boolean {
    return this.#next === undefined || seconds < this.last
  }

  /** Whether playing on from `shown` leads there without another screen. */
  leadsTo(seconds: number, shown: number): boolean {
    return seconds >= shown && this.#reaches(seconds)
  }

  /** @param played events that have been shown @returns how many of them were let go of */
  append(part: CastPart, played: number): number {
    let gone = 0
    if (this.#characters + part.characters > MAX_CHARACTERS) {
      this.#base = undefined
      // the last that was shown says since when it has been silent
      gone = Math.max(0, played - 1)
      this.#events = this.#events.slice(gone)
      this.#characters = this.#events.reduce((sum, [, , data]) => sum + data.length, 0)
    }
    // one by one: a part has more events than a call may have arguments
    for (const event of part.events) this.#events.push(event)
    this.#characters += part.characters
    this.#next = part.next
    this.#total = Math.max(this.#total, part.total)
    return gone
  }
}

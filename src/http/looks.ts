/** Looks at recordings in parts. A player asks for a part at each jump and while it plays: one login at one recording is one look. */

/** A look goes on while the next part is asked for within so long. */
const LOOK_MS = 5 * 60_000
/** Looks that are remembered; of more the oldest count anew, as one event too many. */
const MAX_LOOKS = 10_000

export class Looks {
  readonly #now: () => number
  /** Who looks at what, and when its last part was asked for; the longest ago first. */
  readonly #looks = new Map<string, { atMs: number; readonly noted: Promise<unknown> }>()

  /** @param now milliseconds of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Resolves once the look's event rests; every part of a look waits for it. @throws what `write` throws, and the next part tries again */
  async note(key: string, write: () => Promise<unknown>): Promise<void> {
    const atMs = this.#now()
    const known = this.#looks.get(key)
    const look = known && atMs - known.atMs < LOOK_MS ? known : { atMs, noted: write() }
    look.atMs = atMs
    this.#looks.delete(key)
    this.#looks.set(key, look)
    const [oldest] = this.#looks.keys()
    if (this.#looks.size > MAX_LOOKS && oldest !== undefined) this.#looks.delete(oldest)
    try {
      await look.noted
    } catch (error) {
      if (this.#looks.get(key) === look) this.#looks.delete(key)
      throw error
    }
  }
}

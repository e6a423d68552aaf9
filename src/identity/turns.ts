/** Waiting in line: a few at a time in all, or one at a time per key. */
import { abortReason } from '../core/errors.js'

/** Gives the turn back; calling it again does nothing. */
export type Release = () => void

/** Lets `limit` holders in at a time, first come first served. Callers bound how many may wait. */
export class Turns {
  readonly #limit: number
  readonly #waiting = new Set<() => void>()
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Nobody holds a turn and nobody waits. */
  get isIdle(): boolean {
    return this.#taken === 0 && this.#waiting.size === 0
  }

  /** @throws OpsError the reason of `signal`, when it is aborted before the turn comes */
  async take(signal: AbortSignal): Promise<Release> {
    if (signal.aborted) throw abortReason(signal)
    if (this.#taken < this.#limit) this.#taken++
    else await this.#wait(signal)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#pass()
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        this.#waiting.delete(enter)
        reject(abortReason(signal))
      }
      this.#waiting.add(enter)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  /** Hands the turn to the next in line, or frees it. */
  #pass(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#taken--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}

/** One turn at a time per key. Keys that nobody holds or waits for take no memory. */
export class KeyedTurns {
  readonly #turns = new Map<string, Turns>()

  get size(): number {
    return this.#turns.size
  }

  /** @throws OpsError the reason of `signal`, when it is aborted before the turn comes */
  async take(key: string, signal: AbortSignal): Promise<Release> {
    const turns = this.#turns.get(key) ?? new Turns(1)
    this.#turns.set(key, turns)
    const forget = (): void => {
      if (turns.isIdle) this.#turns.delete(key)
    }
    try {
      const release = await turns.take(signal)
      return () => {
        release()
        forget()
      }
    } catch (error) {
      forget()
      throw error
    }
  }
}

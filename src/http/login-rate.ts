/** How many requests one login may make in a minute, whatever addresses they come from. */
import { OpsError } from '../core/errors.js'

const WINDOW_MS = 60_000
/** Logins counted at once; more of them in one minute begin a new count. */
const MAX_LOGINS = 20_000

export class LoginRate {
  readonly #perMinute: number
  readonly #now: () => number
  readonly #counts = new Map<string, number>()
  #beganMs: number

  constructor(perMinute: number, now: () => number = () => performance.now()) {
    this.#perMinute = perMinute
    this.#now = now
    this.#beganMs = now()
  }

  /** @param sid of the login @throws OpsError LIMIT_EXCEEDED */
  take(sid: string): void {
    const leftMs = this.#beganMs + WINDOW_MS - this.#now()
    if (leftMs <= 0 || this.#counts.size >= MAX_LOGINS) {
      this.#beganMs = this.#now()
      this.#counts.clear()
    }
    const count = (this.#counts.get(sid) ?? 0) + 1
    this.#counts.set(sid, count)
    if (count <= this.#perMinute) return
    const detail = `too many requests of this login, again in ${Math.ceil(leftMs / 1000)} seconds`
    throw new OpsError('LIMIT_EXCEEDED', `${count} requests of one login`, { detail })
  }
}

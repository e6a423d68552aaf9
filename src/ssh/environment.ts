/** Environment variables that a client may set: how to talk to it, nothing that steers a program (LD_PRELOAD, PATH, BASH_ENV). */

const ALLOWED = /^(LANG|LC_[A-Z]{1,32}|TZ|COLORTERM)$/
const MAX_VARIABLES = 32
const MAX_VALUE_CHARS = 256

/** What one channel has been given before its program starts. */
export class Environment {
  readonly #values = new Map<string, string>()

  /** @returns whether the variable was taken; clients go on either way */
  offer(name: string, value: string): boolean {
    if (!ALLOWED.test(name) || value.length > MAX_VALUE_CHARS || /\p{Cc}/u.test(value)) return false
    if (!this.#values.has(name) && this.#values.size >= MAX_VARIABLES) return false
    this.#values.set(name, value)
    return true
  }

  get values(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#values)
  }
}

/** The running sessions: list them, find one, end one, wait until all have ended. */
import type { OpsError } from '../core/errors.js'
import type { Session } from '../core/types.js'
import type { InputGate } from './lock.js'

export interface LiveSession {
  readonly session: Session
  readonly rule: string
  /** Its rule had a command list when it was opened: shells are guarded, exec lines were vetted. */
  readonly isGuarded: boolean
  /** Where it runs, once it does. */
  via(): string | undefined
  bytes(): { readonly in: number; readonly out: number }
  /** Shows a line to the user, where there is a terminal to show it on. */
  notify(text: string): void
  /** Ends the session; the user reads the reason. */
  end(reason: OpsError): void
  /** Holds what the user types while an admin says so. */
  readonly gate: InputGate
  readonly closed: Promise<void>
}

export class SessionRegistry {
  readonly #live = new Map<string, LiveSession>()

  get size(): number {
    return this.#live.size
  }

  /** Adds a session until it has closed. */
  add(live: LiveSession): void {
    const { id } = live.session
    this.#live.set(id, live)
    void live.closed.then(() => this.#live.delete(id))
  }

  find(id: string): LiveSession | undefined {
    return this.#live.get(id)
  }

  list(): readonly LiveSession[] {
    return [...this.#live.values()]
  }

  /** Ends every session for which `reason` answers one. Used when rules change and when a pod is gone. */
  endWhere(reason: (live: LiveSession) => OpsError | undefined): void {
    for (const live of this.list()) {
      const why = reason(live)
      if (why) live.end(why)
    }
  }

  /** Tells every terminal `notice`, lets sessions finish for `limitMs`, then ends the rest with `reason`. Resolves when none is left. */
  async drain(notice: string, limitMs: number, reason: () => OpsError): Promise<void> {
    if (this.#live.size === 0) return
    for (const live of this.list()) live.notify(notice)
    const timer = setTimeout(() => this.endWhere(reason), limitMs)
    try {
      while (this.#live.size > 0) await Promise.all(this.list().map((live) => live.closed))
    } finally {
      clearTimeout(timer)
    }
  }
}

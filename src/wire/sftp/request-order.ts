/**
 * Which requests of one session may run side by side. The draft (s6.1) asks that the result is the same as if they ran in
 * order for one file; OpenSSH's own server runs them in order. Reads go beside reads, writes beside writes that do not
 * overlap; what changes names or attributes waits for what was asked before, and is waited for.
 */

/** What a request does, as far as order matters. */
export interface Turn {
  /** `look` and `change` are about paths; the others are about one handle. `handle` is whatever changes or ends one. */
  readonly kind: 'look' | 'change' | 'read' | 'write' | 'handle'
  readonly handle?: number
  /** Of a write: the bytes it touches. An append touches all. */
  readonly from?: number
  readonly to?: number
}

export class RequestOrder {
  readonly #running = new Map<Turn, Promise<void>>()

  /** Runs `work` once all that must come before it is over. */
  run<Result>(turn: Turn, work: () => Promise<Result>): Promise<Result> {
    const before = this.#before(turn)
    const result = before.length === 0 ? work() : Promise.all(before).then(work)
    const over = result.then(
      () => {},
      () => {},
    )
    this.#running.set(turn, over)
    return result.finally(() => this.#running.delete(turn))
  }

  #before(turn: Turn): Promise<void>[] {
    const before: Promise<void>[] = []
    for (const [earlier, over] of this.#running) if (mustWait(earlier, turn)) before.push(over)
    return before
  }
}

function mustWait(earlier: Turn, later: Turn): boolean {
  if (earlier.handle !== undefined && later.handle !== undefined) return earlier.handle === later.handle && !mayMix(earlier, later)
  if (earlier.kind === 'change') return true
  if (earlier.handle !== undefined) return earlier.kind !== 'read'
  return later.kind === 'change'
}

/** Two requests on one handle. */
function mayMix(one: Turn, other: Turn): boolean {
  if (one.kind === 'read' && other.kind === 'read') return true
  if (one.kind !== 'write' || other.kind !== 'write') return false
  return one.from !== undefined && one.to !== undefined && other.from !== undefined && other.to !== undefined && (one.to <= other.from || other.to <= one.from)
}

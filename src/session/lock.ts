/**
 * A gate in the lane from the client to the program. While it is shut, what the user types waits: nothing is lost, nothing
 * grows (the lane pushes back to the client's window), and the program goes on.
 */
import { Transform } from 'node:stream'
import type { Stage } from '../core/types.js'

/** Who shut the gate. */
export interface LockFacts {
  readonly by: string
  readonly at: Date
  readonly reason?: string
}

export class InputGate {
  #facts: LockFacts | undefined
  #waiting: (() => void) | undefined

  /** Facts of the lock while it is shut. */
  get locked(): LockFacts | undefined {
    return this.#facts
  }

  /** @returns false when it was shut already; the first lock stays */
  lock(facts: LockFacts): boolean {
    if (this.#facts) return false
    this.#facts = facts
    return true
  }

  /** @returns false when it was open */
  unlock(): boolean {
    if (!this.#facts) return false
    this.#facts = undefined
    const go = this.#waiting
    this.#waiting = undefined
    go?.()
    return true
  }

  /** The first stage seen from the client. End-of-file waits as well: it is input. */
  stage(): Stage {
    const up = new Transform({
      highWaterMark: 64 * 1024,
      transform: (chunk: Buffer, _encoding, done) => this.#pass(() => done(null, chunk)),
      flush: (done) => this.#pass(() => done()),
    })
    return { name: 'lock', up }
  }

  #pass(go: () => void): void {
    if (this.#facts) this.#waiting = go
    else go()
  }
}

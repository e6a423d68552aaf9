/** Ends of children that node knows nothing of. */
import { constants } from 'node:os'
import type { ExitStatus } from '../src/core/types.js'
import type { Libc } from './libc.js'

/** A signal that came while another was handled is one with it (signal(7)); so the ended are also looked for now and then. */
const LOOK_INTERVAL_MS = 1000

export class Children {
  readonly #libc: Libc
  readonly #waiting = new Map<number, (status: number) => void>()
  readonly #look = () => this.#collect()
  #timer: NodeJS.Timeout | undefined

  constructor(libc: Libc) {
    this.#libc = libc
    process.on('SIGCHLD', this.#look)
  }

  /** Resolves with the wait status once `pid`, which nobody else waits for, has ended. */
  ended(pid: number): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.set(pid, resolve)
      this.#timer ??= setInterval(this.#look, LOOK_INTERVAL_MS)
      this.#collect(pid)
    })
  }

  close(): void {
    process.off('SIGCHLD', this.#look)
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #collect(only?: number): void {
    for (const [pid, resolve] of this.#waiting) {
      if (only !== undefined && pid !== only) continue
      const status = this.#libc.wait(pid)
      if (status === undefined) continue
      this.#waiting.delete(pid)
      resolve(status)
    }
    if (this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Reads a wait status (wait(2)): the signal in the low seven bits, else the code in the second byte. */
export function exitStatus(status: number): ExitStatus {
  const number = status & 0x7f
  if (number === 0) return { kind: 'exited', code: (status >> 8) & 0xff }
  const name = Object.entries(constants.signals).find((entry) => entry[1] === number)?.[0]
  return { kind: 'signaled', signal: name?.slice('SIG'.length) ?? String(number), coreDumped: (status & 0x80) !== 0 }
}

/** As docker and shells say it: a signal's number n is exit code 128+n. */
export function exitCodeStatus(status: number): ExitStatus {
  const number = status & 0x7f
  return { kind: 'exited', code: number === 0 ? (status >> 8) & 0xff : 128 + number }
}

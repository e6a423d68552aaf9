/** Ends of programs that became children of this process when the one that started them ended. */
import { constants } from 'node:os'
import type { ExitStatus } from '../../src/core/types.js'
import type { Libc } from './libc.js'

/** A signal that came while another was handled is one with it (signal(7)); so the ended are also looked for now and then. */
const LOOK_INTERVAL_MS = 1000

export class AdoptedChildren {
  readonly #libc: Libc
  readonly #waiting = new Map<number, (status: ExitStatus) => void>()
  readonly #look = () => this.#collect()
  #timer: NodeJS.Timeout | undefined

  /** From now on this process adopts what is orphaned below it. */
  constructor(libc: Libc) {
    this.#libc = libc
    libc.adoptOrphans()
    process.on('SIGCHLD', this.#look)
  }

  /** Resolves once `pid`, which nobody else waits for, has ended. A signal's number n is exit code 128+n, as docker and shells say it. */
  ended(pid: number): Promise<ExitStatus> {
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
      resolve(exitStatus(status))
    }
    if (this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Reads a wait status (wait(2)): the signal in the low seven bits, else the code in the second byte. -1: somebody else took it. */
export function exitStatus(status: number): ExitStatus {
  if (status < 0) return { kind: 'exited', code: 128 + constants.signals.SIGKILL }
  const signal = status & 0x7f
  return { kind: 'exited', code: signal === 0 ? (status >> 8) & 0xff : 128 + signal }
}

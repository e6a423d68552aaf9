/** A program and all that it started, as something that can be signalled and ended. */
import { constants } from 'node:os'
import { endFamily, familyOf, type ProcessEntry, type ProcessTable, signalAll } from './processes.js'

export interface Family {
  /** @param signal name without SIG; unknown names are passed over */
  signal(signal: string): Promise<void>
  /** SIGHUP, after 1 s SIGKILL to what is left. @returns how many could not be ended */
  end(): Promise<number>
}

/** "TERM" -> "SIGTERM"; undefined for what this system does not know. */
export function signalName(signal: string): NodeJS.Signals | undefined {
  const name = `SIG${signal}`
  return Object.hasOwn(constants.signals, name) ? (name as NodeJS.Signals) : undefined
}

/** A family in this machine's process table. */
export class HostFamily implements Family {
  readonly #table: ProcessTable
  readonly #leader: ProcessEntry

  constructor(table: ProcessTable, leader: ProcessEntry) {
    this.#table = table
    this.#leader = leader
  }

  async signal(signal: string): Promise<void> {
    const name = signalName(signal)
    if (name) signalAll(familyOf(await this.#table.snapshot(), this.#leader), name)
  }

  end(): Promise<number> {
    return endFamily(this.#table, this.#leader)
  }
}

/** How often ended programs are noticed. Asking costs a microsecond a program. */
const WATCH_INTERVAL_MS = 200

/** Notices the end of processes that are not children of this one. */
export class PidWatch {
  readonly #gone = new Map<number, (() => void)[]>()
  #timer: NodeJS.Timeout | undefined

  /** Resolves once no process has this pid, or `stop` aborts. */
  untilGone(pid: number, stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (stop.aborted || !exists(pid)) return resolve()
      const done = () => {
        stop.removeEventListener('abort', done)
        this.#forget(pid, done)
        resolve()
      }
      stop.addEventListener('abort', done)
      this.#gone.set(pid, [...(this.#gone.get(pid) ?? []), done])
      this.#timer ??= setInterval(() => this.#look(), WATCH_INTERVAL_MS)
    })
  }

  #look(): void {
    for (const [pid, callbacks] of this.#gone) {
      if (!exists(pid)) for (const callback of callbacks) callback()
    }
  }

  #forget(pid: number, callback: () => void): void {
    const left = (this.#gone.get(pid) ?? []).filter((one) => one !== callback)
    if (left.length > 0) this.#gone.set(pid, left)
    else this.#gone.delete(pid)
    if (this.#gone.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

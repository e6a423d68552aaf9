import { abortReason } from '../../src/core/errors.js'
import type { Clock } from '../../src/identity/throttle.js'

/** Time that moves only when someone waits or `pass` is called. Waits are kept, to be read by the test. */
export class TestClock implements Clock {
  readonly waits: number[] = []
  #now = 0
  now(): number {
    return this.#now
  }
  pass(ms: number): void {
    this.#now += ms
  }
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal)
    this.waits.push(ms)
    this.#now += ms
  }
}

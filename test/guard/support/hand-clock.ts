/** Time that passes when a test says so, and the turns of the event loop in which things settle. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../../src/guard/clock.js'

export class HandClock implements Clock {
  #now = 0
  #timers: { at: number; callback: () => void }[] = []
  now(): number {
    return this.#now
  }
  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }
  get waiting(): number {
    return this.#timers.length
  }
  async pass(ms: number): Promise<void> {
    this.#now += ms
    for (const timer of this.#timers.filter((one) => one.at <= this.#now)) {
      this.#timers = this.#timers.filter((one) => one !== timer)
      timer.callback()
    }
    await turns()
  }
}
export async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn()
}

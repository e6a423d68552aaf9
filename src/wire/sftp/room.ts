/** How many requests, and how many bytes of theirs, are held at once. */
import type { OpsError } from '../../core/errors.js'

/** For one taker at a time. One request is always let in, however large. */
export class Room {
  readonly #mostCount: number
  readonly #mostBytes: number
  #count = 0
  #bytes = 0
  #waiter: { readonly resolve: () => void; readonly reject: (error: OpsError) => void; readonly isFree: () => boolean } | undefined
  #closed: OpsError | undefined

  constructor(mostCount: number, mostBytes: number) {
    this.#mostCount = mostCount
    this.#mostBytes = mostBytes
  }

  /** Takes room, at once (undefined) or when the promise resolves. */
  take(bytes: number): Promise<void> | undefined {
    const isFree = () => this.#count === 0 || (this.#count < this.#mostCount && this.#bytes + bytes <= this.#mostBytes)
    const enter = () => {
      this.#count++
      this.#bytes += bytes
    }
    if (!this.#closed && isFree()) {
      enter()
      return undefined
    }
    return this.#wait(isFree).then(enter)
  }

  give(bytes: number): void {
    this.#count--
    this.#bytes -= bytes
    if (!this.#waiter?.isFree()) return
    const { resolve } = this.#waiter
    this.#waiter = undefined
    resolve()
  }

  /** Resolves when nothing is held. */
  async empty(): Promise<void> {
    if (this.#count > 0) await this.#wait(() => this.#count === 0)
  }

  /** Whoever waits, or will, is rejected. */
  close(error: OpsError): void {
    this.#closed ??= error
    this.#waiter?.reject(error)
    this.#waiter = undefined
  }

  #wait(isFree: () => boolean): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed)
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject, isFree }
    })
  }
}

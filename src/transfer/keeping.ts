/** The copy of one upload that its rule wants kept, up to a limit. */
import { FileError } from '../core/files.js'
import type { BeginCopy, KeptAt, KeptCopy } from '../core/kept-copy.js'

export interface KeepWish {
  /** Content beyond it is not kept. */
  readonly maxBytes: number
  readonly begin: BeginCopy
}

/** Takes content in order. What cannot be kept is not uploaded: `flushed` says so. */
export class Keeping {
  readonly #wish: KeepWish
  #copy: KeptCopy | undefined
  #waiting: Buffer[] = []
  #taken = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(wish: KeepWish) {
    this.#wish = wish
  }

  /** The next bytes of the content; copied, for they may be used again. */
  readonly take = (data: Buffer): void => {
    const wanted = data.subarray(0, this.#wish.maxBytes - this.#taken)
    this.#taken += wanted.length
    if (wanted.length > 0) this.#waiting.push(Buffer.from(wanted))
  }

  /** All that was taken is with the store. @throws FileError REFUSED */
  flushed(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#flush())
    this.#turn.catch(() => undefined) // whoever waits hears it
    return this.#turn
  }

  /** Content that passed out of order says nothing: the copy is made of what rests. */
  async again(): Promise<void> {
    await this.#turn.catch(() => undefined) // it begins anew
    await this.#copy?.discard()
    this.#copy = undefined
    this.#waiting = []
    this.#taken = 0
    this.#turn = Promise.resolve()
  }

  /** Resolves when the copy is durable. @throws FileError REFUSED */
  async finish(): Promise<KeptAt> {
    await this.flushed()
    try {
      this.#copy ??= await this.#wish.begin()
      return await this.#copy.finish()
    } catch (error) {
      throw unkept(error)
    }
  }

  async #flush(): Promise<void> {
    try {
      for (let data = this.#waiting.shift(); data; data = this.#waiting.shift()) {
        this.#copy ??= await this.#wish.begin()
        await this.#copy.add(data)
      }
    } catch (error) {
      throw unkept(error)
    }
  }
}

function unkept(cause: unknown): FileError {
  return new FileError('REFUSED', 'transfer refused: the copy that the rule wants kept for review cannot be kept', { cause })
}

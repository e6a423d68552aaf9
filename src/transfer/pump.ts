/** Moves the content of one file with several requests under way: a far back end answers each only after a while. */
import type { FileHandle } from '../core/files.js'

/** What one request carries and how many may be under way: enough for 500 MB/s over a way of 4 ms. */
const STEP_BYTES = 256 * 1024
const STEPS_UNDER_WAY = 8

/** Up to `bytes` from the start, in order; fewer when the file ends before. */
export async function* contentOf(handle: FileHandle, bytes: number): AsyncGenerator<Buffer> {
  const under: Promise<Buffer>[] = []
  let asked = 0
  try {
    for (let given = 0; given < bytes; ) {
      while (asked < bytes && under.length < STEPS_UNDER_WAY) {
        const reading = handle.read(asked, Math.min(STEP_BYTES, bytes - asked))
        reading.catch(() => undefined) // it is thrown in its turn
        under.push(reading)
        asked += STEP_BYTES
      }
      const data = await (under.shift() as Promise<Buffer>)
      if (data.length > 0) yield data
      given += data.length
      if (data.length < Math.min(STEP_BYTES, bytes - given + data.length)) return
    }
  } finally {
    await Promise.allSettled(under)
  }
}

/** Writes pieces one behind the other, gathered into steps. */
export class Filler {
  readonly #handle: FileHandle
  readonly #under = new Set<Promise<void>>()
  #pieces: Buffer[] = []
  #gathered = 0
  #at = 0
  #error: unknown

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Why writing failed; what is added after that is dropped. */
  get error(): unknown {
    return this.#error
  }

  /** Resolves when more may come. Never rejects: see `error`. */
  async add(data: Buffer): Promise<void> {
    if (this.#error !== undefined) return
    this.#pieces.push(data)
    this.#gathered += data.length
    if (this.#gathered < STEP_BYTES) return
    this.#send()
    if (this.#under.size >= STEPS_UNDER_WAY) await Promise.race(this.#under)
  }

  /** Resolves when all is written, or has failed. */
  async settle(): Promise<void> {
    if (this.#error === undefined && this.#gathered > 0) this.#send()
    await Promise.all(this.#under)
  }

  #send(): void {
    const data = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces)
    const writing = this.#handle.write(this.#at, data).catch((error: unknown) => {
      this.#error ??= error
    })
    this.#at += data.length
    this.#pieces = []
    this.#gathered = 0
    this.#under.add(writing)
    void writing.then(() => this.#under.delete(writing))
  }
}

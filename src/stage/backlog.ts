/** The last bytes that passed, without keeping a small buffer object for each key. */
const BLOCK_BYTES = 4096

interface Block {
  readonly bytes: Buffer
  used: number
}

export class Backlog {
  readonly #maxBytes: number
  #blocks: Block[] = []
  #held = 0
  #passed = 0

  /** @param maxBytes what is kept; up to one block of 4 KiB or one chunk more */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes that have passed in all. */
  get passed(): number {
    return this.#passed
  }

  /** How many bytes had passed before the first that is held. */
  get offset(): number {
    return this.#passed - this.#held
  }

  /** Small chunks are copied together, large ones kept as they are. */
  push(chunk: Buffer): void {
    this.#passed += chunk.length
    this.#held += chunk.length
    const tail = this.#blocks.at(-1)
    if (tail && chunk.length <= tail.bytes.length - tail.used) tail.used += chunk.copy(tail.bytes, tail.used)
    else if (chunk.length < BLOCK_BYTES) this.#blocks.push(blockOf(chunk))
    else this.#blocks.push({ bytes: chunk, used: chunk.length })
    this.#trim()
  }

  /** What is held, in one piece. */
  bytes(): Buffer {
    return Buffer.concat(this.#blocks.map(({ bytes, used }) => bytes.subarray(0, used)))
  }

  #trim(): void {
    for (let first = this.#blocks[0]; first && this.#held - first.used >= this.#maxBytes; first = this.#blocks[0]) {
      this.#held -= first.used
      this.#blocks.shift()
    }
  }
}

function blockOf(chunk: Buffer): Block {
  const bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  return { bytes, used: chunk.copy(bytes) }
}

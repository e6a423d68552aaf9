/** Cuts a byte stream into SFTP packets: each has its length in front, 4 bytes (draft s3). */
import { sftpError } from './fields.js'
import { PACKET_BYTES } from './limits.js'

/** Slack above PACKET_BYTES for peers that count the content without its header. */
const SLACK_BYTES = 16 * 1024
const LENGTH_BYTES = 4

/** Push a chunk, then take packets until there is none. Holds one packet and one chunk at most. */
export class PacketSplitter {
  readonly #most: number
  #chunk: Buffer = Buffer.alloc(0)
  /** A packet of which the first `#filled` bytes, its length among them, have come. */
  #partial: Buffer | undefined
  #filled = 0
  readonly #length = Buffer.alloc(LENGTH_BYTES)

  constructor(most = PACKET_BYTES + SLACK_BYTES) {
    this.#most = most
  }

  /** True between packets: an end here is in good order. */
  get isIdle(): boolean {
    return this.#chunk.length === 0 && this.#filled === 0
  }

  /** All packets of the chunk before must have been taken. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
  }

  /** A packet without its length: a view into the chunk where it lies in one. @throws OpsError PROTOCOL_ERROR at a length of 0 or above the limit */
  next(): Buffer | undefined {
    if (this.#filled === 0 && this.#chunk.length >= LENGTH_BYTES) {
      const length = this.#check(this.#chunk.readUInt32BE(0))
      const end = LENGTH_BYTES + length
      if (this.#chunk.length >= end) {
        const packet = this.#chunk.subarray(LENGTH_BYTES, end)
        this.#chunk = this.#chunk.subarray(end)
        return packet
      }
    }
    return this.#gather()
  }

  #gather(): Buffer | undefined {
    if (this.#chunk.length === 0) return undefined
    if (!this.#partial) {
      this.#move(this.#length, LENGTH_BYTES)
      if (this.#filled < LENGTH_BYTES) return undefined
      this.#partial = Buffer.allocUnsafe(LENGTH_BYTES + this.#check(this.#length.readUInt32BE(0)))
    }
    const partial = this.#partial
    this.#move(partial, partial.length)
    if (this.#filled < partial.length) return undefined
    this.#partial = undefined
    this.#filled = 0
    return partial.subarray(LENGTH_BYTES)
  }

  #move(to: Buffer, until: number): void {
    const moved = this.#chunk.copy(to, this.#filled, 0, until - this.#filled)
    this.#chunk = this.#chunk.subarray(moved)
    this.#filled += moved
  }

  #check(length: number): number {
    if (length === 0 || length > this.#most) throw sftpError(`a packet of ${length} bytes, of at most ${this.#most}`)
    return length
  }
}

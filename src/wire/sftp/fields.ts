/** The fields of SFTP packets as bytes; draft-ietf-secsh-filexfer-02 s3 to s5. */
import { OpsError } from '../../core/errors.js'

/** A packet that does not say what it should. `code` PROTOCOL_ERROR. */
export function sftpError(why: string): OpsError {
  return new OpsError('PROTOCOL_ERROR', `SFTP: ${why}`)
}

const TWO_32 = 2 ** 32

/** Reads fields one behind the other. `bytes` are views into the packet: whoever keeps them copies them. @throws OpsError PROTOCOL_ERROR when the packet ends early */
export class FieldReader {
  readonly #packet: Buffer
  #at: number

  constructor(packet: Buffer, at = 0) {
    this.#packet = packet
    this.#at = at
  }

  get left(): number {
    return this.#packet.length - this.#at
  }

  u8(): number {
    return this.#packet.readUInt8(this.#take(1))
  }

  u32(): number {
    return this.#packet.readUInt32BE(this.#take(4))
  }

  /** Above 2^53-1 it reads as 2^53-1: nothing that large can be meant. */
  u64(): number {
    const at = this.#take(8)
    return Math.min(this.#packet.readUInt32BE(at) * TWO_32 + this.#packet.readUInt32BE(at + 4), Number.MAX_SAFE_INTEGER)
  }

  bytes(): Buffer {
    const length = this.u32()
    const at = this.#take(length)
    return this.#packet.subarray(at, at + length)
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.left) throw sftpError(`a packet ends ${length - this.left} bytes early`)
    this.#at += length
    return at
  }
}

/** Collects fields. Content of 4 KiB and more is not copied: `take` answers it as a buffer of its own. */
export class FieldWriter {
  readonly #parts: Buffer[] = []
  #head = Buffer.allocUnsafe(256)
  #used = 4

  constructor(type: number) {
    this.u8(type)
  }

  u8(value: number): this {
    const at = this.#room(1)
    this.#head.writeUInt8(value, at)
    return this
  }

  u32(value: number): this {
    // the place first: it may exchange the head
    const at = this.#room(4)
    this.#head.writeUInt32BE(value >>> 0, at)
    return this
  }

  u64(value: number): this {
    const at = this.#room(8)
    this.#head.writeUInt32BE(Math.floor(value / TWO_32) >>> 0, at)
    this.#head.writeUInt32BE((value % TWO_32) >>> 0, at + 4)
    return this
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length)
    if (value.length < COPY_BYTES) {
      const at = this.#room(value.length)
      this.#head.set(value, at)
    } else {
      this.#cut()
      this.#parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    }
    return this
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value))
  }

  /** The packet with its length in front. The writer is of no more use. */
  take(): Buffer[] {
    this.#cut()
    const total = this.#parts.reduce((sum, part) => sum + part.length, 0)
    this.#parts[0]?.writeUInt32BE(total - 4, 0)
    return this.#parts
  }

  #cut(): void {
    if (this.#used > 0) this.#parts.push(this.#head.subarray(0, this.#used))
    this.#head = Buffer.allocUnsafe(64)
    this.#used = 0
  }

  #room(length: number): number {
    const at = this.#used
    if (at + length > this.#head.length) {
      const larger = Buffer.allocUnsafe(Math.max(at + length, this.#head.length * 2))
      this.#head.copy(larger, 0, 0, at)
      this.#head = larger
    }
    this.#used += length
    return at
  }
}
/** Up to here bytes are copied behind what stands before them. */
const COPY_BYTES = 4096

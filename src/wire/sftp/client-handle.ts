/** A file that an SFTP server has open for us. */
import { type FileAttributes, type FileChange, FileError, type FileHandle } from '../../core/files.js'
import { changeToWire, fromWire } from './attributes.js'
import type { SftpExchange } from './exchange.js'
import type { SftpResponse } from './packets.js'

export interface ClientHandleFacts {
  /** The server is one of ours: an answer shorter than asked is the end of the file. */
  readonly isExact: boolean
  /** Most bytes of one READ or WRITE. */
  readonly contentBytes: number
  readonly canSync: boolean
  /** What was only read has nothing to lose at its end: nobody waits for it. */
  readonly isReadOnly: boolean
}

/** Made by SftpClient only. */
export class ClientHandle implements FileHandle {
  readonly #exchange: SftpExchange
  readonly #handle: Buffer
  readonly #facts: ClientHandleFacts
  #closing: Promise<void> | undefined

  constructor(exchange: SftpExchange, handle: Buffer, facts: ClientHandleFacts) {
    this.#exchange = exchange
    this.#handle = handle
    this.#facts = facts
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const { contentBytes, isExact } = this.#facts
    this.#check()
    if (length <= contentBytes && isExact) return this.#read(offset, length)
    const spans = spansOf(length, contentBytes)
    const parts = await Promise.all(spans.map(({ at, bytes }) => this.#readWhole(offset + at, bytes)))
    const short = parts.findIndex((part, index) => part.length < (spans[index]?.bytes ?? 0))
    return Buffer.concat(short < 0 ? parts : parts.slice(0, short + 1))
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#check()
    const writes = spansOf(data.length, this.#facts.contentBytes).map(({ at, bytes }) =>
      this.#exchange.ask({ type: 'write', handle: this.#handle, offset: offset + at, data: data.subarray(at, at + bytes) }),
    )
    await Promise.all(writes)
  }

  async stat(): Promise<FileAttributes> {
    this.#check()
    const answer = await this.#exchange.ask({ type: 'fstat', handle: this.#handle })
    if (answer.type !== 'attributes') throw unexpected(answer)
    return fromWire(answer.attributes)
  }

  async setAttributes(change: FileChange): Promise<void> {
    this.#check()
    await this.#exchange.ask({ type: 'fsetstat', handle: this.#handle, attributes: changeToWire(change, this.#facts.isExact) })
  }

  async sync(): Promise<void> {
    this.#check()
    if (!this.#facts.canSync) throw new FileError('UNSUPPORTED', 'The server does not know this operation')
    await this.#exchange.ask({ type: 'fsync', handle: this.#handle })
  }

  close(): Promise<void> {
    if (!this.#closing) {
      const closed = this.#exchange.ask({ type: 'close', handle: this.#handle }).then(() => {})
      closed.catch(() => {}) // whoever waits hears it
      this.#closing = this.#facts.isReadOnly ? Promise.resolve() : closed
    }
    return this.#closing
  }

  #check(): void {
    if (this.#closing) throw new FileError('INVALID', 'The file was closed')
  }

  /** A foreign server may answer less than was asked for anywhere: only no bytes are the end. */
  async #readWhole(offset: number, length: number): Promise<Buffer> {
    const first = await this.#read(offset, length)
    if (first.length === length || first.length === 0 || this.#facts.isExact) return first
    const parts = [first]
    for (let filled = first.length; filled < length; ) {
      const part = await this.#read(offset + filled, length - filled)
      if (part.length === 0) break
      parts.push(part)
      filled += part.length
    }
    return Buffer.concat(parts)
  }

  async #read(offset: number, length: number): Promise<Buffer> {
    const answer = await this.#exchange.ask({ type: 'read', handle: this.#handle, offset, length })
    if (answer.type === 'data') return answer.data.length > length ? answer.data.subarray(0, length) : answer.data
    if (answer.type === 'status') return Buffer.alloc(0)
    throw unexpected(answer)
  }
}

/** At least one, so that nothing written is still an answer. */
function spansOf(length: number, most: number): { readonly at: number; readonly bytes: number }[] {
  return Array.from({ length: Math.max(Math.ceil(length / most), 1) }, (_, index) => ({ at: index * most, bytes: Math.min(most, length - index * most) }))
}

function unexpected({ type }: SftpResponse): FileError {
  return new FileError('FAILURE', `The server gave an answer of another kind (${type})`)
}

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
  /** What came with the handle. */
  readonly fetched?: Fetched
}
/** The start of a file as it was when it was opened. */
export interface Fetched {
  readonly attributes: FileAttributes
  readonly data: Buffer
  /** The data is the whole file. */
  readonly isWhole: boolean
}
/** After this a file is looked at again: others may have written to it. */
const FETCHED_MS = 2000

/** Made by SftpClient only. */
export class ClientHandle implements FileHandle {
  readonly #exchange: SftpExchange
  readonly #handle: Buffer
  readonly #facts: ClientHandleFacts
  #closing: Promise<void> | undefined
  #fetched: Fetched | undefined
  readonly #openedMs = performance.now()
  /** Writes that were answered before the server did. */
  readonly #behind = new Set<Promise<unknown>>()
  #failure: { readonly error: unknown } | undefined

  constructor(exchange: SftpExchange, handle: Buffer, facts: ClientHandleFacts) {
    this.#exchange = exchange
    this.#handle = handle
    this.#facts = facts
    this.#fetched = facts.fetched
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const { contentBytes, isExact } = this.#facts
    this.#check()
    const known = this.#known(offset, length)
    if (known) return known
    await this.#settled()
    if (length <= contentBytes && isExact) return this.#read(offset, length)
    const spans = spansOf(length, contentBytes)
    const parts = await Promise.all(spans.map(({ at, bytes }) => this.#readWhole(offset + at, bytes)))
    const short = parts.findIndex((part, index) => part.length < (spans[index]?.bytes ?? 0))
    return Buffer.concat(short < 0 ? parts : parts.slice(0, short + 1))
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#check()
    if (this.#failure) throw this.#failure.error
    const writes = spansOf(data.length, this.#facts.contentBytes).map(({ at, bytes }) => {
      const wish = { type: 'write', handle: this.#handle, offset: offset + at, data: data.subarray(at, at + bytes) } as const
      const { answer, mustWait } = this.#exchange.askBehind(wish, bytes)
      this.#goOn(answer)
      return mustWait || !this.#facts.isExact ? answer : undefined
    })
    await Promise.all(writes)
  }

  /** Its failure is told by the next write, or by the close. */
  #goOn(answer: Promise<unknown>): void {
    const over: Promise<unknown> = answer.then(
      () => this.#behind.delete(over),
      (error: unknown) => {
        this.#failure ??= { error }
        this.#behind.delete(over)
      },
    )
    this.#behind.add(over)
  }

  /** @throws FileError of a write that came before */
  async #settled(): Promise<void> {
    if (this.#behind.size > 0) await Promise.all(this.#behind)
    if (this.#failure) throw this.#failure.error
  }

  async stat(): Promise<FileAttributes> {
    this.#check()
    if (this.#fetched && this.#isFresh()) return this.#fetched.attributes
    await this.#settled()
    const answer = await this.#exchange.ask({ type: 'fstat', handle: this.#handle })
    if (answer.type !== 'attributes') throw unexpected(answer)
    return fromWire(answer.attributes)
  }

  async setAttributes(change: FileChange): Promise<void> {
    this.#check()
    this.#fetched = undefined
    await this.#exchange.ask({ type: 'fsetstat', handle: this.#handle, attributes: changeToWire(change, this.#facts.isExact) })
  }

  async sync(): Promise<void> {
    this.#check()
    await this.#settled()
    if (!this.#facts.canSync) throw new FileError('UNSUPPORTED', 'The server does not know this operation')
    await this.#exchange.ask({ type: 'fsync', handle: this.#handle })
  }

  close(): Promise<void> {
    if (!this.#closing) {
      // goes out behind the writes, and is answered behind them: one way there and back for both
      const asked = this.#exchange.ask({ type: 'close', handle: this.#handle })
      const closed = asked.then(() => this.#settled())
      closed.catch(() => {}) // whoever waits hears it
      this.#closing = this.#facts.isReadOnly ? Promise.resolve() : closed
    }
    return this.#closing
  }

  #isFresh(): boolean {
    return performance.now() - this.#openedMs < FETCHED_MS
  }

  /** What came with the handle, where it holds all that is asked for and is still fresh. */
  #known(offset: number, length: number): Buffer | undefined {
    const fetched = this.#fetched
    if (!fetched) return undefined
    const { data, isWhole } = fetched
    if (!this.#isFresh() || offset > data.length || (offset + length > data.length && !isWhole)) {
      this.#fetched = undefined
      return undefined
    }
    return data.subarray(offset, offset + length)
  }

  #check(): void {
    if (this.#closing) throw new FileError('INVALID', 'The file was closed')
    if (this.#exchange.over) throw this.#exchange.over
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

/** One open file of files over exec: blocks read ahead, writes gathered, because each block starts a program. */
import { Readable } from 'node:stream'
import { type FileAttributes, type FileChange, FileError, type FileHandle, type FilePath, type OpenMode } from '../core/files.js'
import { attributesOf, changeWords, octal } from './exec-files-answers.js'
import type { FilesShell } from './exec-files-shell.js'

/** What one `dd` reads or writes at most. */
const BLOCK_BYTES = 1024 * 1024
/** Blocks of a stream that are under way once the first came whole. */
const AHEAD = 3

export interface OpenedFile {
  readonly path: FilePath
  /** Device and inode as it was opened. */
  readonly identity: string
  readonly mode: OpenMode
  readonly size: number
  readonly isFine: boolean
  /** Permissions that the file gets when it is closed, where they would hinder writing. */
  readonly laterMode?: number
}
interface Content {
  readonly offset: number
  readonly parts: Buffer[]
  bytes: number
}
interface Gathered {
  readonly content: Content
  readonly done: Promise<void>
}

export class ExecFileHandle implements FileHandle {
  readonly #shell: FilesShell
  readonly #file: OpenedFile
  /** Present on a file that is only read. */
  readonly stream?: (offset: number) => Readable
  #laterMode: number | undefined
  /** Waits for the write before it; what follows it is added to it. */
  #gathering: Gathered | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #blocks = 0
  #failure: unknown
  #closed: Promise<void> | undefined

  constructor(shell: FilesShell, file: OpenedFile) {
    this.#shell = shell
    this.#file = file
    this.#laterMode = file.laterMode
    if (!file.mode.write) this.stream = (offset) => Readable.from(this.#chunks(offset), { objectMode: false, highWaterMark: BLOCK_BYTES })
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#check()
    if (!this.#file.mode.read) throw new FileError('PERMISSION_DENIED', 'The file is not open for reading')
    if (length <= 0) return Buffer.alloc(0)
    if (this.#file.mode.write) await this.#writing
    const bytes = Math.min(length, BLOCK_BYTES)
    return this.#block(offset, bytes)
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#check()
    if (!this.#file.mode.write) throw new FileError('PERMISSION_DENIED', 'The file is not open for writing')
    if (data.length === 0) return
    const last = this.#gathering
    if (last && this.#follows(last.content, offset, data.length)) {
      last.content.parts.push(data)
      last.content.bytes += data.length
      return last.done
    }
    for (let at = 0; at < data.length; at += BLOCK_BYTES) await this.#gather(offset + at, data.subarray(at, at + BLOCK_BYTES))
  }

  #follows(last: Content, offset: number, bytes: number): boolean {
    return (this.#file.mode.append || last.offset + last.bytes === offset) && last.bytes + bytes <= BLOCK_BYTES
  }

  #gather(offset: number, data: Buffer): Promise<void> {
    const content = { offset, parts: [data], bytes: data.length }
    const done = this.#writing.then(() => {
      if (this.#gathering?.content === content) this.#gathering = undefined
      return this.#put(content)
    })
    this.#gathering = { content, done }
    this.#writing = done.catch((error: unknown) => {
      this.#failure ??= error
    })
    return done
  }

  async #put({ offset, parts, bytes }: Content): Promise<void> {
    if (this.#failure) throw this.#failure
    const { path, mode } = this.#file
    const content = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    await this.#shell.ask({ operation: 'write', args: [path, this.#identity(), offset, bytes, Number(mode.append)], ...(content && { content }) })
  }

  /** The first block needs no second look: the file was only just opened. */
  #identity(): string {
    return this.#blocks++ === 0 ? '' : this.#file.identity
  }

  #block(offset: number, bytes: number): Promise<Buffer> {
    return this.#shell.ask({ operation: 'read', args: [this.#file.path, this.#identity(), offset, bytes], mostBytes: bytes })
  }

  /** The first block is as large as the file seemed; what is larger is read ahead. */
  async *#chunks(offset: number): AsyncGenerator<Buffer> {
    this.#check()
    const coming: Promise<Buffer>[] = []
    let next = offset
    let wanted = 1
    try {
      for (;;) {
        while (coming.length < wanted) {
          const block = this.#block(next, BLOCK_BYTES)
          block.catch(() => {}) // thrown in its turn
          coming.push(block)
          next += BLOCK_BYTES
        }
        const data = await (coming.shift() as Promise<Buffer>)
        this.#check()
        if (data.length > 0) yield data
        if (data.length < BLOCK_BYTES) return
        const left = Math.ceil((this.#file.size - next) / BLOCK_BYTES) + coming.length
        wanted = Math.max(1, Math.min(AHEAD, left))
      }
    } finally {
      await Promise.allSettled(coming)
    }
  }

  async stat(): Promise<FileAttributes> {
    this.#check()
    await this.#writing
    const attributes = attributesOf((await this.#shell.ask({ operation: 'stat', args: [this.#file.path] })).toString('latin1'))
    return this.#laterMode === undefined ? attributes : { ...attributes, mode: this.#laterMode }
  }

  async setAttributes({ mode, ...rest }: FileChange): Promise<void> {
    this.#check()
    await this.#writing
    const isLater = mode !== undefined && this.#file.mode.write && (mode & 0o600) !== 0o600
    if (mode !== undefined) this.#laterMode = isLater ? mode : undefined
    const change = mode === undefined || isLater ? rest : { ...rest, mode }
    if (Object.keys(change).length === 0) return
    await this.#shell.ask({ operation: 'same', args: [this.#file.path, this.#file.identity] })
    await this.#shell.ask({ operation: 'set', args: [this.#file.path, 1, ...changeWords(change, this.#file.isFine)] })
  }

  async sync(): Promise<void> {
    this.#check()
    await this.#writing
    if (this.#failure) throw this.#failure
    if (this.#file.mode.write) await this.#shell.ask({ operation: 'sync', args: [this.#file.path, this.#file.identity] })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    if (!this.#file.mode.write) return
    await this.#writing
    const { path, identity } = this.#file
    if (this.#blocks > 1 || this.#laterMode !== undefined) await this.#shell.ask({ operation: 'same', args: [path, identity] })
    if (this.#laterMode !== undefined) await this.#shell.ask({ operation: 'set', args: [path, 1, '', '', octal(this.#laterMode), '', ''] })
    if (this.#failure) throw this.#failure
  }

  #check(): void {
    if (this.#closed) throw new FileError('INVALID', 'The file is closed')
  }
}

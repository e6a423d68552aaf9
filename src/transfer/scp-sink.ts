/** `scp -t`: takes files from a client (OpenSSH scp.c, sink()). */
import { type FileChange, FileError, type FileHandle, type FilePath } from '../core/files.js'
import { ScpError, type ScpRecord } from '../wire/scp-record.js'
import { joined, pathText } from './paths.js'
import { Filler } from './pump.js'
import type { ScpEnd } from './scp-end.js'
import type { ScpFiles, ScpOptions } from './scp-options.js'
import { abandon } from './vetted-handle.js'

const MAX_DEPTH = 256
const CREATE = { read: false, write: true, append: false, create: true, truncate: true, exclusive: false } as const

type Times = Extract<ScpRecord, { kind: 'times' }>
/** A directory that is being filled. */
interface Level {
  readonly path: FilePath
  readonly isDirectory: boolean
  /** Set when it has been filled: what is written into it would change its times. */
  readonly later?: FileChange
}

export class ScpSink {
  readonly #end: ScpEnd
  readonly #files: ScpFiles
  readonly #options: ScpOptions
  readonly #levels: Level[]
  #times: Times | undefined

  constructor(end: ScpEnd, files: ScpFiles, options: ScpOptions) {
    this.#end = end
    this.#files = files
    this.#options = options
    this.#levels = []
  }

  /** Until the client has ended. @throws ScpError when it breaks the protocol, FileError when the container is lost */
  async run(): Promise<void> {
    const { path, directory } = this.#options
    const isDirectory = await this.#isDirectory(path)
    if (directory && !isDirectory) throw new ScpError(`${pathText(path)}: Not a directory`)
    this.#levels.push({ path, isDirectory })
    await this.#end.ok()
    for (let record = await this.#end.record(); record; record = await this.#end.record()) await this.#take(record)
  }

  async #take(record: ScpRecord): Promise<void> {
    switch (record.kind) {
      case 'times':
        this.#times = record
        return this.#end.ok()
      case 'file':
        return this.#takeFile(record, this.#place(record.name), this.#takeTimes())
      case 'directory':
        return this.#enter(record, this.#place(record.name), this.#takeTimes())
      case 'end':
        return this.#leave()
      case 'warning':
        return this.#end.noteError()
      case 'error':
        throw new ScpError('the client gave up')
    }
  }

  #takeTimes(): Times | undefined {
    const times = this.#times
    this.#times = undefined
    return times
  }

  /** Into the directory that is being filled, or, at the top, the very name that was asked for. */
  #place(name: Buffer): FilePath {
    const level = this.#levels.at(-1)
    if (!level) throw new ScpError('protocol error: unexpected end of a directory')
    return level.isDirectory ? joined(level.path, name) : level.path
  }

  async #takeFile({ mode, size }: Extract<ScpRecord, { kind: 'file' }>, path: FilePath, times: Times | undefined): Promise<void> {
    const opened = await this.#try(path, () => this.#files.open(path, CREATE, { mode }, size))
    if (!opened.done) return
    const handle = opened.value
    try {
      await this.#end.ok()
      const failure = await this.#fill(handle, size)
      const isWhole = await this.#end.answered()
      const error = failure ?? (isWhole ? await this.#seal(handle, this.#exact(mode, times)) : undefined)
      if (!isWhole || error !== undefined) await abandon(handle)
      if (error === undefined) await this.#end.ok()
      else await this.#end.warn(path, error)
    } catch (error) {
      await abandon(handle)
      throw error
    }
  }

  /** All bytes of a file, to its last: the client sends them whatever becomes of them. */
  async #fill(handle: FileHandle, size: number): Promise<unknown> {
    const filler = new Filler(handle)
    for (let left = size; left > 0; ) {
      const data = await this.#end.input.some(left)
      if (!data) throw new ScpError('lost connection')
      left -= data.length
      await filler.add(data)
    }
    await filler.settle()
    return filler.error
  }

  /** @returns why the file could not be kept */
  async #seal(handle: FileHandle, change: FileChange | undefined): Promise<unknown> {
    try {
      if (change) await handle.setAttributes(change)
      await handle.close()
      return undefined
    } catch (error) {
      return error
    }
  }

  #exact(mode: number, times: Times | undefined): FileChange | undefined {
    if (!this.#options.preserve && !times) return undefined
    return { ...(this.#options.preserve && { mode }), ...(times && { times: { atime: times.atime, mtime: times.mtime } }) }
  }

  async #enter({ mode }: Extract<ScpRecord, { kind: 'directory' }>, path: FilePath, times: Times | undefined): Promise<void> {
    if (!this.#options.recursive) throw new ScpError('received directory without -r')
    if (this.#levels.length >= MAX_DEPTH) throw new ScpError('directories are nested too deep')
    // its owner must be able to fill it, whatever its mode will be
    const made = await this.#try(path, () => this.#makeDirectory(path, mode | 0o700))
    if (!made.done) return
    const later = this.#exact(mode, times)
    this.#levels.push({ path, isDirectory: true, ...(later && { later }) })
    await this.#end.ok()
  }

  async #makeDirectory(path: FilePath, mode: number): Promise<void> {
    if (await this.#isDirectory(path)) return
    await this.#files.mkdir(path, { mode })
  }

  async #leave(): Promise<void> {
    const level = this.#levels.pop()
    if (!level || this.#levels.length === 0) throw new ScpError('protocol error: unexpected end of a directory')
    const { path, later } = level
    const set = await this.#try(path, async () => {
      if (later) await this.#files.setAttributes(path, later, true)
    })
    if (set.done) await this.#end.ok()
  }

  async #isDirectory(path: FilePath): Promise<boolean> {
    try {
      return (await this.#files.stat(path)).kind === 'directory'
    } catch (error) {
      // what cannot be looked at is refused or missing where it is used
      if (error instanceof FileError && error.code !== 'CONNECTION_LOST') return false
      throw error
    }
  }

  /** A failure about this file is the client's to know; the conversation goes on. */
  async #try<T>(path: FilePath, work: () => Promise<T>): Promise<{ readonly done: true; readonly value: T } | { readonly done: false }> {
    let value: T
    try {
      value = await work()
    } catch (error) {
      await this.#end.warn(path, error)
      return { done: false }
    }
    return { done: true, value }
  }
}

/** `scp -f`: gives files to a client (OpenSSH scp.c, source() and rsource()). */
import { type FileAttributes, FileError, type FileHandle, type FilePath } from '../core/files.js'
import { ScpError } from '../wire/scp-record.js'
import { joined, parted } from './paths.js'
import { contentOf } from './pump.js'
import type { ScpEnd } from './scp-end.js'
import { matchingPaths } from './scp-glob.js'
import type { ScpFiles, ScpOptions } from './scp-options.js'
import { abandon } from './vetted-handle.js'

const READ = { read: true, write: false, append: false, create: false, truncate: false, exclusive: false } as const
const MAX_DEPTH = 256
/** The protocol has no way to take a promised size back: a file that shrank is filled with zeros up to here, else the conversation ends. */
const MAX_PADDING_BYTES = 1024 * 1024

export class ScpSource {
  readonly #end: ScpEnd
  readonly #files: ScpFiles
  readonly #options: ScpOptions

  constructor(end: ScpEnd, files: ScpFiles, options: ScpOptions) {
    this.#end = end
    this.#files = files
    this.#options = options
  }

  /** Until all was given. @throws ScpError when the client breaks the protocol or leaves, FileError when the container is lost */
  async run(): Promise<void> {
    if (!(await this.#end.answered())) throw new ScpError('the client gave up')
    for (const path of await matchingPaths(this.#files, this.#options.path)) await this.#give(path, [])
  }

  /** @param above the real paths of the directories that lead here: a link back to one of them would never end */
  async #give(path: FilePath, above: readonly FilePath[]): Promise<void> {
    try {
      const attributes = await this.#files.stat(path)
      if (attributes.kind === 'directory') await this.#giveDirectory(path, attributes, above)
      else if (attributes.kind === 'file') await this.#giveFile(path)
      else await this.#end.warn(path, new FileError('NOT_REGULAR', 'not a regular file'))
    } catch (error) {
      if (error instanceof Interrupted || !(error instanceof FileError)) throw error
      await this.#end.warn(path, error)
    }
  }

  async #giveFile(path: FilePath): Promise<void> {
    const handle = await this.#files.open(path, READ)
    let isGiven = false
    try {
      const attributes = await handle.stat()
      if (!(await this.#announce(path, attributes, 'file'))) return
      await this.#giveContent(path, handle, attributes.size)
      isGiven = await this.#end.answered()
    } finally {
      if (isGiven) await handle.close()
      else await abandon(handle)
    }
  }

  async #giveContent(path: FilePath, handle: FileHandle, size: number): Promise<void> {
    let left = size
    let failure: unknown
    try {
      for await (const data of contentOf(handle, size)) {
        await this.#end.send(data)
        left -= data.length
      }
      if (left > 0) failure = new FileError('FAILURE', 'the file became shorter while it was read')
    } catch (error) {
      failure = error
    }
    if (failure === undefined) return this.#end.ok()
    if (left > MAX_PADDING_BYTES) throw new Interrupted(failure)
    await this.#end.send(Buffer.alloc(left))
    await this.#end.warn(path, failure)
  }

  async #giveDirectory(path: FilePath, attributes: FileAttributes, above: readonly FilePath[]): Promise<void> {
    if (!this.#options.recursive) throw new FileError('IS_DIRECTORY', 'not a regular file')
    const real = await this.#files.realpath(path)
    if (above.length >= MAX_DEPTH || above.some((each) => each.equals(real))) throw new FileError('SYMLINK_LOOP', 'a link leads back to where it is')
    if (!(await this.#announce(path, attributes, 'directory'))) return
    try {
      for await (const entries of this.#files.list(path)) {
        for (const { name } of entries) await this.#give(joined(path, name), [...above, real])
      }
    } catch (error) {
      if (error instanceof Interrupted || !(error instanceof FileError)) throw error
      await this.#end.warn(path, error)
    }
    await this.#end.sendRecord({ kind: 'end' })
    await this.#end.answered()
  }

  /** @returns false when the client does not want it */
  async #announce(path: FilePath, { mode, size, mtime, atime }: FileAttributes, kind: 'file' | 'directory'): Promise<boolean> {
    if (this.#options.preserve) {
      await this.#end.sendRecord({ kind: 'times', mtime, atime })
      if (!(await this.#end.answered())) return false
    }
    const name = parted(path)?.name ?? parted(await this.#files.realpath(path))?.name ?? Buffer.from('.')
    await this.#end.sendRecord(kind === 'file' ? { kind, mode, size, name } : { kind, mode, name })
    return this.#end.answered()
  }
}

/** A file broke off amid its content: no word of ours would be read as one. */
class Interrupted extends FileError {
  constructor(cause: unknown) {
    super('FAILURE', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

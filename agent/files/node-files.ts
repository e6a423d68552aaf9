/**
 * The files that this process can reach, as FileAccess. Made for a process of its own that does nothing else: the calls are
 * synchronous, which for a local file system is several times faster than the thread pool, and the only way in which each
 * of them surely runs with the privileges of the one thread that gave its own up (see confine.ts).
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  opendirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from 'node:fs'
import {
  type DirectoryEntry,
  type FileAccess,
  type FileAttributes,
  type FileChange,
  FileError,
  type FileHandle,
  type FilePath,
  type FileSystemFacts,
  type OpenMode,
} from '../../src/core/files.js'
import { errnoOf, fromErrno } from './errno.js'
import { NodeHandle, type OpenLiteral, openRegular, ReadBlock } from './node-handle.js'
import { baseName, parentOf, realPath } from './real-path.js'
import { attributesOf, kindOfDirent } from './stats.js'

/** Entries that are looked at before others have their turn. */
const PORTION_ENTRIES = 256
const NAME_BYTES_MAX = 255

export interface NodeFilesOptions {
  readonly via: string
  /** Absolute. */
  readonly home: FilePath
  /** What a handle reads is good until the next read of any: for who uses it at once. */
  readonly lends?: boolean
  /** For paths that must be taken literally; without it they are opened and looked at again. */
  readonly openLiteral?: OpenLiteral
}

export class NodeFiles implements FileAccess {
  readonly via: string
  readonly home: FilePath
  readonly #open = new Set<NodeHandle>()
  readonly #block: ReadBlock
  readonly #openLiteral: OpenLiteral | undefined
  #isClosed = false

  constructor({ via, home, lends = false, openLiteral }: NodeFilesOptions) {
    this.#openLiteral = openLiteral
    this.#block = new ReadBlock(lends)
    this.via = via
    this.home = home
  }

  async realpath(path: FilePath): Promise<FilePath> {
    return this.#do(() => realPath(this.#absolute(path)))
  }

  async stat(path: FilePath): Promise<FileAttributes> {
    return this.#do(() => attributesOf(statSync(this.#absolute(path))))
  }

  async lstat(path: FilePath): Promise<FileAttributes> {
    return this.#do(() => attributesOf(lstatSync(this.#absolute(path))))
  }

  async *list(path: FilePath): AsyncGenerator<readonly DirectoryEntry[]> {
    const folder = this.#absolute(path)
    const prefix = Buffer.concat([folder, Buffer.from('/')])
    const directory = this.#do(() => opendirSync(folder, { encoding: 'buffer' as BufferEncoding, bufferSize: PORTION_ENTRIES }))
    try {
      for (let isMore = true; isMore; ) {
        const portion: DirectoryEntry[] = []
        while (portion.length < PORTION_ENTRIES) {
          const entry = this.#do(() => directory.readSync())
          if (!entry) {
            isMore = false
            break
          }
          // with the encoding "buffer" the name is one; the types know no such option
          const name = entry.name as string | Buffer as Buffer
          const attributes = entryAttributes(Buffer.concat([prefix, name]), kindOfDirent(entry))
          if (attributes) portion.push({ name, attributes })
        }
        yield portion
      }
    } finally {
      directory.closeSync()
    }
  }

  async open(path: FilePath, mode: OpenMode, change: FileChange = {}): Promise<FileHandle> {
    return this.#do(() => {
      const handle = new NodeHandle(openRegular(this.#absolute(path), mode, change, this.#openLiteral), mode, this.#block, () => this.#open.delete(handle))
      this.#open.add(handle)
      return handle
    })
  }

  async mkdir(path: FilePath, { mode = 0o777, owner, times }: FileChange = {}): Promise<void> {
    this.#do(() => {
      const at = this.#absolute(path)
      mkdirSync(at, { mode })
      if (owner) chownSync(at, owner.uid, owner.gid)
      if (times) utimesSync(at, times.atime, times.mtime)
    })
  }

  async rmdir(path: FilePath): Promise<void> {
    this.#do(() => rmdirSync(this.#absolute(path)))
  }

  async remove(path: FilePath): Promise<void> {
    this.#do(() => {
      const at = this.#absolute(path)
      if (lstatSync(at).isDirectory()) throw new FileError('IS_DIRECTORY', 'Is a directory')
      unlinkSync(at)
    })
  }

  async rename(from: FilePath, to: FilePath, replace: boolean): Promise<void> {
    this.#do(() => {
      if (replace) renameSync(this.#absolute(from), this.#absolute(to))
      else renameNew(this.#absolute(from), this.#absolute(to))
    })
  }

  async symlink(target: Buffer, path: FilePath): Promise<void> {
    this.#do(() => symlinkSync(target, this.#absolute(path)))
  }

  async link(existing: FilePath, path: FilePath): Promise<void> {
    this.#do(() => linkSync(this.#absolute(existing), this.#absolute(path)))
  }

  async readlink(path: FilePath): Promise<Buffer> {
    return this.#do(() => readlinkSync(this.#absolute(path), { encoding: 'buffer' }))
  }

  /** Owner before mode: chown(2) takes the set-id bits away. */
  async setAttributes(path: FilePath, { mode, owner, times, size }: FileChange, follow: boolean): Promise<void> {
    this.#do(() => {
      const at = this.#absolute(path)
      const isLink = !follow && lstatSync(at).isSymbolicLink()
      if (isLink && (mode !== undefined || size !== undefined)) throw new FileError('UNSUPPORTED', 'A symbolic link has no mode and no size of its own')
      if (size !== undefined) truncate(at, size)
      if (owner) (follow ? chownSync : lchownSync)(at, owner.uid, owner.gid)
      if (mode !== undefined) chmodSync(at, mode)
      if (times) (follow ? utimesSync : lutimesSync)(at, times.atime, times.mtime)
    })
  }

  async statvfs(path: FilePath): Promise<FileSystemFacts> {
    const { bsize, blocks, bfree, bavail, files, ffree } = this.#do(() => statfsSync(this.#absolute(path)))
    const blockFacts = { blockSize: bsize, fragmentSize: bsize, blocks, freeBlocks: bfree, availableBlocks: bavail }
    return { ...blockFacts, files, freeFiles: ffree, availableFiles: ffree, flags: 0, maxNameLength: NAME_BYTES_MAX }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const handle of this.#open) handle.abandon()
  }

  #absolute(path: FilePath): FilePath {
    return path[0] === 0x2f ? path : Buffer.concat([this.home, Buffer.from('/'), path])
  }

  #do<Result>(work: () => Result): Result {
    if (this.#isClosed) throw new FileError('CONNECTION_LOST', 'The files were closed')
    try {
      return work()
    } catch (error) {
      throw fromErrno(error)
    }
  }
}

/** Undefined for what has gone meanwhile; what may not be looked at keeps its kind. */
function entryAttributes(path: FilePath, kind: FileAttributes['kind']): FileAttributes | undefined {
  try {
    return attributesOf(lstatSync(path))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    return { kind, mode: 0, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 }
  }
}

function truncate(path: FilePath, size: number): void {
  const fd = openRegular(path, { read: false, write: true, append: false, create: false, truncate: false, exclusive: false }, { size })
  closeSync(fd)
}

/** As OpenSSH's server does it: link(2) refuses an existing name without a gap; where it cannot, look first. */
function renameNew(from: FilePath, to: FilePath): void {
  if (lstatSync(from).isFile()) {
    try {
      linkSync(from, to)
      unlinkSync(from)
      return
    } catch (error) {
      if (!['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(errnoOf(error) ?? '')) throw error
    }
  }
  if (lstatSync(Buffer.concat([realPath(parentOf(to)), Buffer.from('/'), baseName(to)]), { throwIfNoEntry: false })) {
    throw new FileError('EXISTS', 'File exists')
  }
  renameSync(from, to)
}

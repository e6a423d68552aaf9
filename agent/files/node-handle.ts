/** An open regular file of this process. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  lstatSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { type FileAttributes, type FileChange, FileError, type FileHandle, type FilePath, type OpenMode } from '../../src/core/files.js'
import { errnoOf, fromErrno } from './errno.js'
import { realPath } from './real-path.js'
import { attributesOf } from './stats.js'

/** Below this what was read is copied, and the block it was read into serves again. */
const COPY_BYTES = 16 * 1024
const BLOCK_BYTES = 256 * 1024

/** open(2) that follows no link. */
export type OpenLiteral = (path: FilePath, flags: number, mode: number) => number

/**
 * Opens a regular file and nothing else. A device's open(2) may act by itself (a tape rewinds), a FIFO's may block for ever:
 * so it is looked at before, opened without waiting, and looked at again, for it may have been swapped in between. It is cut
 * only after that.
 * @throws FileError NOT_REGULAR, IS_DIRECTORY, or what the kernel says
 */
export function openRegular(path: FilePath, mode: OpenMode, { mode: permissions = 0o666, owner, times, size }: FileChange, literal?: OpenLiteral): number {
  const before = statSync(path, { throwIfNoEntry: false })
  if (before && !(mode.create && mode.exclusive)) checkRegular(attributesOf(before))
  const fd = mode.literal ? openLiterally(path, flagsOf(mode), permissions & 0o7777, literal) : openSync(path, flagsOf(mode), permissions & 0o7777)
  try {
    checkRegular(attributesOf(fstatSync(fd)))
    if (mode.truncate) ftruncateSync(fd, 0)
    if (size !== undefined) ftruncateSync(fd, size)
    if (owner) fchownSync(fd, owner.uid, owner.gid)
    if (times) futimesSync(fd, times.atime, times.mtime)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** A kernel without openat2 (before 5.6) leaves a gap for who swaps links twice in the right moments; the file is looked at by its number then. */
function openLiterally(path: FilePath, flags: number, permissions: number, literal: OpenLiteral | undefined): number {
  try {
    if (literal) return literal(path, flags, permissions)
  } catch (error) {
    if (errnoOf(error) !== 'ENOSYS') throw error
  }
  const fd = openSync(path, flags, permissions)
  try {
    const [opened, named] = [fstatSync(fd), lstatSync(path)]
    if (realPath(path).equals(path) && opened.ino === named.ino && opened.dev === named.dev) return fd
    throw new FileError('SYMLINK_LOOP', 'The path was changed while it was opened')
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function checkRegular({ kind }: FileAttributes): void {
  if (kind === 'directory') throw new FileError('IS_DIRECTORY', 'Is a directory')
  if (kind !== 'file') throw new FileError('NOT_REGULAR', 'Not a regular file')
}

function flagsOf({ read, write, append, create, exclusive }: OpenMode): number {
  return (
    (write ? (read ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY) |
    (append ? constants.O_APPEND : 0) |
    (create ? constants.O_CREAT : 0) |
    (create && exclusive ? constants.O_EXCL : 0) |
    constants.O_NONBLOCK |
    constants.O_NOCTTY
  )
}

/** One block to read into, for all files of a session: calls are synchronous, so one is enough. */
export class ReadBlock {
  readonly #lends: boolean
  #block: Buffer | undefined

  /** @param lends what was read is good until the next `fill` only, and costs no memory */
  constructor(lends: boolean) {
    this.#lends = lends
  }

  /** What was read, in memory that is the caller's; see `lends`. */
  fill(length: number, read: (into: Buffer) => number): Buffer {
    const block = this.#block && length <= BLOCK_BYTES ? this.#block : Buffer.allocUnsafeSlow(Math.max(length, BLOCK_BYTES))
    this.#block = undefined
    const filled = read(block)
    if (filled >= COPY_BYTES && !this.#lends) return block.subarray(0, filled)
    if (block.length === BLOCK_BYTES) this.#block = block
    if (filled >= COPY_BYTES) return block.subarray(0, filled)
    return Buffer.from(block.subarray(0, filled))
  }
}

export class NodeHandle implements FileHandle {
  readonly #fd: number
  readonly #block: ReadBlock
  readonly #isAppend: boolean
  readonly #onClose: () => void
  #state: 'open' | 'closed' | 'abandoned' = 'open'

  constructor(fd: number, mode: OpenMode, block: ReadBlock, onClose: () => void) {
    this.#fd = fd
    this.#block = block
    this.#isAppend = mode.append
    this.#onClose = onClose
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#do((fd) =>
      this.#block.fill(length, (block) => {
        let filled = 0
        while (filled < length) {
          const count = readSync(fd, block, filled, length - filled, offset + filled)
          if (count === 0) break
          filled += count
        }
        return filled
      }),
    )
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#do((fd) => {
      for (let written = 0; written < data.length; ) {
        written += writeSync(fd, data, written, data.length - written, this.#isAppend ? null : offset + written)
      }
    })
  }

  async stat(): Promise<FileAttributes> {
    return this.#do((fd) => attributesOf(fstatSync(fd)))
  }

  async setAttributes({ mode, owner, times, size }: FileChange): Promise<void> {
    this.#do((fd) => {
      if (size !== undefined) ftruncateSync(fd, size)
      if (owner) fchownSync(fd, owner.uid, owner.gid)
      if (mode !== undefined) fchmodSync(fd, mode)
      if (times) futimesSync(fd, times.atime, times.mtime)
    })
  }

  async sync(): Promise<void> {
    this.#do(fsyncSync)
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#end('closed')
    try {
      closeSync(this.#fd)
    } catch (error) {
      throw fromErrno(error)
    }
  }

  /** The files it belongs to were closed: what still asks hears CONNECTION_LOST. */
  abandon(): void {
    if (this.#state !== 'open') return
    this.#end('abandoned')
    try {
      closeSync(this.#fd)
    } catch {
      // what could not be kept has nobody left to hear it
    }
  }

  #end(state: 'closed' | 'abandoned'): void {
    this.#state = state
    this.#onClose()
  }

  #do<Result>(work: (fd: number) => Result): Result {
    if (this.#state === 'abandoned') throw new FileError('CONNECTION_LOST', 'The files were closed')
    if (this.#state === 'closed') throw new FileError('INVALID', 'The file was closed')
    try {
      return work(this.#fd)
    } catch (error) {
      throw fromErrno(error)
    }
  }
}

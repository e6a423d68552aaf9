/**
 * Files in a container, whichever way leads there. Every back end passes test/contract/file-access.ts; SFTP, SCP and the
 * HTTP door are written against this and never against a back end.
 */
import type { Readable } from 'node:stream'

/** A POSIX path as its bytes: names in a container need not be UTF-8. Absolute, or relative to `FileAccess.home`. Never holds NUL. */
export type FilePath = Buffer

export type FileKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character-device' | 'block-device' | 'unknown'

export interface FileAttributes {
  readonly kind: FileKind
  /** Permission, set-id and sticky bits (07777); the kind is not in it. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes; exact up to 2^53. */
  readonly size: number
  /** Seconds since 1970, with a fraction where the back end knows one. */
  readonly atime: number
  readonly mtime: number
  /** Number of hard links; undefined where the back end cannot tell. */
  readonly links?: number
}
/** What setAttributes, open and mkdir may set; what is absent stays, or gets the container's default. */
export interface FileChange {
  readonly mode?: number
  readonly owner?: { readonly uid: number; readonly gid: number }
  readonly times?: { readonly atime: number; readonly mtime: number }
  /** Truncates or extends with zeros. */
  readonly size?: number
}
export interface DirectoryEntry {
  /** One component: no "/", and "." and ".." are left out. */
  readonly name: Buffer
  /** Of the entry itself: a symbolic link is not followed. */
  readonly attributes: FileAttributes
}
export interface OpenMode {
  readonly read: boolean
  readonly write: boolean
  /** Every write goes to the end, whatever its offset. */
  readonly append: boolean
  readonly create: boolean
  readonly truncate: boolean
  /** With create: refuse with EXISTS when there is one. */
  readonly exclusive: boolean
  /** The path was resolved and decided about: SYMLINK_LOOP when any part of it is a link by now. Back ends that cannot know open it. */
  readonly literal?: boolean
}
/** statvfs(3), in its units. */
export interface FileSystemFacts {
  readonly blockSize: number
  readonly fragmentSize: number
  readonly blocks: number
  readonly freeBlocks: number
  readonly availableBlocks: number
  readonly files: number
  readonly freeFiles: number
  readonly availableFiles: number
  readonly flags: number
  readonly maxNameLength: number
}

/** Why a file operation failed, in words that every protocol here can carry. */
export type FileErrorCode =
  | 'NO_SUCH_FILE'
  | 'PERMISSION_DENIED'
  | 'EXISTS'
  | 'NOT_DIRECTORY'
  | 'IS_DIRECTORY'
  | 'NOT_EMPTY'
  | 'NO_SPACE'
  | 'READ_ONLY'
  | 'SYMLINK_LOOP'
  | 'NAME_TOO_LONG'
  /** A device, a FIFO, a socket: nothing that has content to transfer. */
  | 'NOT_REGULAR'
  | 'CROSS_DEVICE'
  | 'INVALID'
  | 'UNSUPPORTED'
  /** The way to the container broke. */
  | 'CONNECTION_LOST'
  /** A rule refused it; the message says which and why. */
  | 'REFUSED'
  | 'FAILURE'

/** The one error of FileAccess and FileHandle. `message` is one line for the user, without control characters. */
export class FileError extends Error {
  override readonly name = 'FileError'
  readonly code: FileErrorCode

  constructor(code: FileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** The files of one container, as its own user sees them. Operations may run side by side. All reject with FileError. */
export interface FileAccess {
  /** Which way leads there, for the audit: "agent node-a", "apiserver sh". */
  readonly via: string
  /** Where relative paths start: the container user's home, or its working directory. */
  readonly home: FilePath
  /** Absolute, without symbolic links, "." and ".."; the last component need not exist. */
  realpath(path: FilePath): Promise<FilePath>
  stat(path: FilePath): Promise<FileAttributes>
  lstat(path: FilePath): Promise<FileAttributes>
  /** Portions of a directory as they are read; leaving the loop closes it. */
  list(path: FilePath): AsyncIterable<readonly DirectoryEntry[]>
  /** Regular files only: NOT_REGULAR and IS_DIRECTORY for the rest. */
  open(path: FilePath, mode: OpenMode, change?: FileChange): Promise<FileHandle>
  mkdir(path: FilePath, change?: FileChange): Promise<void>
  rmdir(path: FilePath): Promise<void>
  /** Unlinks anything but a directory. */
  remove(path: FilePath): Promise<void>
  /** `replace`: POSIX rename; without it EXISTS when `to` is there. */
  rename(from: FilePath, to: FilePath, replace: boolean): Promise<void>
  symlink(target: Buffer, path: FilePath): Promise<void>
  link(existing: FilePath, path: FilePath): Promise<void>
  readlink(path: FilePath): Promise<Buffer>
  /** `follow` false changes a symbolic link itself (times, owner). */
  setAttributes(path: FilePath, change: FileChange, follow: boolean): Promise<void>
  statvfs(path: FilePath): Promise<FileSystemFacts>
  /** Ends what runs for it; open handles become CONNECTION_LOST. May be called twice; never rejects. */
  close(): Promise<void>
}

/** One open file. Reads and writes at offsets may run side by side; the caller bounds how many. */
export interface FileHandle {
  /** Up to `length` bytes at `offset`; fewer at the end of the file, none beyond it. */
  read(offset: number, length: number): Promise<Buffer>
  /** All of `data`, or an error. */
  write(offset: number, data: Buffer): Promise<void>
  /** Where the back end streams better than it seeks: the bytes from `offset` on. */
  stream?(offset: number): Readable
  stat(): Promise<FileAttributes>
  setAttributes(change: FileChange): Promise<void>
  sync(): Promise<void>
  /** A failure to keep what was written (no space, connection lost) may show here at the latest. May be called twice. */
  close(): Promise<void>
  /** In place of `close` by who ends a file that its client left open: what was transferred is a part. `close` where it is absent. */
  cut?(): Promise<void>
}

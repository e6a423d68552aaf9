/** node's Stats as FileAttributes. */
import type { Dirent, Stats } from 'node:fs'
import type { FileAttributes, FileKind } from '../../src/core/files.js'
import { kindOf } from '../../src/wire/sftp/attributes.js'

export function attributesOf({ mode, uid, gid, size, atimeMs, mtimeMs, nlink }: Stats): FileAttributes {
  return { kind: kindOf(mode), mode: mode & 0o7777, uid, gid, size, atime: atimeMs / 1000, mtime: mtimeMs / 1000, links: nlink }
}

export function kindOfDirent(entry: Dirent): FileKind {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  if (entry.isSymbolicLink()) return 'symlink'
  if (entry.isFIFO()) return 'fifo'
  if (entry.isSocket()) return 'socket'
  if (entry.isCharacterDevice()) return 'character-device'
  return entry.isBlockDevice() ? 'block-device' : 'unknown'
}

/** realpath(3) for a path whose last component need not exist. */
import { readlinkSync, realpathSync } from 'node:fs'
import { FileError, type FilePath } from '../../src/core/files.js'
import { errnoOf } from './errno.js'

const SLASH = 0x2f
/** MAXSYMLINKS of Linux. */
const LINKS_MAX = 40

/**
 * A symbolic link that leads to nothing is followed too: what is created there appears at its target, and whoever judges a
 * path must see that one.
 * @param path absolute
 */
export function realPath(path: FilePath, links = 0): FilePath {
  try {
    return realpathSync.native(path, { encoding: 'buffer' })
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
  if (links > LINKS_MAX) throw new FileError('SYMLINK_LOOP', 'Too many levels of symbolic links')
  const parent = realpathSync.native(parentOf(path), { encoding: 'buffer' })
  const whole = join(parent, baseName(path))
  const target = linkTarget(whole)
  if (!target) return whole
  return realPath(target[0] === SLASH ? target : join(parent, target), links + 1)
}

/** Without the slashes at its end. */
export function baseName(path: FilePath): Buffer {
  const end = endOf(path)
  return path.subarray(path.lastIndexOf(SLASH, end - 1) + 1, end)
}

export function parentOf(path: FilePath): FilePath {
  const at = path.lastIndexOf(SLASH, endOf(path) - 1)
  return at <= 0 ? Buffer.from('/') : path.subarray(0, at)
}

export function join(parent: FilePath, name: Buffer): FilePath {
  return parent[parent.length - 1] === SLASH ? Buffer.concat([parent, name]) : Buffer.concat([parent, Buffer.from('/'), name])
}

function endOf(path: FilePath): number {
  let end = path.length
  while (end > 1 && path[end - 1] === SLASH) end--
  return end
}

function linkTarget(path: FilePath): Buffer | undefined {
  try {
    return readlinkSync(path, { encoding: 'buffer' })
  } catch {
    return undefined // nothing there, or no link
  }
}

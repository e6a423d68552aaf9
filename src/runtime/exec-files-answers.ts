/** What the tools print about files. */
import { type DirectoryEntry, type FileAttributes, type FileChange, FileError, type FileSystemFacts } from '../core/files.js'
import { kindOf } from '../wire/sftp/attributes.js'

/** `stat -c "%f %u %g %s %X %Y %h"`. @throws FileError FAILURE */
export function attributesOf(text: string): FileAttributes {
  const [mode = '', ...rest] = text.trim().split(' ')
  const [uid = -1, gid = -1, size = -1, atime = 0, mtime = 0, links = 0] = rest.map(Number)
  const stMode = Number.parseInt(mode, 16)
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
  if (![stMode, uid, gid, size, links].every(isCount) || !Number.isFinite(atime + mtime))
    throw new FileError('FAILURE', 'stat of this image prints something else')
  return { kind: kindOf(stMode), mode: stMode & 0o7777, uid, gid, size, atime, mtime, links }
}

/** Entries as op_list prints them: attributes, a blank, "./", the name, "/" and a line end, which no name can hold. */
export function entriesOf(listing: Buffer): DirectoryEntry[] {
  const entries: DirectoryEntry[] = []
  for (let at = 0; ; ) {
    const end = listing.indexOf('/\n', at)
    if (end < 0) return entries
    const name = listing.indexOf(' ./', at)
    if (name < 0 || name > end) throw new FileError('FAILURE', 'The listing of the container makes no sense')
    const bytes = Buffer.from(listing.subarray(name + 3, end))
    const isEntry = bytes.length > 0 && !bytes.includes(0x2f) && !bytes.equals(DOT) && !bytes.equals(DOT_DOT)
    if (isEntry) entries.push({ name: bytes, attributes: attributesOf(listing.toString('latin1', at, name)) })
    at = end + 2
  }
}
const DOT = Buffer.from('.')
const DOT_DOT = Buffer.from('..')

export function fileSystemOf(text: string): FileSystemFacts {
  const numbers = text.trim().split(' ').map(Number)
  const [blockSize = 0, fragmentSize = 0, blocks = 0, freeBlocks = 0, availableBlocks = 0, files = 0, freeFiles = 0, maxNameLength = 0] = numbers
  if (numbers.some((number) => !Number.isFinite(number))) throw new FileError('UNSUPPORTED', 'stat of this image does not know file systems')
  return { blockSize, fragmentSize, blocks, freeBlocks, availableBlocks, files, freeFiles, availableFiles: freeFiles, flags: 0, maxNameLength }
}

/** Arguments of op_set, after path and follow. @param isFine fractions of seconds are understood */
export function changeWords({ size, owner, mode, times }: FileChange, isFine: boolean): (string | number)[] {
  const time = (seconds: number) => (isFine ? String(Number(seconds.toFixed(9))) : String(Math.floor(seconds)))
  const [atime, mtime] = times ? [time(times.atime), time(times.mtime)] : ['', '']
  return [size ?? '', owner ? `${owner.uid}:${owner.gid}` : '', mode === undefined ? '' : octal(mode), atime, mtime]
}

/** Five digits: with fewer, chmod leaves the set-id bits of directories. */
export function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(5, '0')
}

/** pflags of OPEN; draft s6.3. `literal` is ours, said only to servers of ours. */
import { FileError, type OpenMode } from '../../core/files.js'

export const OPEN_FLAG = { read: 0x1, write: 0x2, append: 0x4, create: 0x8, truncate: 0x10, exclusive: 0x20, literal: 0x4000_0000 } as const
const NAMES = Object.keys(OPEN_FLAG) as (keyof typeof OPEN_FLAG)[]

/** @throws FileError INVALID */
export function openMode(flags: number): OpenMode {
  const has = (flag: number) => (flags & flag) !== 0
  const append = has(OPEN_FLAG.append)
  const mode = {
    read: has(OPEN_FLAG.read),
    write: has(OPEN_FLAG.write) || append,
    append,
    create: has(OPEN_FLAG.create),
    truncate: has(OPEN_FLAG.truncate),
    exclusive: has(OPEN_FLAG.exclusive),
    ...(has(OPEN_FLAG.literal) && { literal: true }),
  }
  if (!mode.read && !mode.write) throw new FileError('INVALID', 'OPEN asks neither to read nor to write')
  if (!mode.write && (mode.create || mode.truncate)) throw new FileError('INVALID', 'OPEN asks to create or truncate without writing')
  return mode
}

export function openFlags(mode: OpenMode): number {
  return NAMES.reduce((flags, name) => (mode[name] ? flags | OPEN_FLAG[name] : flags), 0)
}

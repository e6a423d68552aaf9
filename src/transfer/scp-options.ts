/** What an scp client asks of its peer. */
import type { FileAccess, FileChange, FileHandle, FilePath, OpenMode } from '../core/files.js'
import { ScpError } from '../wire/scp-record.js'
import { joined } from './paths.js'

/** FileAccess whose open may be told how much the client has announced. */
export type ScpFiles = Omit<FileAccess, 'open'> & {
  open(path: FilePath, mode: OpenMode, change?: FileChange, declaredBytes?: number): Promise<FileHandle>
}

export interface ScpOptions {
  /** sink: the client gives (`-t`). */
  readonly role: 'sink' | 'source'
  readonly recursive: boolean
  /** Times and exact modes. */
  readonly preserve: boolean
  /** The path must be a directory. */
  readonly directory: boolean
  readonly path: FilePath
}

/**
 * `scp [-vrpdq] -t|-f [--] PATH`, as words; a leading "~/" is the home.
 * @throws ScpError for anything else: no option of scp that names a program, a host or a file of options has a meaning here
 */
export function parseScpWords(words: readonly string[], home: FilePath): ScpOptions {
  const [name, ...rest] = words
  const path = rest.pop()
  const hasDashes = rest.at(-1) === '--'
  const flags = (hasDashes ? rest.slice(0, -1) : rest).map((flag) => /^-([vrpdqtf]+)$/.exec(flag)?.[1])
  if (name !== 'scp' || !path || path.includes('\0') || (path.startsWith('-') && !hasDashes) || flags.includes(undefined)) throw notScp()
  const all = flags.join('')
  const roles = all.replace(/[^tf]/g, '')
  if (roles.length !== 1) throw notScp()
  return {
    role: roles === 't' ? 'sink' : 'source',
    recursive: all.includes('r'),
    preserve: all.includes('p'),
    directory: all.includes('d'),
    path: path === '~' ? home : path.startsWith('~/') ? joined(home, Buffer.from(path.slice(2))) : Buffer.from(path),
  }
}
function notScp(): ScpError {
  return new ScpError('only scp -t and scp -f with one path are served')
}

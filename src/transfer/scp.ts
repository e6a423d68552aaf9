/** The old scp protocol on FileAccess: what `scp -O` asks of its peer, served without an scp in the container. */
import type { Readable, Writable } from 'node:stream'
import type { FileAccess, FileChange, FileHandle, FilePath, OpenMode } from '../core/files.js'
import { escapePeerText } from '../core/log.js'
import { ScpError } from '../wire/scp-record.js'
import { joined } from './paths.js'
import { ScpEnd } from './scp-end.js'
import { ScpSink } from './scp-sink.js'
import { ScpSource } from './scp-source.js'

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

/**
 * Serves one conversation. Does not end the streams, and leaves an open file for `files.close()` to end as a part when the client is lost.
 * @returns the exit status: 0, or 1 when a file could not be moved
 * @throws FileError CONNECTION_LOST when the container is lost
 */
export async function serveScp(options: ScpOptions, input: Readable, output: Writable, files: ScpFiles): Promise<number> {
  const end = new ScpEnd(input, output)
  try {
    if (options.role === 'sink') await new ScpSink(end, files, options).run()
    else await new ScpSource(end, files, options).run()
    return end.exitCode
  } catch (error) {
    if (!(error instanceof ScpError)) throw error
    await end.sendRecord({ kind: 'error', text: `scp: ${escapePeerText(error.message, 1024)}` })
    return 1
  }
}

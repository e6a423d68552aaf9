/** The files of a container through a shell in it: what there is where only programs can be started. */
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
} from '../core/files.js'
import { attributesOf, changeWords, entriesOf, fileSystemOf, octal } from './exec-files-answers.js'
import { ExecFileHandle } from './exec-files-handle.js'
import type { FilesShell } from './exec-files-shell.js'

/** About 700,000 entries. */
const LISTING_BYTES = 64 * 1024 * 1024
const PORTION = 500
const SLASH = Buffer.from('/')

/** What the script said of the container. */
export interface ContainerFacts {
  /** Tools that are missing. */
  readonly missing: readonly string[]
  readonly home: FilePath
  readonly umask: number
  /** `stat` and `touch` know fractions of seconds. */
  readonly isFine: boolean
}

/** @param hello content of the script's first answer */
export function factsOf(hello: Buffer): ContainerFacts {
  const [missing = '', fine = '', umask = '', ...home] = hello.toString('latin1').split('|')
  return {
    missing: missing.trim().split(' ').filter(Boolean),
    isFine: fine === 'y',
    umask: Number.parseInt(umask, 8) || 0,
    home: Buffer.from(home.join('|'), 'latin1'),
  }
}

/**
 * Operations follow one another in the one shell, each some milliseconds for the programs it starts. A handle stands for
 * a path: where the file behind it is replaced, reading and writing fail instead of going elsewhere.
 */
export class ExecFiles implements FileAccess {
  readonly via: string
  readonly home: FilePath
  readonly #shell: FilesShell
  readonly #facts: ContainerFacts

  /** @param shell owned from now on */
  constructor(shell: FilesShell, facts: ContainerFacts, via: string) {
    this.#shell = shell
    this.#facts = facts
    this.via = via
    this.home = facts.home
  }

  async realpath(path: FilePath): Promise<FilePath> {
    const real = await this.#ask('realpath', this.#absolute(path))
    // POSIX lets a shell keep two leading slashes
    return Buffer.from(real[1] === 0x2f ? real.subarray(1) : real)
  }

  async stat(path: FilePath): Promise<FileAttributes> {
    return attributesOf((await this.#ask('stat', this.#absolute(path))).toString('latin1'))
  }

  async lstat(path: FilePath): Promise<FileAttributes> {
    return attributesOf((await this.#ask('lstat', this.#absolute(path))).toString('latin1'))
  }

  async *list(path: FilePath): AsyncGenerator<readonly DirectoryEntry[]> {
    const listing = await this.#shell.ask({ operation: 'list', args: [this.#absolute(path)], mostBytes: LISTING_BYTES })
    const entries = entriesOf(listing)
    for (let at = 0; at < entries.length; at += PORTION) yield entries.slice(at, at + PORTION)
  }

  async open(path: FilePath, mode: OpenMode, { mode: wished = 0o666, ...rest }: FileChange = {}): Promise<FileHandle> {
    const absolute = this.#absolute(path)
    const permissions = wished & 0o777 & ~this.#facts.umask
    // the path is opened once for each write, so its owner keeps the right to until the file is closed
    const given = mode.write ? permissions | 0o600 : permissions
    const flags = [mode.read, mode.write, mode.create, mode.truncate && mode.write, mode.exclusive && mode.create].map(Number)
    const said = (await this.#ask('open', absolute, ...flags, octal(0o777 & ~given))).toString('latin1')
    const [isNew, identity = '', ...attributes] = said.trim().split(' ')
    const handle = new ExecFileHandle(this.#shell, {
      path: absolute,
      identity,
      mode,
      size: attributesOf(attributes.join(' ')).size,
      isFine: this.#facts.isFine,
      ...(isNew === '1' && given !== permissions && { laterMode: permissions }),
    })
    if (Object.keys(rest).length > 0) await handle.setAttributes(rest)
    return handle
  }

  async mkdir(path: FilePath, { mode = 0o777, ...rest }: FileChange = {}): Promise<void> {
    await this.#ask('mkdir', this.#absolute(path), octal(mode & ~this.#facts.umask))
    if (Object.keys(rest).length > 0) await this.setAttributes(path, rest, true)
  }

  async rmdir(path: FilePath): Promise<void> {
    await this.#ask('rmdir', this.#absolute(path))
  }

  async remove(path: FilePath): Promise<void> {
    await this.#ask('remove', this.#absolute(path))
  }

  async rename(from: FilePath, to: FilePath, replace: boolean): Promise<void> {
    await this.#ask('rename', this.#absolute(from), this.#absolute(to), Number(replace))
  }

  async symlink(target: Buffer, path: FilePath): Promise<void> {
    if (target.length === 0 || target.includes(0)) throw new FileError('INVALID', 'A link leads to no such path')
    await this.#ask('symlink', target, this.#absolute(path))
  }

  async link(existing: FilePath, path: FilePath): Promise<void> {
    await this.#ask('link', this.#absolute(existing), this.#absolute(path))
  }

  async readlink(path: FilePath): Promise<Buffer> {
    return Buffer.from(await this.#ask('readlink', this.#absolute(path)))
  }

  async setAttributes(path: FilePath, change: FileChange, follow: boolean): Promise<void> {
    await this.#ask('set', this.#absolute(path), Number(follow), ...changeWords(change, this.#facts.isFine))
  }

  async statvfs(path: FilePath): Promise<FileSystemFacts> {
    return fileSystemOf((await this.#ask('statfs', this.#absolute(path))).toString('latin1'))
  }

  close(): Promise<void> {
    return this.#shell.close()
  }

  #ask(operation: string, ...args: (Buffer | string | number)[]): Promise<Buffer> {
    return this.#shell.ask({ operation, args })
  }

  /** Without slashes at its end: a name before them may be looked at without following it. */
  #absolute(path: FilePath): FilePath {
    if (path.includes(0)) throw new FileError('INVALID', 'A path holds no NUL')
    const whole = path[0] === 0x2f ? path : Buffer.concat([this.home, SLASH, path])
    let end = whole.length
    while (end > 1 && whole[end - 1] === 0x2f) end--
    let start = 0
    while (whole[start] === 0x2f && whole[start + 1] === 0x2f) start++
    return whole.subarray(Math.min(start, end - 1), end)
  }
}

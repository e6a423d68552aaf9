/** The files behind an SFTP server, as FileAccess. */
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
} from '../../core/files.js'
import { changeToWire, fromWire } from './attributes.js'
import { ClientHandle, type Fetched } from './client-handle.js'
import { SftpExchange, type Wish } from './exchange.js'
import { CONTENT_BYTES } from './limits.js'
import { openFlags } from './open-flags.js'
import { EXACT_EXTENSION, extensionOf, type RequestType, type SftpResponse, type SftpStream } from './packets.js'

export interface SftpClientOptions {
  /** See FileAccess. */
  readonly via: string
}
/** Where a server says no limits: what every server takes (draft s3). */
const OLD_CONTENT_BYTES = 32 * 1024
const NO_ATTRIBUTES = {}
/** Of a file that is opened to be read: what comes with its handle. */
const FETCH_BYTES = 32 * 1024

export class SftpClient implements FileAccess {
  readonly via: string
  readonly home: FilePath
  readonly #exchange: SftpExchange
  readonly #extensions: ReadonlyMap<string, string>
  readonly #isExact: boolean
  readonly #contentBytes: number

  /**
   * Greets the server and asks for its home.
   * @param stream owned from now on, and destroyed when this fails
   * @param signal aborting ends it while it begins; afterwards there is close()
   * @throws FileError CONNECTION_LOST; the reason of `signal`
   */
  static async connect(stream: SftpStream, { via }: SftpClientOptions, signal: AbortSignal): Promise<SftpClient> {
    const exchange = new SftpExchange(stream)
    const onAbort = () => exchange.end('it was given up')
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const { extensions } = await exchange.hello(signal)
      const [home, limits] = await Promise.all([
        exchange.ask({ type: 'realpath', path: Buffer.from('.') }),
        extensions.has('limits@openssh.com') ? exchange.ask({ type: 'limits' }) : undefined,
      ])
      const said = limits?.type === 'numbers' ? Math.min(limits.numbers[1] || CONTENT_BYTES, limits.numbers[2] || CONTENT_BYTES) : OLD_CONTENT_BYTES
      return new SftpClient(exchange, { via, home: nameOf(home), extensions, contentBytes: Math.min(said, CONTENT_BYTES) })
    } catch (error) {
      exchange.end('it could not begin')
      if (signal.aborted) throw signal.reason
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  private constructor(
    exchange: SftpExchange,
    facts: { readonly via: string; readonly home: FilePath; readonly extensions: ReadonlyMap<string, string>; readonly contentBytes: number },
  ) {
    this.#exchange = exchange
    this.via = facts.via
    this.home = facts.home
    this.#extensions = facts.extensions
    this.#isExact = facts.extensions.has(EXACT_EXTENSION)
    this.#contentBytes = facts.contentBytes
  }

  async realpath(path: FilePath): Promise<FilePath> {
    return nameOf(await this.#ask({ type: 'realpath', path }))
  }

  async stat(path: FilePath): Promise<FileAttributes> {
    return attributesOf(await this.#ask({ type: 'stat', path }))
  }

  async lstat(path: FilePath): Promise<FileAttributes> {
    return attributesOf(await this.#ask({ type: 'lstat', path }))
  }

  /** The next portion is asked for while the last one is looked at. */
  async *list(path: FilePath): AsyncGenerator<readonly DirectoryEntry[]> {
    const handle = handleOf(await this.#ask({ type: 'opendir', path }))
    const next = () => this.#ask({ type: 'readdir', handle })
    let coming = next()
    try {
      while (true) {
        const answer = await coming
        if (answer.type === 'status') return
        if (answer.type !== 'name') throw unexpected(answer)
        coming = next()
        coming.catch(() => {}) // awaited above, unless the loop was left
        const entries = answer.names.filter(({ name }) => isEntry(name))
        if (entries.length > 0) yield entries.map(({ name, attributes }) => ({ name: Buffer.from(name), attributes: fromWire(attributes) }))
      }
    } finally {
      await this.#ask({ type: 'close', handle }).catch(() => {}) // a directory that was read has nothing to lose
    }
  }

  async open(path: FilePath, asked: OpenMode, { mode: permissions, ...rest }: FileChange = {}): Promise<FileHandle> {
    const mode = this.#isExact ? asked : { ...asked, literal: false }
    const attributes = permissions === undefined ? NO_ATTRIBUTES : { permissions }
    if (!mode.write && this.#can('fetch') && Object.keys(rest).length === 0) return this.#fetch(path, mode)
    const opened = this.#handle(handleOf(await this.#ask({ type: 'open', path, flags: openFlags(mode), attributes })), mode)
    if (Object.keys(rest).length === 0) return opened
    try {
      await opened.setAttributes(rest)
      return opened
    } catch (error) {
      await opened.close().catch(() => {}) // the first error is the one to tell
      throw error
    }
  }

  /** Attributes and the first bytes come with the handle: a small file is read whole by one question. */
  async #fetch(path: FilePath, mode: OpenMode): Promise<FileHandle> {
    const answer = await this.#ask({ type: 'fetch', path, flags: openFlags(mode), length: FETCH_BYTES })
    if (answer.type !== 'fetched') throw unexpected(answer)
    const { handle, attributes, data } = answer
    return this.#handle(Buffer.from(handle), mode, {
      attributes: fromWire(attributes),
      data: Buffer.from(data),
      isWhole: data.length < FETCH_BYTES,
    })
  }

  #handle(handle: Buffer, { write }: OpenMode, fetched?: Fetched): ClientHandle {
    return new ClientHandle(this.#exchange, handle, {
      isExact: this.#isExact,
      contentBytes: this.#contentBytes,
      canSync: this.#can('fsync'),
      isReadOnly: !write,
      ...(fetched && { fetched }),
    })
  }

  async mkdir(path: FilePath, { mode, ...rest }: FileChange = {}): Promise<void> {
    await this.#ask({ type: 'mkdir', path, attributes: mode === undefined ? NO_ATTRIBUTES : { permissions: mode } })
    if (Object.keys(rest).length > 0) await this.setAttributes(path, rest, true)
  }

  async rmdir(path: FilePath): Promise<void> {
    await this.#ask({ type: 'rmdir', path })
  }

  async remove(path: FilePath): Promise<void> {
    await this.#ask({ type: 'remove', path })
  }

  async rename(from: FilePath, to: FilePath, replace: boolean): Promise<void> {
    await this.#ask({ type: replace ? 'posixRename' : 'rename', from, to })
  }

  async symlink(target: Buffer, path: FilePath): Promise<void> {
    await this.#ask({ type: 'symlink', target, path })
  }

  async link(existing: FilePath, path: FilePath): Promise<void> {
    await this.#ask({ type: 'hardlink', existing, path })
  }

  async readlink(path: FilePath): Promise<Buffer> {
    return nameOf(await this.#ask({ type: 'readlink', path }))
  }

  async setAttributes(path: FilePath, change: FileChange, follow: boolean): Promise<void> {
    await this.#ask({ type: follow ? 'setstat' : 'lsetstat', path, attributes: changeToWire(change, this.#isExact) })
  }

  async statvfs(path: FilePath): Promise<FileSystemFacts> {
    const answer = await this.#ask({ type: 'statvfs', path })
    if (answer.type !== 'numbers') throw unexpected(answer)
    const [bsize = 0, frsize = 0, blocks = 0, bfree = 0, bavail = 0, files = 0, ffree = 0, favail = 0, , flags = 0, namemax = 0] = answer.numbers
    const blockFacts = { blockSize: bsize, fragmentSize: frsize, blocks, freeBlocks: bfree, availableBlocks: bavail }
    return { ...blockFacts, files, freeFiles: ffree, availableFiles: favail, flags, maxNameLength: namemax }
  }

  async close(): Promise<void> {
    this.#exchange.end('it was closed')
  }

  #can(type: RequestType): boolean {
    const extension = extensionOf(type)
    return extension === undefined || this.#extensions.has(extension)
  }

  #ask(wish: Wish): Promise<SftpResponse> {
    if (!this.#can(wish.type)) return Promise.reject(new FileError('UNSUPPORTED', 'The server does not know this operation'))
    return this.#exchange.ask(wish)
  }
}

function unexpected({ type }: SftpResponse): FileError {
  return new FileError('FAILURE', `The server gave an answer of another kind (${type})`)
}

function handleOf(answer: SftpResponse): Buffer {
  if (answer.type !== 'handle') throw unexpected(answer)
  return Buffer.from(answer.handle)
}

function attributesOf(answer: SftpResponse): FileAttributes {
  if (answer.type !== 'attributes') throw unexpected(answer)
  return fromWire(answer.attributes)
}

function nameOf(answer: SftpResponse): Buffer {
  const [first] = answer.type === 'name' ? answer.names : []
  if (!first) throw unexpected(answer)
  return Buffer.from(first.name)
}

/** A server may lie: a name with a slash would lead elsewhere. */
function isEntry(name: Buffer): boolean {
  return name.length > 0 && !name.includes(0x2f) && !name.includes(0) && !name.equals(DOT) && !name.equals(DOT_DOT)
}
const DOT = Buffer.from('.')
const DOT_DOT = Buffer.from('..')

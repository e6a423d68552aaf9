/**
 * The files of a container as a rule lets one person see them: each operation is decided before it happens, and told to the
 * audit. Every door that moves files goes through here, so none of them decides anything itself.
 *
 * Links: where a rule names paths, a path is decided as it was given and again as the container resolves it, and the resolved
 * one is what is used, without following a link any more where the back end can do that (the agent's kernel refuses it); once a
 * file is open, it is resolved once more, before a byte passes. What is left of the race is about names (removing, renaming)
 * and needs somebody inside the container who moves folders to and fro, and who could as well do the same there.
 */
import { createHash } from 'node:crypto'
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
import type { BeginCopy } from '../core/kept-copy.js'
import type { FileRule, FileType } from '../core/types.js'
import type { FileFacts, FileJournal, TransferAsk } from './file-journal.js'
import { absolutePath, joined, parted, pathFields, pathText, toFields } from './paths.js'
import { VettedHandle } from './vetted-handle.js'

/** A path that may be used. */
interface Cleared {
  /** What the back end is given: resolved where the rule names paths. */
  readonly path: FilePath
  readonly facts: Pick<FileFacts, 'path' | 'pathBase64' | 'resolved'>
  readonly rule: string
  readonly limits: FileRule | undefined
  readonly isResolved: boolean
}
interface Wish {
  readonly op: NonNullable<TransferAsk['op']>
  readonly direction: TransferAsk['direction']
  readonly path: FilePath
  /** Whether a link at the end is followed. */
  readonly follow: boolean
  readonly type?: FileType
  readonly count?: number
  readonly change?: FileChange
  readonly bytes?: number
}

/** Content that did not pass in order is read once more to be hashed, up to this size. */
const READ_BACK_BYTES = 64 * 1024 * 1024
const READ_BACK_STEP_BYTES = 256 * 1024

export class VettedFiles implements FileAccess {
  readonly #files: FileAccess
  readonly #journal: FileJournal
  readonly #beginCopy: BeginCopy | undefined
  readonly #open = new Set<VettedHandle>()
  #closing: Promise<void> | undefined

  /** Owns `files` and closes them. @param beginCopy where rules may want copies of uploads; without it such an upload is refused */
  constructor(files: FileAccess, journal: FileJournal, beginCopy?: BeginCopy) {
    this.#beginCopy = beginCopy
    this.#files = files
    this.#journal = journal
  }

  get via(): string {
    return this.#files.via
  }
  get home(): FilePath {
    return this.#files.home
  }

  /** Not decided: clients ask it first of all, of the folder they start in. It tells where links lead, and no content. */
  realpath(path: FilePath): Promise<FilePath> {
    return this.#files.realpath(path)
  }

  async stat(path: FilePath): Promise<FileAttributes> {
    return this.#files.stat((await this.#clear({ op: 'stat', direction: 'download', path, follow: true })).path)
  }
  async lstat(path: FilePath): Promise<FileAttributes> {
    return this.#files.lstat((await this.#clear({ op: 'stat', direction: 'download', path, follow: false })).path)
  }
  async readlink(path: FilePath): Promise<Buffer> {
    return this.#files.readlink((await this.#clear({ op: 'stat', direction: 'download', path, follow: false })).path)
  }
  async statvfs(path: FilePath): Promise<FileSystemFacts> {
    return this.#files.statvfs((await this.#clear({ op: 'stat', direction: 'download', path, follow: true })).path)
  }

  async *list(path: FilePath): AsyncGenerator<readonly DirectoryEntry[]> {
    const { path: cleared, facts, rule } = await this.#clear({ op: 'list', direction: 'download', path, follow: true })
    await this.#journal.note({ ...facts, op: 'list', verdict: 'allow', rule })
    yield* this.#files.list(cleared)
  }

  /** @param declaredBytes what the client says it will send, where its protocol does: refused at once when it is too much, a part when it is not reached */
  async open(path: FilePath, mode: OpenMode, change?: FileChange, declaredBytes?: number): Promise<FileHandle> {
    const op = mode.write ? 'upload' : 'download'
    const declared = declaredBytes === undefined ? {} : { bytes: declaredBytes }
    const wish = { op, direction: op, path, follow: true, type: 'file', count: this.#journal.opened + 1, ...declared } as const
    let cleared = await this.#clear(wish)
    if (mode.write && mode.read) cleared = await this.#clear({ ...wish, op: 'download', direction: 'download' })
    const handle = await this.#openCleared(cleared, mode, change, op)
    try {
      const { maxUpload, maxDownload } = cleared.limits ?? {}
      const mustMeasure = (mode.read && maxDownload !== undefined) || (mode.append && maxUpload !== undefined)
      const size = mustMeasure ? (await handle.stat()).size : 0
      if (mode.read && !mode.write) await this.#askSize(cleared, size)
      this.#journal.countOpened()
      return this.#vetted(handle, cleared, mode, size, declaredBytes)
    } catch (error) {
      await handle.close().catch(() => undefined) // the first failure is the one to tell
      throw error
    }
  }

  mkdir(path: FilePath, change?: FileChange): Promise<void> {
    const wish = { op: 'mkdir', direction: 'upload', path, follow: false, type: 'directory' } as const
    return this.#change(wish, (cleared) => this.#files.mkdir(cleared, change))
  }
  rmdir(path: FilePath): Promise<void> {
    return this.#change({ op: 'remove', direction: 'upload', path, follow: false }, (cleared) => this.#files.rmdir(cleared))
  }
  remove(path: FilePath): Promise<void> {
    return this.#change({ op: 'remove', direction: 'upload', path, follow: false }, (cleared) => this.#files.remove(cleared))
  }
  setAttributes(path: FilePath, change: FileChange, follow: boolean): Promise<void> {
    return this.#change({ op: 'chmod', direction: 'upload', path, follow, change }, (cleared) => this.#files.setAttributes(cleared, change, follow))
  }

  async rename(from: FilePath, to: FilePath, replace: boolean): Promise<void> {
    const old = this.#absolute(from)
    const type = await this.#typeWhereItCounts(old)
    const wish = { op: 'rename', direction: 'upload', path: old, follow: false, ...(type && { type }) } as const
    await this.#changeTwo(wish, this.#absolute(to), (one, other) => this.#files.rename(one, other, replace))
  }
  async link(existing: FilePath, path: FilePath): Promise<void> {
    const wish = { op: 'link', direction: 'upload', path, follow: false, type: 'hardlink' } as const
    await this.#changeTwo(wish, this.#absolute(existing), (one, other) => this.#files.link(other, one))
  }
  /** What a link leads to is decided when it is made, and again whenever it is followed. */
  async symlink(target: Buffer, path: FilePath): Promise<void> {
    const folder = parted(this.#absolute(path))?.folder ?? this.home
    const wish = { op: 'link', direction: 'upload', path, follow: false, type: 'symlink' } as const
    const to = pathText(absolutePath(target, folder))
    await this.#change(wish, (cleared) => this.#files.symlink(target, cleared), to, toFields(target))
  }

  /** Open files end as parts; their events rest before this resolves. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }
  async #close(): Promise<void> {
    await Promise.all([...this.#open].map((handle) => handle.cut()))
    await this.#files.close()
    await this.#journal.settled()
  }

  #absolute(path: FilePath): FilePath {
    return absolutePath(path, this.home)
  }

  /** @param to another path of the operation, as text @throws FileError REFUSED, and those of the back end's realpath */
  async #clear({ op, direction, path, follow, type, count, change, bytes = change?.size }: Wish, to?: string, toFacts?: Partial<FileFacts>): Promise<Cleared> {
    const asked = this.#absolute(path)
    const facts = pathFields(asked)
    const common = {
      op,
      direction,
      ...(to !== undefined && { to }),
      ...(type && { type }),
      ...(count !== undefined && { count }),
      ...(bytes !== undefined && { bytes }),
    }
    const told = { op, ...toFacts, ...(change && { change }) }
    const { rule, files: limits } = await this.#journal.ask({ ...common, path: pathText(asked) }, { ...facts, ...told })
    if (!namesPaths(limits)) return { path: asked, facts, rule, limits, isResolved: false }
    const resolved = await this.#resolve(asked, follow)
    const both = resolved.equals(asked) ? facts : { ...facts, resolved: pathText(resolved) }
    await this.#journal.ask({ ...common, path: pathText(resolved) }, { ...both, ...told })
    return { path: resolved, facts: both, rule, limits, isResolved: true }
  }

  async #resolve(path: FilePath, follow: boolean): Promise<FilePath> {
    const parts = follow ? undefined : parted(path)
    return parts ? joined(await this.#files.realpath(parts.folder), parts.name) : this.#files.realpath(path)
  }

  /** A change rests in the audit before it happens; what the container then says against it is told too. */
  async #change(wish: Wish, act: (path: FilePath) => Promise<void>, to?: string, toFacts?: Partial<FileFacts>): Promise<void> {
    const cleared = await this.#clear(wish, to, toFacts)
    const event = { ...cleared.facts, op: wish.op, ...toFacts, ...(wish.change && { change: wish.change }) }
    await this.#journal.record(event, cleared.rule)
    try {
      await act(cleared.path)
    } catch (error) {
      if (error instanceof FileError) await this.#journal.note({ ...event, error: error.code, verdict: 'allow', rule: cleared.rule })
      throw error
    }
  }

  /** As #change, for two paths: each as it was given and as it is resolved. */
  async #changeTwo(wish: Wish, other: FilePath, act: (path: FilePath, other: FilePath) => Promise<void>): Promise<void> {
    const second = toFields(other)
    const { isResolved } = await this.#clear(wish, pathText(other), second)
    const resolved = isResolved ? await this.#resolve(other, false) : other
    await this.#change(wish, (path) => act(path, resolved), pathText(resolved), second)
  }

  /** What moves matters only to rules that name paths: others are spared the question. */
  async #typeWhereItCounts(path: FilePath): Promise<FileType | undefined> {
    const verdict = this.#journal.decide({ op: 'rename', direction: 'upload', path: pathText(path) })
    if (!verdict.allow || !namesPaths(verdict.files)) return undefined
    return (await this.#files.lstat(path)).kind === 'directory' ? 'directory' : 'file'
  }

  async #openCleared(cleared: Cleared, mode: OpenMode, change: FileChange | undefined, op: 'upload' | 'download'): Promise<FileHandle> {
    try {
      return cleared.isResolved ? await this.#openSafely(cleared, mode, change) : await this.#files.open(cleared.path, mode, change)
    } catch (error) {
      // that a file is not there is no event of reading; a file that could not be written is one
      if (error instanceof FileError && error.code !== 'REFUSED' && (mode.write || error.code !== 'NO_SUCH_FILE')) {
        await this.#journal.note({ ...cleared.facts, op, bytes: 0, partial: true, error: error.code, verdict: 'allow', rule: cleared.rule })
      }
      throw error
    }
  }

  /** Nothing is cut off before it is known that the file is the one that was decided about. */
  async #openSafely({ path, rule, facts }: Cleared, mode: OpenMode, change: FileChange | undefined): Promise<FileHandle> {
    const changed = () => {
      const verdict = { allow: false, rule, reason: 'the path was changed while it was opened' } as const
      return this.#journal.refuse(verdict, { ...facts, op: mode.write ? 'upload' : 'download' })
    }
    const handle = await this.#files.open(path, { ...mode, truncate: false, literal: true }, change).catch(async (error: unknown) => {
      // it was resolved just now: a link in it has come since
      throw error instanceof FileError && error.code === 'SYMLINK_LOOP' ? await changed() : error
    })
    try {
      if (!(await this.#files.realpath(path)).equals(path)) throw await changed()
      if (mode.truncate) await handle.setAttributes({ size: 0 })
      return handle
    } catch (error) {
      await handle.close().catch(() => undefined) // the first failure is the one to tell
      throw error
    }
  }

  async #askSize({ path, facts }: Cleared, bytes: number): Promise<void> {
    await this.#journal.ask({ op: 'download', direction: 'download', path: pathText(path), bytes }, { ...facts, op: 'download' })
  }

  #vetted(handle: FileHandle, cleared: Cleared, mode: OpenMode, size: number, declaredBytes: number | undefined): VettedHandle {
    const vetted = new VettedHandle(
      {
        handle,
        mode,
        facts: cleared.facts,
        path: pathText(cleared.path),
        rule: cleared.rule,
        limits: cleared.limits,
        appendAt: mode.append ? size : 0,
        declaredBytes,
        keepsContent: mode.write && !mode.truncate && !mode.exclusive,
        readBack: () => this.#readBack(cleared.path),
        ...(mode.write && cleared.limits?.keep !== undefined && { keep: { maxBytes: cleared.limits.keep, begin: this.#beginCopy ?? noCopies } }),
        reread: (maxBytes) => this.#contentOf(cleared.path, maxBytes),
        closed: (closed) => this.#open.delete(closed),
      },
      this.#journal,
    )
    this.#open.add(vetted)
    return vetted
  }

  /** Up to `maxBytes` of what rests there now. @throws FileError where it may not be read: then there is no copy, and the upload fails */
  async *#contentOf(path: FilePath, maxBytes: number): AsyncGenerator<Buffer> {
    const mode = { read: true, write: false, append: false, create: false, truncate: false, exclusive: false }
    const handle = await this.#files.open(path, mode)
    try {
      for (let at = 0; at < maxBytes; ) {
        const data = await handle.read(at, Math.min(READ_BACK_STEP_BYTES, maxBytes - at))
        if (data.length === 0) return
        at += data.length
        yield data
      }
    } finally {
      await handle.close()
    }
  }

  async #readBack(path: FilePath): Promise<string | undefined> {
    try {
      const handle = await this.#files.open(path, { read: true, write: false, append: false, create: false, truncate: false, exclusive: false })
      try {
        if ((await handle.stat()).size > READ_BACK_BYTES) return undefined
        const hash = createHash('sha256')
        for (let at = 0; ; ) {
          const data = await handle.read(at, READ_BACK_STEP_BYTES)
          if (data.length === 0) return hash.digest('hex')
          hash.update(data)
          at += data.length
          if (at > READ_BACK_BYTES) return undefined
        }
      } finally {
        await handle.close()
      }
    } catch {
      return undefined // the event says why there is no hash; that it could not be read either changes nothing
    }
  }
}

async function noCopies(): Promise<never> {
  throw new Error('this gateway keeps no copies')
}

function namesPaths(files: FileRule | undefined): boolean {
  return files !== undefined && (files.denyPaths.length > 0 || files.allowPaths !== undefined)
}

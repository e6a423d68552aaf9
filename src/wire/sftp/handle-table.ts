/** The handles of one SFTP session: what a client may name after it opened it. */
import { type DirectoryEntry, FileError, type FileHandle, type FilePath } from '../../core/files.js'
import type { StreamReader } from './stream-reader.js'

export interface OpenFile {
  readonly kind: 'file'
  readonly path: FilePath
  readonly file: FileHandle
  readonly isAppend: boolean
  /** Where the back end streams, of a file that is only read. */
  readonly reader: StreamReader | undefined
}
export interface OpenDirectory {
  readonly kind: 'directory'
  readonly path: FilePath
  readonly portions: AsyncIterator<readonly DirectoryEntry[]>
  /** Read, but not told yet. */
  rest: readonly DirectoryEntry[]
}
export type OpenThing = OpenFile | OpenDirectory

const HANDLE_BYTES = 4

/** A number is never used twice, so a late request cannot hit what was opened after. */
export class HandleTable {
  readonly #most: number
  readonly #things = new Map<number, OpenThing>()
  #reserved = 0
  #next = 0
  #isClosed = false

  constructor(most: number) {
    this.#most = most
  }

  /** A place for what is about to be opened: many may be on their way at once. @throws FileError FAILURE when all are taken */
  reserve(): { fill(thing: OpenThing): Buffer; free(): void } {
    if (this.#things.size + this.#reserved >= this.#most) throw new FileError('FAILURE', `Too many open files: ${this.#most} handles are open`)
    this.#reserved++
    let isOpen = true
    const free = () => {
      if (isOpen) this.#reserved--
      isOpen = false
    }
    const fill = (thing: OpenThing) => {
      free()
      if (this.#isClosed) {
        cutThing(thing).catch(() => {}) // the session is over: nobody is left to hear it
        throw new FileError('CONNECTION_LOST', 'The session is over')
      }
      const id = this.#next++
      this.#things.set(id, thing)
      const handle = Buffer.alloc(HANDLE_BYTES)
      handle.writeUInt32BE(id >>> 0)
      return handle
    }
    return { fill, free }
  }

  /** The number in a handle of ours, whether it is open or not; undefined for a handle that we never make. */
  numberOf(handle: Buffer): number | undefined {
    return handle.length === HANDLE_BYTES ? handle.readUInt32BE(0) : undefined
  }

  /** @throws FileError INVALID */
  file(handle: Buffer): OpenFile {
    const thing = this.any(handle)
    if (thing.kind !== 'file') throw new FileError('INVALID', 'The handle is of a directory')
    return thing
  }

  /** @throws FileError INVALID */
  directory(handle: Buffer): OpenDirectory {
    const thing = this.any(handle)
    if (thing.kind !== 'directory') throw new FileError('INVALID', 'The handle is not of a directory')
    return thing
  }

  /** @throws FileError INVALID */
  any(handle: Buffer): OpenThing {
    const thing = this.#things.get(this.numberOf(handle) ?? -1)
    if (!thing) throw new FileError('INVALID', 'No such handle')
    return thing
  }

  /** Without a word when it is not open. */
  peek(number: number): OpenThing | undefined {
    return this.#things.get(number)
  }

  /** @throws FileError INVALID, and what the file's own close says */
  async close(handle: Buffer): Promise<void> {
    const thing = this.any(handle)
    this.#things.delete(this.numberOf(handle) ?? -1)
    await closeThing(thing)
  }

  /** What a client left open; failures have nobody to hear them. */
  async closeAll(): Promise<void> {
    this.#isClosed = true
    const things = [...this.#things.values()]
    this.#things.clear()
    await Promise.allSettled(things.map((thing) => (thing.kind === 'file' && thing.file.cut ? thing.file.cut() : closeThing(thing))))
  }
}

async function closeThing(thing: OpenThing): Promise<void> {
  if (thing.kind === 'file') thing.reader?.close()
  if (thing.kind === 'file') await thing.file.close()
  else await thing.portions.return?.()
}

/** What the client did not close itself may be a part only. */
async function cutThing(thing: OpenThing): Promise<void> {
  if (thing.kind !== 'file' || !thing.file.cut) return closeThing(thing)
  thing.reader?.close()
  await thing.file.cut()
}

/**
 * Copies of uploads for review: DIR/kept/YYYY/MM/DD/SESSION-N.kept.gz (.enc where recordings are encrypted, by the same keys), in
 * the blocks of a recording, so `zcat` reads those that are not encrypted. `.part` until whole: what a crash leaves has no event.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { KeptAt, KeptCopy } from '../core/kept-copy.js'
import type { AuditSink, Session } from '../core/types.js'
import { fileBytes, framesOf, GZIP, type TapeFormat } from './tape-format.js'

/** Plain bytes of one block. */
const BLOCK_BYTES = 256 * 1024
const KEPT = /^[A-Za-z0-9][A-Za-z0-9_-]{0,140}\.kept\.(gz|enc)(\.part)?$/
/** What the field `kept` of an event holds. */
const PLACE = /^kept\/\d{4}\/\d{2}\/\d{2}\/[A-Za-z0-9][A-Za-z0-9_-]{0,140}\.kept\.(gz|enc)$/

export class KeptFiles {
  readonly #dataDir: string
  readonly #format: TapeFormat

  constructor({ dataDir, format = GZIP }: { readonly dataDir: string; readonly format?: TapeFormat }) {
    this.#dataDir = dataDir
    this.#format = format
  }

  /** @param number of the copy in its session; each only once */
  async begin({ id, startedAt }: Pick<Session, 'id' | 'startedAt'>, number: number): Promise<KeptCopy> {
    const day = startedAt.toISOString().slice(0, 10).replaceAll('-', '/')
    const path = `kept/${day}/${id}-${number}${this.#format.extension.replace('.cast', '.kept')}`
    const whole = join(this.#dataDir, path)
    await mkdir(dirname(whole), { recursive: true, mode: 0o700 })
    const file = await open(`${whole}.part`, 'wx', 0o600)
    return new CopyFile(file, whole, path, await this.#format.writer())
  }

  /** The content of a copy. @param path as its event names it @throws OpsError NOT_FOUND; CONFIG_INVALID when it is encrypted for somebody else */
  async open(path: string): Promise<Readable> {
    if (!PLACE.test(path)) throw new OpsError('NOT_FOUND', `No copy is kept at "${path}"`)
    const file = await open(join(this.#dataDir, path), 'r').catch((error: NodeJS.ErrnoException) => {
      throw new OpsError('NOT_FOUND', `Cannot open the copy "${path}": ${error.message}`, { cause: error, detail: 'the copy is not there any more' })
    })
    return Readable.from(this.#contentOf(file), { objectMode: false })
  }

  async *#contentOf(file: FileHandle): AsyncGenerator<Buffer> {
    try {
      const bytes = fileBytes(file, (await file.stat()).size)
      const reader = await this.#format.reader(bytes)
      for (const [index, frame] of (await framesOf(bytes, reader)).entries()) yield await reader.decode(await bytes.read(frame.offset, frame.bytes), index)
    } finally {
      await file.close()
    }
  }
}

class CopyFile implements KeptCopy {
  readonly #file: FileHandle
  readonly #whole: string
  readonly #path: string
  readonly #writer: Awaited<ReturnType<TapeFormat['writer']>>
  readonly #hash = createHash('sha256')
  #pieces: Buffer[] = []
  #gathered = 0
  #plainBytes = 0
  #at = 0

  constructor(file: FileHandle, whole: string, path: string, writer: Awaited<ReturnType<TapeFormat['writer']>>) {
    this.#file = file
    this.#whole = whole
    this.#path = path
    this.#writer = writer
  }

  async add(data: Buffer): Promise<void> {
    this.#pieces.push(data)
    this.#gathered += data.length
    this.#plainBytes += data.length
    if (this.#gathered >= BLOCK_BYTES) await this.#flush()
  }

  async finish(): Promise<KeptAt> {
    await this.#flush()
    await this.#file.datasync()
    await this.#file.close()
    await rename(`${this.#whole}.part`, this.#whole)
    const folder = await open(dirname(this.#whole), 'r')
    await folder.sync().finally(() => folder.close())
    return { kept: this.#path, keptBytes: this.#plainBytes, keptSha256: this.#hash.digest('hex') }
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined) // closed already
    await unlink(`${this.#whole}.part`).catch(() => undefined) // retention takes what is left
  }

  async #flush(): Promise<void> {
    if (this.#at === 0) await this.#put(this.#writer.head)
    if (this.#gathered === 0) return
    const plain = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#gathered = 0
    await this.#put(await this.#writer.encode(plain, 0))
  }

  async #put(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) done += (await this.#file.write(bytes, done, bytes.length - done, this.#at + done)).bytesWritten
    this.#hash.update(bytes)
    this.#at += bytes.length
  }
}

export interface KeptRetention {
  readonly dataDir: string
  readonly audit: Pick<AuditSink, 'write'>
  readonly maxAgeMs: number
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number
}

/** Removes copies that are older than recordings may be, each by an event. @returns how many @throws OpsError AUDIT_UNAVAILABLE */
export async function removeOldCopies({ dataDir, audit, maxAgeMs, now = Date.now }: KeptRetention): Promise<number> {
  const limit = new Date(now() - maxAgeMs).toISOString().slice(0, 10).replaceAll('-', '/')
  const root = join(dataDir, 'kept')
  const found = await readdir(root, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  let removed = 0
  for (const entry of found) {
    const folder = entry.parentPath.slice(root.length + 1)
    if (!entry.isFile() || !KEPT.test(entry.name) || folder >= limit) continue
    await audit.write({ type: 'admin', action: 'kept.removed', object: `kept/${folder}/${entry.name}`, after: { reason: 'retention' } })
    await unlink(join(entry.parentPath, entry.name))
    removed++
  }
  return removed
}

/**
 * Recordings in an S3-compatible store. They are written to the local directory first, so a slow or absent store never holds up a
 * session and `kill -9` costs no more than without it; each grows there as a multipart upload while its session runs, and once it
 * is sealed, in the log and whole in the store, a note (NAME.s3) takes its place. What could not be sent is tried again.
 */
import { open, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { Logger } from '../core/log.js'
import { ELSEWHERE_ENDING } from '../wire/evidence/verify-recordings.js'
import type { TapeBytes } from './tape-format.js'

/** S3 takes no smaller part but the last ("Amazon S3 multipart upload limits"). */
const PART_BYTES = 5 * 1024 * 1024
const LOOK_MS = 5000
const RETRY_MS = 60_000
/** What is read at once of a recording that rests in S3, and how many such pieces stay in memory. */
const PIECE_BYTES = 4 * 1024 * 1024
const MAX_PIECES = 4

export interface TapeS3Options {
  readonly client: S3Client
  readonly bucket: string
  /** Before each key. */
  readonly prefix: string
  readonly dataDir: string
  readonly logger: Logger
  /** Waits for what else needs the local file (keyframes). */
  readonly settled?: (path: string) => Promise<void>
}

/** Where a recording rests. */
export interface ElsewhereNote {
  readonly bucket: string
  readonly key: string
  readonly sha256: string
  readonly bytes: number
}

interface Growing {
  uploadId: string | undefined
  readonly parts: { readonly ETag: string; readonly PartNumber: number }[]
  sent: number
  turn: Promise<void>
}

export class TapeS3 {
  readonly #options: TapeS3Options
  readonly #growing = new Map<string, Growing>()
  readonly #waiting = new Map<string, { readonly sha256: string; readonly bytes: number }>()
  readonly #timers: NodeJS.Timeout[]
  #turn: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: TapeS3Options) {
    this.#options = options
    this.#timers = [setInterval(() => this.#look(), LOOK_MS).unref(), setInterval(() => this.#ship(), RETRY_MS).unref()]
  }

  /** A recording begins. @param path below dataDir */
  readonly created = (path: string): void => {
    this.#growing.set(path, { uploadId: undefined, parts: [], sent: 0, turn: Promise.resolve() })
  }

  /** A recording is whole; call it once the log holds its hash. */
  readonly sealed = (path: string, facts: { readonly sha256: string; readonly bytes: number }): void => {
    this.#waiting.set(path, facts)
    this.#ship()
  }

  /** Recordings that an earlier run sealed and did not send. Once, at start, after recover(). @param hash of a file */
  async resume(hash: (path: string) => Promise<{ readonly sha256: string; readonly bytes: number }>): Promise<void> {
    for (const name of await readdir(join(this.#options.dataDir, 'recordings'), { recursive: true }).catch(() => [])) {
      if (/\.cast\.(gz|enc)$/.test(name)) this.#waiting.set(`recordings/${name}`, await hash(join(this.#options.dataDir, 'recordings', name)))
    }
    this.#ship()
  }

  /** Resolves when everything that was sealed has been sent, or tried. */
  async flushed(): Promise<void> {
    await this.#turn
  }

  /** The recording whose note stands at `path` (absolute); undefined where there is none. */
  async find(path: string): Promise<ElsewhereNote | undefined> {
    try {
      return JSON.parse(await readFile(path + ELSEWHERE_ENDING, 'utf8')) as ElsewhereNote
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Its bytes, read in pieces as they are asked for. */
  bytes({ bucket, key, bytes: size }: ElsewhereNote): TapeBytes {
    const pieces = new Map<number, Promise<Buffer>>()
    const piece = (at: number): Promise<Buffer> => {
      const known = pieces.get(at)
      if (known) return known
      const end = Math.min(size, at + PIECE_BYTES) - 1
      const read = this.#options.client.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=${at}-${end}` })).then(async ({ Body }) => {
        if (!Body) throw new Error(`"${key}" has no content`)
        return Buffer.from(await Body.transformToByteArray())
      })
      pieces.set(at, read)
      for (const oldest of pieces.keys()) if (pieces.size > MAX_PIECES) pieces.delete(oldest)
      return read
    }
    return {
      size,
      async read(offset, length) {
        const parts: Buffer[] = []
        for (let at = offset; at < Math.min(offset + length, size); ) {
          const start = at - (at % PIECE_BYTES)
          const bytes = (await piece(start)).subarray(at - start, offset + length - start)
          if (bytes.length === 0) throw new Error(`"${key}" is shorter than ${size} bytes`)
          parts.push(bytes)
          at += bytes.length
        }
        return Buffer.concat(parts)
      },
      close: async () => {},
    }
  }

  /** Finishes what is being sent; the rest goes at the next start. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#turn
    await Promise.all([...this.#growing.values()].map(({ turn }) => turn))
    await Promise.all([...this.#growing].map(([path, growing]) => this.#abandon(path, growing)))
    this.#options.client.destroy()
  }

  /** Sends of each running recording what has become a part. */
  #look(): void {
    for (const [path, growing] of this.#growing) {
      if (this.#waiting.has(path)) continue
      growing.turn = growing.turn
        .then(() => this.#grow(path, growing, `${join(this.#options.dataDir, path)}.part`, false))
        .catch((error: Error) => this.#options.logger.warn({ path, reason: error.message }, 'recording.s3-later'))
    }
  }

  async #grow(path: string, growing: Growing, file: string, isWhole: boolean): Promise<void> {
    const { size } = await stat(file)
    while (size - growing.sent >= PART_BYTES || (isWhole && size > growing.sent)) {
      growing.uploadId ??= (await this.#send(new CreateMultipartUploadCommand(this.#at(path)))).UploadId
      const length = Math.min(PART_BYTES, size - growing.sent)
      const body = await readPiece(file, growing.sent, length)
      const PartNumber = growing.parts.length + 1
      const { ETag } = await this.#send(new UploadPartCommand({ ...this.#at(path), UploadId: growing.uploadId, PartNumber, Body: body }))
      growing.parts.push({ ETag: ETag ?? '', PartNumber })
      growing.sent += length
    }
  }

  #ship(): void {
    if (this.#closed) return
    this.#turn = this.#turn.then(async () => {
      for (const [path, facts] of [...this.#waiting]) {
        try {
          await this.#shipOne(path, facts)
          this.#waiting.delete(path)
        } catch (error) {
          this.#options.logger.warn({ path, reason: (error as Error).message }, 'recording.s3-later')
        }
      }
    })
  }

  async #shipOne(path: string, { sha256, bytes }: { readonly sha256: string; readonly bytes: number }): Promise<void> {
    const file = join(this.#options.dataDir, path)
    const growing = this.#growing.get(path)
    await growing?.turn
    await this.#options.settled?.(file)
    if (growing?.uploadId !== undefined) {
      await this.#grow(path, growing, file, true)
      await this.#send(new CompleteMultipartUploadCommand({ ...this.#at(path), UploadId: growing.uploadId, MultipartUpload: { Parts: [...growing.parts] } }))
    } else if (bytes > PART_BYTES) {
      const whole: Growing = { uploadId: undefined, parts: [], sent: 0, turn: Promise.resolve() }
      await this.#grow(path, whole, file, true)
      await this.#send(new CompleteMultipartUploadCommand({ ...this.#at(path), UploadId: whole.uploadId, MultipartUpload: { Parts: whole.parts } }))
    } else await this.#send(new PutObjectCommand({ ...this.#at(path), Body: await readFile(file), Metadata: { sha256 } }))
    const held = await this.#send(new HeadObjectCommand(this.#at(path)))
    if (held.ContentLength !== bytes) throw new Error(`S3 holds ${held.ContentLength} of ${bytes} bytes`)
    const note: ElsewhereNote = { bucket: this.#options.bucket, key: this.#at(path).Key, sha256, bytes }
    await writeFile(`${file}${ELSEWHERE_ENDING}.new`, `${JSON.stringify(note)}\n`, { mode: 0o600, flush: true })
    await rename(`${file}${ELSEWHERE_ENDING}.new`, file + ELSEWHERE_ENDING)
    await unlink(file)
    this.#growing.delete(path)
  }

  async #abandon(path: string, { uploadId }: Growing): Promise<void> {
    this.#growing.delete(path)
    if (uploadId === undefined) return
    // parts of an upload that never ends are paid for; the bucket's lifecycle is the second line
    await this.#send(new AbortMultipartUploadCommand({ ...this.#at(path), UploadId: uploadId })).catch(() => undefined)
  }

  #at(path: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + path }
  }

  get #send(): S3Client['send'] {
    return this.#options.client.send.bind(this.#options.client)
  }
}

async function readPiece(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(length)
    const { bytesRead } = await file.read(bytes, 0, length, offset)
    if (bytesRead < length) throw new Error(`"${path}" is shorter than ${offset + length} bytes`)
    return bytes
  } finally {
    await file.close()
  }
}

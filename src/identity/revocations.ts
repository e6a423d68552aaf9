/**
 * What was revoked before its time: logins (logout, a spent refresh token shown again) and spent refresh tokens. One JSON line
 * each in DATA/state/revoked.ndjson; a line is forgotten once the tokens it means have expired by themselves.
 */
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { OpsError } from '../core/errors.js'

const lineSchema = z.strictObject({ id: z.string().min(1).max(64), until: z.int() })

export interface RevocationOptions {
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** Most that are held; 200,000, some 20 MB. */
  readonly max?: number
}

export class Revocations {
  readonly #path: string
  readonly #now: () => number
  readonly #max: number
  /** Id -> when it may be forgotten, in milliseconds since 1970. */
  readonly #until = new Map<string, number>()
  #file: FileHandle
  #turn: Promise<unknown> = Promise.resolve()
  #lines: number

  private constructor(path: string, options: RevocationOptions, file: FileHandle, held: ReadonlyMap<string, number>) {
    this.#path = path
    this.#now = options.now ?? Date.now
    this.#max = options.max ?? 200_000
    this.#file = file
    for (const [id, until] of held) this.#until.set(id, until)
    this.#lines = held.size
  }

  /** Reads what is still of use and writes the file anew. A torn last line (power cut) is left out: its writer was never told that it holds. */
  static async open(path: string, options: RevocationOptions = {}): Promise<Revocations> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const now = (options.now ?? Date.now)()
    const held = new Map((await linesOf(path)).filter(({ until }) => until > now).map(({ id, until }) => [id, until]))
    return new Revocations(path, options, await rewritten(path, held), held)
  }

  has(id: string): boolean {
    return this.#until.has(id)
  }

  get size(): number {
    return this.#until.size
  }

  /**
   * Holds at once; resolves when it is on disk.
   * @param until when the tokens expire, milliseconds since 1970
   * @param share of the room that may be in use; what spends tokens leaves some for those who log out
   * @returns false when it was revoked already
   * @throws OpsError LIMIT_EXCEEDED when no room is left
   */
  async revoke(id: string, until: number, share = 1): Promise<boolean> {
    if (this.#until.has(id)) return false
    if (until <= this.#now()) return true
    if (this.#until.size >= this.#max * share) this.#sweep()
    if (this.#until.size >= this.#max * share) throw new OpsError('LIMIT_EXCEEDED', `Cannot revoke: ${this.#until.size} are held already`)
    this.#until.set(id, until)
    await this.#inTurn(() => this.#append(id, until))
    return true
  }

  async close(): Promise<void> {
    await this.#inTurn(() => this.#file.close())
  }

  async #append(id: string, until: number): Promise<void> {
    if (this.#lines > 2 * this.#until.size + 1000) {
      this.#sweep()
      await this.#file.close()
      this.#file = await rewritten(this.#path, this.#until)
      this.#lines = this.#until.size
      return
    }
    await this.#file.appendFile(`${JSON.stringify({ id, until })}\n`)
    await this.#file.datasync()
    this.#lines++
  }

  #sweep(): void {
    const now = this.#now()
    for (const [id, until] of this.#until) if (until <= now) this.#until.delete(id)
  }

  /** One write after the other; a failed one is its caller's to hear. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}

async function linesOf(path: string): Promise<z.output<typeof lineSchema>[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap((line) => {
    const parsed = lineSchema.safeParse(jsonOf(line))
    return parsed.success ? [parsed.data] : []
  })
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined // the schema refuses it
  }
}

/** The file with just these, open for more. */
async function rewritten(path: string, held: ReadonlyMap<string, number>): Promise<FileHandle> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile([...held].map(([id, until]) => `${JSON.stringify({ id, until })}\n`).join(''))
    await file.datasync()
    await rename(`${path}.new`, path)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

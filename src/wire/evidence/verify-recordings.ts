/** The recordings' part of the verifier: each file against the hash that the log holds of it. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredEvent } from '../../core/types.js'
import type { EvidenceProblem } from './report.js'

/** Endings of what stands beside a recording and proves nothing: screens for seeking, and a note that it rests in S3. */
export const KEYFRAMES_ENDING = '.keyframes'
export const ELSEWHERE_ENDING = '.s3'
const PART_ENDING = '.part'

interface Expected {
  readonly sha256: string
  readonly seq: number
  readonly session: string
}

export interface RecordingFindings {
  readonly problems: readonly EvidenceProblem[]
  readonly notes: readonly string[]
  readonly verified: number
  readonly elsewhere: number
  readonly removed: number
}

/** Gathers from the events what should be there, then looks. */
export class RecordingsCheck {
  readonly #expected = new Map<string, Expected>()
  readonly #removed = new Set<string>()
  readonly #open = new Set<string>()

  note(event: StoredEvent): void {
    const session = event.session ?? ''
    if (event.type === 'session.open') this.#open.add(session)
    if (event.type === 'session.close') {
      this.#open.delete(session)
      if (event.recording !== undefined && event.recordingSha256 !== undefined) this.#expect(event.recording, event.recordingSha256, event)
    }
    if (event.type !== 'admin') return
    if (event.action === 'recording.closed') this.#expect(event.object, textField(event.after, 'sha256'), event)
    if (event.action === 'recording.removed') this.#removed.add(event.object)
  }

  /**
   * @param root what the paths of recordings are relative to
   * @param only sessions whose recordings must be there; absent: all
   * @param logBegins RFC 3339; older recordings may belong to events that retention removed. Absent: the log is whole
   */
  async look(root: string, only: ReadonlySet<string> | undefined, logBegins: string | undefined): Promise<RecordingFindings> {
    const found = { problems: [] as EvidenceProblem[], notes: [] as string[], verified: 0, elsewhere: 0, removed: this.#removed.size }
    const owners = new Map([...this.#expected].map(([path, { sha256 }]) => [sha256, path]))
    for (const [path, expected] of this.#expected) {
      if (this.#removed.has(path)) continue
      if (!isBelow(path)) found.problems.push(problem('changed', path, `event ${expected.seq} names a recording outside of the directory`))
      else await this.#judge(root, path, expected, owners, found, only)
    }
    await this.#strangers(root, logBegins, found)
    return found
  }

  #expect(path: string, sha256: string | undefined, { seq, session }: StoredEvent): void {
    if (sha256 !== undefined) this.#expected.set(path, { sha256, seq, session: session ?? '' })
  }

  async #judge(
    root: string,
    path: string,
    { sha256, seq, session }: Expected,
    owners: ReadonlyMap<string, string>,
    found: { problems: EvidenceProblem[]; verified: number; elsewhere: number },
    only: ReadonlySet<string> | undefined,
  ): Promise<void> {
    const actual = await sha256Of(join(root, path))
    if (actual === sha256) found.verified++
    else if (actual === undefined) {
      if (await exists(join(root, path + ELSEWHERE_ENDING))) found.elsewhere++
      else if (!only || only.has(session)) found.problems.push(problem('missing', path, `recording "${path}" was deleted: event ${seq} holds its hash`))
    } else {
      const owner = owners.get(actual)
      if (owner) found.problems.push(problem('swapped', path, `recording "${path}" was swapped: it holds what belongs to "${owner}"`))
      else found.problems.push(problem('changed', path, `recording "${path}" was changed or cut: its hash is not the one in event ${seq}`))
    }
  }

  /** Files that no event speaks of. */
  async #strangers(root: string, logBegins: string | undefined, found: { problems: EvidenceProblem[]; notes: string[] }): Promise<void> {
    let older = 0
    const all = await filesBelow(root, 'recordings')
    for (const path of all) {
      const base = path.replace(/(\.part)?(\.keyframes)?$|\.s3$/, '')
      if (this.#expected.has(base) && (base === path || /\.(keyframes|s3|part)$/.test(path))) continue
      const session = /([^/]+?)\.cast[^/]*$/.exec(path)?.[1] ?? ''
      const day = /(\d{4})\/(\d{2})\/(\d{2})\/[^/]+$/.exec(path)
      if (path.endsWith(PART_ENDING) && this.#open.has(session))
        found.notes.push(`recording "${path}" is of a session that has not ended: nothing is proven of it yet`)
      else if (logBegins !== undefined && day && `${day[1]}-${day[2]}-${day[3]}` <= logBegins.slice(0, 10)) older++
      else found.problems.push(problem('inserted', path, `recording "${path}" was inserted, or its event was cut off: no event speaks of it`))
    }
    if (older > 0) found.notes.push(`${older} recordings are older than the log: their events were removed by retention, nothing is proven of them`)
  }
}

function problem(kind: EvidenceProblem['kind'], where: string, message: string): EvidenceProblem {
  return { kind, where, message }
}

/** Paths come from a log that may be hostile. */
function isBelow(path: string): boolean {
  return path !== '' && !path.startsWith('/') && !path.split('/').includes('..') && !path.includes('\0')
}

function textField(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const field: unknown = Reflect.get(value, name)
  return typeof field === 'string' ? field : undefined
}

async function sha256Of(path: string): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
    return hash.digest('hex')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false // whatever keeps it from being seen: it is not here to be verified
  }
}

async function filesBelow(root: string, folder: string): Promise<string[]> {
  try {
    const entries = await readdir(join(root, folder), { withFileTypes: true })
    const nested = await Promise.all(
      entries.map(async (entry) => {
        const path = `${folder}/${entry.name}`
        return entry.isDirectory() ? await filesBelow(root, path) : [path]
      }),
    )
    return nested.flat().sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

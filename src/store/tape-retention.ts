/** Removes recordings that are too old, each by an event that rests before the file goes: the verifier knows that it was not an accident. */
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditSink } from '../core/types.js'
import { ELSEWHERE_ENDING, KEYFRAMES_ENDING } from '../wire/evidence/verify-recordings.js'

export interface TapeRetentionOptions {
  readonly dataDir: string
  readonly audit: Pick<AuditSink, 'write'>
  readonly maxAgeMs: number
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number
}

/** @returns how many were removed. @throws OpsError AUDIT_UNAVAILABLE; the file system's error */
export async function removeOldTapes({ dataDir, audit, maxAgeMs, now = Date.now }: TapeRetentionOptions): Promise<number> {
  // a recording rests under the day on which its session began; of that day nothing goes before the day is over
  const limit = new Date(now() - maxAgeMs).toISOString().slice(0, 10).replaceAll('-', '/')
  let removed = 0
  for (const day of await daysOf(dataDir)) {
    if (day >= limit) continue
    const names = await readdir(join(dataDir, 'recordings', day))
    for (const name of names.filter((each) => /\.cast\.(gz|enc)$/.test(each))) {
      const path = `recordings/${day}/${name}`
      await audit.write({
        type: 'admin',
        action: 'recording.removed',
        object: path,
        session: name.replace(/\.cast\.(gz|enc)$/, ''),
        after: { reason: 'retention' },
      })
      for (const each of [name, name + KEYFRAMES_ENDING, name + ELSEWHERE_ENDING])
        if (names.includes(each)) await unlink(join(dataDir, 'recordings', day, each))
      removed++
    }
  }
  return removed
}

/** "2026/11/23", oldest first. */
async function daysOf(dataDir: string): Promise<string[]> {
  const root = join(dataDir, 'recordings')
  const below = async (path: string): Promise<string[]> => {
    try {
      return (await readdir(join(root, path))).filter((name) => /^\d{2,4}$/.test(name)).sort()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  }
  const days: string[] = []
  for (const year of await below(''))
    for (const month of await below(year)) for (const day of await below(join(year, month))) days.push(`${year}/${month}/${day}`)
  return days
}

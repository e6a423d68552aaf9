/** Where state files of batches are kept, and their ids. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../problem.js'

const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/

/** "b-20261123-101502-9f3a": says when, and no two are the same. */
export function newBatchId(now: Date): string {
  const [date = '', time = ''] = now.toISOString().replace(/[-:]/g, '').split('T')
  return `b-${date}-${time.slice(0, 6)}-${randomBytes(3).toString('hex')}`
}

/** @throws UsageError for an id that is none: it becomes a part of a path */
export async function statePath(env: NodeJS.ProcessEnv, batch: string): Promise<string> {
  if (!ID.test(batch)) throw new UsageError(`"${batch}" is not the id of a batch`)
  const base = env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state')
  const dir = join(base, 'dockin', 'batches')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  return join(dir, `${batch}.ndjson`)
}

/**
 * Removes old files of the audit log as a whole, oldest first, and leaves a signed tombstone in their place. The order survives a
 * crash at any point: the tombstone is durable, then its event is in the log, then the files go; a next run finishes the rest.
 */
import { open, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditSink } from '../core/types.js'
import type { CheckpointKey } from '../wire/evidence/checkpoint.js'
import { firstEvent, type LogPart, lastEvent, logParts } from '../wire/evidence/log-files.js'
import { parseTombstones, signTombstone, TOMBSTONES, type Tombstone } from '../wire/evidence/tombstone.js'
import type { AuditFile } from './audit-file.js'
import type { LogStore } from './audit-lane.js'

export interface AuditRetentionOptions {
  readonly files: AuditFile
  /** Other stores of the same log, which forget the same events. */
  readonly others?: readonly LogStore[]
  readonly audit: Pick<AuditSink, 'write'>
  readonly key: CheckpointKey
  /** Files whose last event is older go; absent: age removes nothing. */
  readonly maxAgeMs?: number
  /** Beyond it the oldest files go; absent: size removes nothing. */
  readonly maxBytes?: number
  /** Wall clock, milliseconds since 1970. */
  readonly now?: () => number
}

export class AuditRetention {
  readonly #options: AuditRetentionOptions

  constructor(options: AuditRetentionOptions) {
    this.#options = options
  }

  /**
   * Removes what is too old or too much. The file that is written to always stays.
   * @returns the tombstone of what was removed now; undefined when nothing had to go
   * @throws OpsError AUDIT_UNAVAILABLE, or the file system's error: nothing is removed that no tombstone stands for
   */
  async run(): Promise<Tombstone | undefined> {
    const { files, audit } = this.#options
    const old = await this.#tooOld()
    const known = await this.#tombstones()
    const done = known.at(-1)?.to ?? 0
    const unmarked: LogPart[] = []
    for (const part of old) {
      const last = await lastEvent(join(files.dir, part.name))
      if (last && last.seq > done) unmarked.push(part)
    }
    const tombstone = await this.#mark(unmarked)
    if (tombstone) {
      const { signature: _, ...facts } = tombstone
      await audit.write({ type: 'admin', action: 'audit.removed', object: `events ${tombstone.from}-${tombstone.to}`, after: facts })
    }
    for (const part of old) await unlink(join(files.dir, part.name))
    const through = tombstone?.to ?? done
    if (old.length > 0) for (const store of this.#options.others ?? []) await store.removeThrough?.(through)
    return tombstone
  }

  async #tooOld(): Promise<LogPart[]> {
    const { files, maxAgeMs, maxBytes, now = Date.now } = this.#options
    const all = await logParts(files.dir)
    const current = all.findIndex((part) => part.name === files.currentName)
    const candidates = all.slice(0, current < 0 ? -1 : current)
    let bytes = 0
    for (const part of all) bytes += (await stat(join(files.dir, part.name))).size
    const old: LogPart[] = []
    for (const part of candidates) {
      const path = join(files.dir, part.name)
      const last = await lastEvent(path)
      const isOld = maxAgeMs !== undefined && last !== undefined && Date.parse(last.time) < now() - maxAgeMs
      if (!isOld && !(maxBytes !== undefined && bytes > maxBytes)) break // only ever a prefix of the log
      bytes -= (await stat(path)).size
      old.push(part)
    }
    return old
  }

  async #mark(parts: readonly LogPart[]): Promise<Tombstone | undefined> {
    const { files, key, now = Date.now } = this.#options
    const [oldest, newest] = [parts[0], parts.at(-1)]
    if (!oldest || !newest) return undefined
    const first = await firstEvent(join(files.dir, oldest.name))
    const last = await lastEvent(join(files.dir, newest.name))
    if (!first || !last) throw new Error(`"${oldest.name}" cannot be removed: its events cannot be read`)
    const range = { from: first.seq, to: last.seq, prev: first.prev, head: last.hash, fromTime: first.time, toTime: last.time }
    const tombstone = signTombstone({ ...range, files: parts.map(({ name }) => name), made: new Date(now()).toISOString() }, key)
    const handle = await open(join(files.dir, TOMBSTONES), 'a', 0o600)
    try {
      await handle.writeFile(`${JSON.stringify(tombstone)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return tombstone
  }

  async #tombstones(): Promise<Tombstone[]> {
    try {
      return parseTombstones(await readFile(join(this.#options.files.dir, TOMBSTONES), 'utf8')).filter((each) => each !== undefined)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  }
}

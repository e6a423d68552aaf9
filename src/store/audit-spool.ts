/** Where events rest while no store takes them: a directory of its own, emptied once a store holds them all. */
import { readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditFilter, StoredEvent } from '../core/types.js'
import { AuditFile } from './audit-file.js'
import type { LogStore } from './audit-lane.js'

/** A store that can be emptied. */
export interface Spool extends LogStore {
  clear(): Promise<void>
}

/** A spool in `dir` (0700), best on another mount than the audit files: a full disk must not fill both. */
export class AuditSpool implements Spool {
  readonly name = 'spool'
  readonly #dir: string
  #file: AuditFile

  constructor(dir: string) {
    this.#dir = dir
    this.#file = new AuditFile(dir, { name: 'spool' })
  }

  append(events: readonly StoredEvent[]): Promise<void> {
    return this.#file.append(events)
  }

  last(): Promise<StoredEvent | undefined> {
    return this.#file.last()
  }

  query(filter: AuditFilter, signal?: AbortSignal): AsyncIterable<StoredEvent> {
    return this.#file.query(filter, signal)
  }

  found(): ReturnType<AuditFile['found']> {
    return this.#file.found()
  }

  /** Removes every event; what was set aside (`*.torn`) stays. */
  async clear(): Promise<void> {
    await this.#file.close()
    this.#file = new AuditFile(this.#dir, { name: 'spool' })
    const names = await readdir(this.#dir)
    await Promise.all(names.filter((name) => name.endsWith('.ndjson')).map((name) => unlink(join(this.#dir, name))))
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

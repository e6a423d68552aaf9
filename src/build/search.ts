/** The index as the API asks it: for what has rested until now. */
import { join } from 'node:path'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { Scope } from '../core/scope.js'
import type { AuditSearch } from '../core/types.js'
import type { AuditLog } from '../store/audit-log.js'
import { Search, type SearchSource } from '../store/search.js'

/** How long a question waits for the index to have read what rests; while it is rebuilt, it answers with what it has. */
const CATCH_UP_MS = 1500

/** Whoever has just seen a session finds it: a question waits for the events that rested before it was asked. */
export function freshSearch(index: Search, audit: Pick<AuditLog, 'status'>): AuditSearch {
  const fresh = async (): Promise<void> => {
    const { committed } = audit.status()
    if (index.indexed >= committed) return
    index.noted()
    // an index that is behind answers with what it has
    await index.caughtUp(committed, AbortSignal.timeout(CATCH_UP_MS)).catch(() => undefined)
  }
  return {
    events: (filter, signal) => fresh().then(() => index.events(filter, signal)),
    sessions: (filter, signal) => fresh().then(() => index.sessions(filter, signal)),
    session: (id, signal) => fresh().then(() => index.session(id, signal)),
  }
}

export interface SearchSide {
  readonly config: Pick<Config, 'dataDir' | 'audit'>
  readonly audit: AuditLog
  /** Closes the index. */
  readonly scope: Scope
  readonly log: Logger
}

export function buildSearch({ config, audit, scope, log }: SearchSide): Search {
  const index = scope.add(new Search({ path: join(config.dataDir, 'state', 'search.db'), source: sourceOf(config), logger: log }))
  scope.defer(audit.onAppend(index.noted))
  return index
}

/** A file is read faster than Redis, and both hold the same. */
function sourceOf({ dataDir, audit }: SearchSide['config']): SearchSource {
  const redis = audit.stores.find((store) => store.type === 'redis')
  if (audit.stores.some(({ type }) => type === 'file') || !redis) return { type: 'file', dir: join(dataDir, 'audit') }
  return { type: 'redis', url: redis.url, stream: redis.stream }
}

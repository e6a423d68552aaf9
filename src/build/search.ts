/** The index as the API asks it: for what has rested until now. */
import type { AuditSearch } from '../core/types.js'
import type { AuditLog } from '../store/audit-log.js'
import type { Search } from '../store/search.js'

/** How long a question waits for the index to have read what rests; while it is rebuilt, it answers with what it has. */
const CATCH_UP_MS = 1500

/** Whoever has just seen a session finds it: a question waits for the events that rested before it was asked. */
export function freshSearch(index: Search, audit: Pick<AuditLog, 'status'>): AuditSearch {
  const fresh = async (): Promise<void> => {
    const { committed } = audit.status()
    if (index.indexed >= committed) return
    index.follow()
    // an index that is behind answers with what it has
    await index.caughtUp(committed, AbortSignal.timeout(CATCH_UP_MS)).catch(() => undefined)
  }
  return {
    events: (filter, signal) => fresh().then(() => index.events(filter, signal)),
    sessions: (filter, signal) => fresh().then(() => index.sessions(filter, signal)),
    session: (id, signal) => fresh().then(() => index.session(id, signal)),
  }
}

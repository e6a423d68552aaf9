/**
 * Sessions that the gateway did not survive. The log tells that they were opened and nobody was left to tell that they ended: the
 * next start lets an event `session.lost` rest for each, so that none of them runs for ever in the lists.
 */
import type { Logger } from '../core/log.js'
import type { AuditSink } from '../core/types.js'
import type { SessionRegistry } from '../session/registry.js'
import type { AuditLog } from '../store/audit-log.js'
import type { Search } from '../store/search.js'

export interface LostSessionsParts {
  readonly audit: Pick<AuditSink, 'write'> & Pick<AuditLog, 'status'>
  readonly search: Pick<Search, 'caughtUp' | 'sessions'>
  /** Those that run by now are not lost. */
  readonly registry: Pick<SessionRegistry, 'find'>
  readonly log: Logger
}

const PART = 200

/** Call once, before sessions are opened. Goes on in the background: an index that is being rebuilt takes its time. */
export function tellLostSessions(parts: LostSessionsParts): { readonly told: Promise<number>; close(): Promise<void> } {
  const stop = new AbortController()
  const { committed } = parts.audit.status()
  const told = tell(parts, committed, stop.signal).catch((error: unknown) => {
    // the next start finds them again
    if (!stop.signal.aborted) parts.log.error({ error }, 'session.lost-untold')
    return 0
  })
  return {
    told,
    close: async () => {
      stop.abort()
      await told
    },
  }
}

async function tell({ audit, search, registry, log }: LostSessionsParts, committed: number, signal: AbortSignal): Promise<number> {
  const before = new Date()
  await search.caughtUp(committed, signal)
  let told = 0
  let cursor: string | undefined
  do {
    const page = await search.sessions({ state: 'live', to: before, order: 'oldest', limit: PART, ...(cursor !== undefined && { cursor }) }, signal)
    for (const { id, target } of page.items) {
      if (signal.aborted) return told
      // the clock may have stepped back since: one that runs is not lost
      if (registry.find(id)) continue
      await audit.write({ type: 'admin', action: 'session.lost', object: id, session: id, ...(target && { target }) })
      told++
    }
    cursor = page.next
  } while (cursor !== undefined)
  if (told > 0) log.warn({ sessions: told }, 'session.lost')
  return told
}

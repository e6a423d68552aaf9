/** What follows the audit log of a config: the index that is searched, and retention. */
import { join } from 'node:path'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import { AuditRetention } from '../store/audit-retention.js'
import { removeOldCopies } from '../store/kept-files.js'
import { Search } from '../store/search.js'
import { removeOldTapes } from '../store/tape-retention.js'
import type { BuiltAudit } from './audit.js'

/** Retention counts days: looking once an hour is often enough. */
const RETENTION_MS = 3_600_000

export interface BuiltEvidence {
  readonly search: Search
  /** May be called twice. */
  close(): Promise<void>
}

/** Starts the index's thread and, where the config has one, retention. Never throws: neither is needed to keep the log. */
export function buildEvidence(config: Config, audit: BuiltAudit, log: Logger): BuiltEvidence {
  const source = searchSource(config)
  const search = new Search({ path: join(config.dataDir, 'state', 'search.db'), source, logger: log })
  const leave = audit.log.onAppend(search.noted)
  const retention = startRetention(config, audit, search, log)
  return {
    search,
    close: async () => {
      leave()
      await retention.close()
      await search.close()
    },
  }
}

/** Files where there are some: they are near and never busy. */
function searchSource({ audit, dataDir }: Config): ConstructorParameters<typeof Search>[0]['source'] {
  const redis = audit.stores.find((store) => store.type === 'redis')
  return redis && audit.stores.every((store) => store.type === 'redis')
    ? { type: 'redis', url: redis.url, stream: redis.stream }
    : { type: 'file', dir: join(dataDir, 'audit') }
}

function startRetention(config: Config, { log: audit, files, others, key }: BuiltAudit, search: Search, log: Logger): { close(): Promise<void> } {
  const { retention } = config.audit
  const { maxAgeMs } = config.recording
  const logs = retention && files ? new AuditRetention({ files, others, audit, key, ...retention }) : undefined
  if (!logs && maxAgeMs === undefined) return { close: async () => {} }
  const run = async () => {
    const tombstone = await logs?.run()
    if (tombstone) {
      log.info({ from: tombstone.from, to: tombstone.to }, 'audit.removed')
      search.removed(tombstone.to + 1)
    }
    const tapes = maxAgeMs === undefined ? 0 : await removeOldTapes({ dataDir: config.dataDir, audit, maxAgeMs })
    if (tapes > 0) log.info({ recordings: tapes }, 'recording.removed')
    const copies = maxAgeMs === undefined ? 0 : await removeOldCopies({ dataDir: config.dataDir, audit, maxAgeMs })
    if (copies > 0) log.info({ copies }, 'kept.removed')
  }
  let turn: Promise<void> = Promise.resolve()
  const next = () => {
    turn = turn.then(run).catch((error: Error) => log.error({ reason: error.message }, 'retention.failed'))
  }
  next()
  const timer = setInterval(next, RETENTION_MS).unref()
  return {
    close: async () => {
      clearInterval(timer)
      await turn
    },
  }
}

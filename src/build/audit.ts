/** The audit log of a config: its stores, the key of its checkpoints, a spool for when they are away. */
import { join } from 'node:path'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import { AuditFile } from '../store/audit-file.js'
import type { LogStore } from '../store/audit-lane.js'
import { AuditLog } from '../store/audit-log.js'
import { AuditRedis } from '../store/audit-redis.js'
import { AuditSpool } from '../store/audit-spool.js'
import { loadCheckpointKey } from '../store/checkpoint-key.js'

export interface BuiltAudit {
  readonly log: AuditLog
  /** PEM; to be kept elsewhere by whoever verifies later. */
  readonly publicKey: string
}

/** @throws OpsError AUDIT_UNAVAILABLE when no store answers; CONFIG_INVALID when the key can be read by others */
export async function buildAudit(config: Config, logger: Logger): Promise<BuiltAudit> {
  const key = await loadCheckpointKey(join(config.dataDir, 'state', 'checkpoint_ed25519'))
  const stores = config.audit.stores.map(
    (store): LogStore =>
      store.type === 'file' ? new AuditFile(join(config.dataDir, 'audit')) : new AuditRedis({ url: store.url, stream: store.stream }, logger),
  )
  const { onFailure } = config.audit
  // with "refuse" it keeps what has happened already (a session's end) while a store is away
  const spool = new AuditSpool(join(config.dataDir, 'spool'))
  return { log: await AuditLog.open({ stores, onFailure, logger, key, spool }), publicKey: key.publicPem }
}

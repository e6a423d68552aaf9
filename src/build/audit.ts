/** The audit log of a config: its stores, the key of its checkpoints, a spool for when they are away, anchors for its signed head. */
import { join } from 'node:path'
import type { AnchorConfig } from '../config/evidence-values.js'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import { type Anchor, Anchors, fileAnchor, redisAnchor } from '../store/audit-anchor.js'
import { s3Anchor } from '../store/audit-anchor-s3.js'
import { AuditFile } from '../store/audit-file.js'
import type { LogStore } from '../store/audit-lane.js'
import { AuditLog } from '../store/audit-log.js'
import { AuditRedis } from '../store/audit-redis.js'
import { AuditSpool } from '../store/audit-spool.js'
import { loadCheckpointKey } from '../store/checkpoint-key.js'
import type { CheckpointKey } from '../wire/evidence/checkpoint.js'

export interface BuiltAudit {
  readonly log: AuditLog
  readonly key: CheckpointKey
  /** PEM; to be kept elsewhere by whoever verifies later. */
  readonly publicKey: string
  /** The files among the stores. */
  readonly files: AuditFile | undefined
  /** The other stores. */
  readonly others: readonly LogStore[]
  /** Closes the log, then the anchors, which take its last checkpoint. */
  close(): Promise<void>
}

/** @throws OpsError AUDIT_UNAVAILABLE when no store answers; CONFIG_INVALID when the key can be read by others */
export async function buildAudit(config: Config, logger: Logger): Promise<BuiltAudit> {
  const state = join(config.dataDir, 'state')
  const key = await loadCheckpointKey(join(state, 'checkpoint_ed25519'))
  const { onFailure, maxFileBytes, anchor } = config.audit
  const stores = config.audit.stores.map((store): LogStore => {
    if (store.type === 'file') return new AuditFile(join(config.dataDir, 'audit'), { maxFileBytes })
    return new AuditRedis({ url: store.url, stream: store.stream }, logger)
  })
  const files = stores.find((store) => store instanceof AuditFile)
  // with "refuse" it keeps what has happened already (a session's end) while a store is away
  const spool = new AuditSpool(join(config.dataDir, 'spool'))
  const log = await AuditLog.open({ stores, onFailure, logger, key, spool })
  const outside = anchor && (await anchorOf(anchor, logger))
  const anchors = new Anchors([fileAnchor(join(state, 'head.json')), ...(outside ? [outside] : [])], log, logger)
  await anchors.check(log.status().head.seq)
  return {
    log,
    key,
    publicKey: key.publicPem,
    files,
    others: stores.filter((store) => store !== files),
    close: async () => {
      await log.close()
      await anchors.close()
    },
  }
}

function anchorOf(anchor: AnchorConfig, logger: Logger): Anchor | Promise<Anchor> {
  if ('file' in anchor) return fileAnchor(anchor.file)
  return 'redis' in anchor ? redisAnchor(anchor.redis, logger, anchor.key) : s3Anchor(anchor.s3)
}

/** What sits in every relay, in the order seen from the client. */
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { Door, Interceptor, Session } from '../core/types.js'
import { isServedTransfer } from '../session/transfer.js'
import { Audience } from '../stage/audience.js'
import { idle } from '../stage/idle.js'
import { Recorder } from '../stage/recorder.js'
import type { AuditLog } from '../store/audit-log.js'
import { KeptFiles } from '../store/kept-files.js'
import { KeyframeThread } from '../store/keyframe-thread.js'
import { openS3 } from '../store/s3-client.js'
import { encryptedTapes, loadFileKey, type TapeKeys } from '../store/tape-cipher.js'
import { TapeFile } from '../store/tape-file.js'
import { TapeS3 } from '../store/tape-s3.js'

export interface BuiltStages {
  readonly interceptors: readonly Interceptor[]
  readonly audience: Audience
  readonly tapes: TapeFile
  /** Copies of uploads, encrypted as recordings are. */
  readonly kept: KeptFiles
  /** Ends the thread that makes keyframes. */
  close(): Promise<void>
}

/** Doors through which contents of files go (their hashes are in the log, the contents nowhere), or logs that are kept elsewhere. */
const UNRECORDED: readonly Door[] = ['sftp', 'scp', 'rsync', 'logs']

/**
 * Also closes the recordings that an earlier run left open, and says so in the audit.
 * @throws OpsError CONFIG_INVALID when the key of recordings cannot be used
 */
export async function buildStages(config: Config, audit: AuditLog, log: Logger): Promise<BuiltStages> {
  const { maxBytes, execMaxBytes, onFailure, encryption, s3 } = config.recording
  const keys = encryption && (await tapeKeys(encryption))
  const keyframes = new KeyframeThread(log, keys)
  const { dataDir } = config
  const elsewhere = s3 && new TapeS3({ client: await openS3(s3), bucket: s3.bucket, prefix: s3.prefix, dataDir, logger: log, settled: keyframes.settled })
  const tapes = new TapeFile({ dataDir, keyframes, ...(keys && { format: encryptedTapes(keys) }), ...(elsewhere && { elsewhere }) })
  await tapes.recover(audit)
  // in the background: it hashes what was left behind
  void tapes.resume().catch((error: Error) => log.error({ reason: error.message }, 'recording.s3-later'))
  const recorder = new Recorder({
    tapes,
    logger: log,
    onFailure,
    audit,
    records: ({ pty, door, record }) => pty !== undefined || ((record?.maxBytes ?? execMaxBytes) > 0 && !UNRECORDED.includes(door)),
    maxBytes: ({ pty, record }) => record?.maxBytes ?? (pty ? maxBytes : execMaxBytes),
  })
  const leave = [audit.onAppend(recorder.note), audit.onAppend(tapes.noted)]
  const { idleTimeoutMs } = config.ssh
  // nearest to the client: watchers see what the client gets
  const audience = new Audience()
  const interceptors = [
    audience.intercept,
    recorder.intercept,
    ...(idleTimeoutMs === undefined ? [] : [idle({ timeoutMs: idleTimeoutMs, applies: isLeftOpen })]),
  ]
  return {
    interceptors,
    audience,
    tapes,
    kept: new KeptFiles({ dataDir, ...(keys && { format: encryptedTapes(keys) }) }),
    close: async () => {
      for (const each of leave) each()
      await elsewhere?.close()
      await keyframes.close()
    },
  }
}

async function tapeKeys({ keyFile, recipients }: NonNullable<Config['recording']['encryption']>): Promise<TapeKeys> {
  return { recipients, ...(keyFile !== undefined && { fileKey: await loadFileKey(keyFile) }) }
}

/** What a person opens and forgets: terminals, and file browsers; a command ends by itself. */
function isLeftOpen({ pty, door }: Session): boolean {
  return pty !== undefined || isServedTransfer(door)
}

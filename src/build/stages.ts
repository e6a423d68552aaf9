/** What sits in every relay, in the order seen from the client. */
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { AuditSink, Interceptor, Session } from '../core/types.js'
import { isServedTransfer } from '../session/transfer.js'
import { idle } from '../stage/idle.js'
import { Recorder } from '../stage/recorder.js'
import { TapeFile } from '../store/tape-file.js'

/** Also closes the recordings that an earlier run left open, and says so in the audit. */
export async function buildInterceptors(config: Config, audit: AuditSink, log: Logger): Promise<Interceptor[]> {
  const tapes = new TapeFile({ dataDir: config.dataDir })
  for (const found of await tapes.recover()) await audit.write(found)
  const { maxBytes, onFailure } = config.recording
  const recorder = new Recorder({ tapes, logger: log, onFailure, audit, ...(maxBytes !== undefined && { maxBytes: () => maxBytes }) })
  const { idleTimeoutMs } = config.ssh
  return [recorder.intercept, ...(idleTimeoutMs === undefined ? [] : [idle({ timeoutMs: idleTimeoutMs, applies: isLeftOpen })])]
}

/** What a person opens and forgets: terminals, and file browsers; a command ends by itself. */
function isLeftOpen({ pty, door }: Session): boolean {
  return pty !== undefined || isServedTransfer(door)
}

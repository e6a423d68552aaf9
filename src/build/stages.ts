/** What sits in every relay, in the order seen from the client. */
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { AuditSink, Interceptor, Session } from '../core/types.js'
import { isServedTransfer } from '../session/transfer.js'
import { Audience } from '../stage/audience.js'
import { idle } from '../stage/idle.js'
import { Recorder } from '../stage/recorder.js'
import { TapeFile } from '../store/tape-file.js'

export interface BuiltStages {
  readonly interceptors: readonly Interceptor[]
  readonly audience: Audience
  readonly tapes: TapeFile
}

/** Also closes the recordings that an earlier run left open, and says so in the audit. */
export async function buildStages(config: Config, audit: AuditSink, log: Logger): Promise<BuiltStages> {
  const tapes = new TapeFile({ dataDir: config.dataDir })
  for (const found of await tapes.recover()) await audit.write(found)
  const { maxBytes, onFailure } = config.recording
  const recorder = new Recorder({ tapes, logger: log, onFailure, audit, ...(maxBytes !== undefined && { maxBytes: () => maxBytes }) })
  const { idleTimeoutMs } = config.ssh
  // nearest to the client: watchers see what the client gets
  const audience = new Audience()
  const interceptors = [audience.intercept, recorder.intercept, ...(idleTimeoutMs === undefined ? [] : [idle({ timeoutMs: idleTimeoutMs, applies: isLeftOpen })])]
  return { interceptors, audience, tapes }
}

/** What a person opens and forgets: terminals, and file browsers; a command ends by itself. */
function isLeftOpen({ pty, door }: Session): boolean {
  return pty !== undefined || isServedTransfer(door)
}

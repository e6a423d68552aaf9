/**
 * A gateway's evidence alone, for the kill -9 test: recorded sessions whose commands rest before their output, as fast as they go.
 * Prints "ready", then each event's number once it is acknowledged.
 */
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { silentLogger } from '../../src/core/log.js'
import { Recorder } from '../../src/stage/recorder.js'
import { Anchors, fileAnchor } from '../../src/store/audit-anchor.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { aSession } from '../support/sessions.js'

const dataDir = process.argv[2] ?? ''
const key = await loadCheckpointKey(join(dataDir, 'state', 'checkpoint_ed25519'))
const stores = [new AuditFile(join(dataDir, 'audit'), { maxFileBytes: 300_000 })]
const log = await AuditLog.open({ stores, onFailure: 'refuse', logger: silentLogger, key, checkpointEvents: 50 })
new Anchors([fileAnchor(join(dataDir, 'state', 'head.json'))], log, silentLogger)
const tapes = new TapeFile({ dataDir })
await tapes.recover(log)
const recorder = new Recorder({ tapes, logger: silentLogger, onFailure: 'refuse', audit: log })
log.onAppend(recorder.note)
log.onAppend(tapes.noted)
log.onAppend(({ seq }) => process.stdout.write(`${seq}\n`))
process.stdout.write('ready\n')

const run = process.argv[3] ?? ''
const output = 'x'.repeat(3000)

async function session(id: string): Promise<void> {
  const { session } = aSession({ id, startedAt: new Date() })
  await log.write({ type: 'session.open', session: id, user: 'alice', rule: 'sre' })
  const stage = await recorder.intercept(session)
  const down = stage?.down ?? new PassThrough()
  down.resume()
  for (let i = 0; i < 3; i++) {
    await log.write({ type: 'command', session: id, line: `ls ${i}`, verdict: 'allow', confidence: 'exact' })
    for (let line = 0; line < 10; line++) down.write(`${output}\r\n`)
  }
  down.end()
  await new Promise((resolve) => down.once('end', resolve))
  await stage?.finish?.({ kind: 'exited', code: 0 })
  const facts = stage?.facts?.() as { recording: string; recordingSha256: string }
  await log.write({ type: 'session.close', session: id, rule: 'sre', reason: 'exited', exit: 0, bytesIn: 0, bytesOut: 0, ms: 1, ...facts })
}

for (let lane = 0; lane < 4; lane++) {
  void (async () => {
    for (let n = 0; ; n++) await session(`s-${run}-${lane}-${n}`)
  })()
}

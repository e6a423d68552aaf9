/** An hour of somebody's shell in the evidence of a gateway: written by the recorder, the stores and the log, by a clock that is turned. */
import { once } from 'node:events'
import { join } from 'node:path'
import { silentLogger } from '../../src/core/log.js'
import { Recorder } from '../../src/stage/recorder.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { KeyframeThread } from '../../src/store/keyframe-thread.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { aSession } from './sessions.js'

export interface HourRecording {
  readonly id: string
  /** Bytes of what was shown. */
  readonly shownBytes: number
  /** Bytes on the disk. */
  readonly bytes: number
  /** Lines that were run, each at its second; its output is `needle-N was here`. */
  readonly commands: readonly { readonly line: string; readonly second: number; readonly output: string }[]
}

const SECONDS = 3600
const EVERY_SECONDS = 10

/** @param dataDir of a gateway that does not run */
export async function recordHour(dataDir: string, user: string): Promise<HourRecording> {
  const startMs = Date.now() - 2 * SECONDS * 1000
  let second = 0
  const key = await loadCheckpointKey(join(dataDir, 'state', 'checkpoint_ed25519'))
  const stores = [new AuditFile(join(dataDir, 'audit'))]
  const log = await AuditLog.open({ stores, onFailure: 'refuse', logger: silentLogger, key, now: () => startMs + second * 1000 })
  const keyframes = new KeyframeThread(silentLogger)
  const tapes = new TapeFile({ dataDir, keyframes })
  const recorder = new Recorder({ tapes, logger: silentLogger, onFailure: 'refuse', audit: log, now: () => second * 1000 })
  for (const note of [recorder.note, tapes.noted]) log.onAppend(note)
  const size = { columns: 120, rows: 40, widthPx: 0, heightPx: 0 }
  const identity = { user, groups: [], roles: ['user'], method: 'publickey', from: { host: '10.0.0.7', port: 4000 } } as const
  const { session } = aSession({ id: 'an-hour', startedAt: new Date(startMs), identity, pty: { term: 'xterm-256color', size, modes: {} } })
  const { id, door, target } = session
  const subject = { session: id, user, from: '10.0.0.7:4000', door, target } as const
  await log.write({ ...subject, type: 'session.open', rule: 'hour', pty: { term: 'xterm-256color', columns: 120, rows: 40 } })
  const stage = await recorder.intercept(session)
  const down = stage?.down
  if (!stage || !down) throw new Error('the recorder did not record')
  down.resume()
  let shownBytes = 0
  const show = async (text: string) => {
    shownBytes += text.length
    // taken in before the clock is turned: what waits for a slow tape would be told of a later second
    await new Promise((resolve) => down.write(text, resolve))
  }
  const commands: HourRecording['commands'][number][] = []
  for (; second < SECONDS; second++) {
    if (second % EVERY_SECONDS === 0) {
      const name = `needle-${second}`
      const command = { line: `show ${name}`, second, output: `${name} was here` }
      await log.write({ ...subject, type: 'command', line: command.line, cwd: '/', verdict: 'allow', rule: 'hour', confidence: 'exact' })
      commands.push(command)
      await show(`\u001b[2J\u001b[H$ ${command.line}\r\n${command.output}\r\n`)
    }
    // a full screen in colours each second, as a monitor paints it
    else await show(`\u001b[H${screenful(second)}`)
  }
  down.end()
  await once(down, 'end')
  await stage.finish?.({ kind: 'exited', code: 0 })
  const facts = stage.facts?.() as { readonly recording: string; readonly recordingSha256: string }
  await log.write({
    ...subject,
    type: 'session.close',
    rule: 'hour',
    reason: 'exited',
    exit: 0,
    bytesIn: 0,
    bytesOut: shownBytes,
    ms: SECONDS * 1000,
    ...facts,
  })
  await keyframes.settled(join(dataDir, facts.recording))
  const tape = await tapes.raw(id)
  let bytes = 0
  for await (const chunk of tape) bytes += (chunk as Buffer).length
  await log.close()
  await keyframes.close()
  return { id, shownBytes, bytes, commands }
}

/** About 10 kB, another each second. */
function screenful(second: number): string {
  let text = ''
  for (let row = 0; row < 36; row++) {
    text += `\u001b[${31 + ((row + second) % 6)}m${String(second).padStart(5)} ${row} \u001b[0m`
    for (let cell = 0; cell < 18; cell++) text += `\u001b[1m${((second * 7919 + row * 104729 + cell * 1299709) % 99991).toString(36)}\u001b[0m `
    text += '\u001b[K\r\n'
  }
  return `${text}\u001b[2m${'·'.repeat(100)}\u001b[0m`
}

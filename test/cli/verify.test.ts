import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, copyFile, mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { verifyEvidence } from '../../src/cli/verify.js'
import { silentLogger } from '../../src/core/log.js'
import type { StoredEvent } from '../../src/core/types.js'
import { Anchors, fileAnchor } from '../../src/store/audit-anchor.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { AuditRetention } from '../../src/store/audit-retention.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { eventHash } from '../../src/wire/evidence/chain.js'
import { logParts } from '../../src/wire/evidence/log-files.js'
import { tempDir } from '../support/temp-dir.js'

const DAY = Date.parse('2026-11-21T10:00:00.000Z')
const LOG = 'audit/2026-11-23.ndjson'
const tapeOf = (session: string) => `recordings/2026/11/23/${session}.cast.gz`

/** Three days of a gateway: 12 sessions with recordings, the last two unclosed until the next start. */
async function dataDir(t: TestContext): Promise<{ dir: string; pub: string; anchor: string }> {
  const dir = await tempDir(t)
  const outside = await tempDir(t)
  const key = await loadCheckpointKey(join(dir, 'state', 'checkpoint_ed25519'))
  let now = DAY
  const log = await AuditLog.open({
    stores: [new AuditFile(join(dir, 'audit'))],
    onFailure: 'refuse',
    logger: silentLogger,
    key,
    now: () => now,
    checkpointEvents: 20,
  })
  const anchors = new Anchors([fileAnchor(join(dir, 'state', 'head.json')), fileAnchor(join(outside, 'head.json'))], log, silentLogger)
  for (let i = 1; i <= 12; i++) {
    now = DAY + Math.floor((i - 1) / 4) * 86_400_000 + i * 1000
    const session = `s-${i}`
    await log.write({ type: 'session.open', session, user: 'alice', rule: 'sre' })
    for (let c = 0; c < 4; c++) await log.write({ type: 'command', session, line: `ls ${c}`, verdict: 'allow', confidence: 'exact' })
    const path = tapeOf(session).replace('/23/', `/${new Date(now).toISOString().slice(8, 10)}/`)
    const content = `recording of ${session}`
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), content)
    const sha256 = createHash('sha256').update(content).digest('hex')
    if (i === 11) await log.write({ type: 'admin', action: 'recording.closed', object: path, session, after: { sha256, bytes: content.length } })
    else
      await log.write({
        type: 'session.close',
        session,
        rule: 'sre',
        reason: 'exited',
        exit: 0,
        bytesIn: 0,
        bytesOut: 0,
        ms: 1,
        recording: path,
        recordingSha256: sha256,
      })
  }
  await log.close()
  await anchors.close()
  await rename(join(dir, 'state', 'checkpoint_ed25519.pub'), join(outside, 'key.pub'))
  await unlink(join(dir, 'state', 'checkpoint_ed25519'))
  return { dir, pub: join(outside, 'key.pub'), anchor: join(outside, 'head.json') }
}

async function linesOf(dir: string): Promise<string[]> {
  return (await readFile(join(dir, LOG), 'utf8')).trimEnd().split('\n')
}
const edit = (change: (lines: string[]) => string[]) => async (dir: string) => {
  await writeFile(join(dir, LOG), `${change(await linesOf(dir)).join('\n')}\n`)
}
/** What a skilled forger does: the event and every hash behind it computed anew. */
function rehash(lines: string[], at: number, change: (event: StoredEvent) => StoredEvent): string[] {
  const events = lines.map((line) => JSON.parse(line) as StoredEvent)
  events[at] = change(events[at] as StoredEvent)
  for (let i = at; i < events.length; i++) {
    const before = events[i - 1] as StoredEvent
    const moved = { ...(events[i] as StoredEvent), seq: before.seq + 1, prev: before.hash }
    const linked = moved.type === 'checkpoint' ? { ...moved, head: before.hash, count: before.seq } : moved
    events[i] = { ...linked, hash: eventHash(linked) }
  }
  return events.map((event) => JSON.stringify(event))
}
const seqOf = (line: string | undefined) => (JSON.parse(line ?? '') as StoredEvent).seq
const at = (lines: readonly string[], index: number) => `event ${seqOf(lines[index])}`

test('verifier proves a whole directory and says how far it is signed', async (t) => {
  const { dir, pub, anchor } = await dataDir(t)
  const report = await verifyEvidence(dir, { key: pub, anchor })
  assert.deepEqual(report.problems, [])
  assert.equal(report.exit, 0)
  assert.equal(report.range?.first, 1)
  assert.equal(report.signedThrough, report.range?.last)
  assert.equal(report.recordings.verified, 12)
  assert.match(
    report.text,
    /^events 1 to \d+ .*\nhead [0-9a-f]{64}\n\d+ checkpoints, signed through event \d+ by key [0-9a-f]{16}.*\n12 recordings are what was recorded\nverified\n$/,
  )
})

const EDITS: readonly (readonly [what: string, kind: string, where: string | ((lines: string[]) => string), tamper: (dir: string) => Promise<void>])[] = [
  ['a changed event', 'changed', (l) => at(l, 5), edit((l) => l.with(5, (l[5] ?? '').replace('T10:', 'T11:')))],
  ['a line that is no event', 'changed', (l) => at(l, 5), edit((l) => l.with(5, 'gone'))],
  ['a deleted event', 'missing', (l) => at(l, 5), edit((l) => l.toSpliced(5, 1))],
  ['an event that stands twice', 'reordered', (l) => at(l, 5), edit((l) => l.toSpliced(6, 0, l[5] ?? ''))],
  ['two events swapped', 'reordered', (l) => at(l, 5), edit((l) => l.with(5, l[6] ?? '').with(6, l[5] ?? ''))],
  [
    'an inserted event, all hashes anew',
    'forged',
    (l) => `event ${seqOf(l.slice(8).find((line) => line.includes('"type":"checkpoint"'))) + 1}`,
    edit((l) => rehash(l.toSpliced(8, 0, l[8] ?? ''), 8, (e) => e)),
  ],
  [
    'a changed event, all hashes anew',
    'forged',
    (l) => `event ${seqOf(l.slice(5).find((line) => line.includes('"type":"checkpoint"')))}`,
    edit((l) => rehash(l, 5, (e) => ({ ...e, user: 'mallory' }))),
  ],
  [
    'a checkpoint with another signature',
    'forged',
    (l) => at(l, l.length - 1),
    edit((l) => rehash(l, l.length - 1, (e) => (e.type === 'checkpoint' ? { ...e, signature: Buffer.alloc(64, 7).toString('base64') } : e))),
  ],
  ['the last events cut off', 'truncated', (l) => at(l, l.length - 3), edit((l) => l.slice(0, -3))],
  ['only the last checkpoint cut off', 'truncated', (l) => at(l, l.length - 1), edit((l) => l.slice(0, -1))],
  [
    'a torn last line',
    'truncated',
    (l) => at(l, l.length - 1),
    async (dir) => writeFile(join(dir, LOG), (await readFile(join(dir, LOG), 'utf8')).slice(0, -20)),
  ],
  ['a whole file gone', 'missing', 'event 1', (dir) => unlink(join(dir, 'audit/2026-11-21.ndjson'))],
  ['a changed recording', 'changed', tapeOf('s-9'), (dir) => appendFile(join(dir, tapeOf('s-9')), 'x')],
  ['a cut recording', 'changed', tapeOf('s-9'), (dir) => writeFile(join(dir, tapeOf('s-9')), 'rec')],
  ['a changed recording that a crash had left unclosed', 'changed', tapeOf('s-11'), (dir) => appendFile(join(dir, tapeOf('s-11')), 'x')],
  ['a deleted recording', 'missing', tapeOf('s-10'), (dir) => unlink(join(dir, tapeOf('s-10')))],
  ['an inserted recording', 'inserted', tapeOf('s-99'), (dir) => writeFile(join(dir, tapeOf('s-99')), 'x')],
  ['one recording in the place of another', 'swapped', tapeOf('s-9'), (dir) => copyFile(join(dir, tapeOf('s-10')), join(dir, tapeOf('s-9')))],
]
for (const [what, kind, where, tamper] of EDITS) {
  test(`verifier names ${what}`, async (t) => {
    const { dir, pub } = await dataDir(t)
    const lines = await linesOf(dir)
    await tamper(dir)
    const report = await verifyEvidence(dir, { key: pub })
    assert.equal(report.exit, 1)
    assert.deepEqual([report.problems[0]?.kind, report.problems[0]?.where], [kind, typeof where === 'string' ? where : where(lines)], report.text)
    assert.match(report.text, /NOT verified\n$/)
  })
}

test('verifier sees by the anchor that log and head were both set back', async (t) => {
  const { dir, pub, anchor } = await dataDir(t)
  await edit((l) => l.slice(0, -10))(dir)
  await unlink(join(dir, 'state/head.json'))
  for (const session of ['s-11', 's-12']) await unlink(join(dir, tapeOf(session)))
  assert.equal((await verifyEvidence(dir, { key: pub })).exit, 0, 'a log that was cut at an event is whole by itself')
  const report = await verifyEvidence(dir, { key: pub, anchor })
  assert.equal(report.problems[0]?.kind, 'truncated')
})

test('verifier takes no other key, no private key and no directory without a log', async (t) => {
  const { dir } = await dataDir(t)
  const other = await loadCheckpointKey(join(await tempDir(t), 'other'))
  assert.equal((await verifyEvidence(dir, { key: other.publicPem })).problems[0]?.kind, 'forged')
  await assert.rejects(verifyEvidence(dir, { key: join(dir, LOG) }), { code: 'BAD_REQUEST' })
  await assert.rejects(verifyEvidence(await tempDir(t)), { code: 'NOT_FOUND' })
})

test('verifier proves what retention left, by its tombstones, and none that is forged', async (t) => {
  const { dir, pub } = await dataDir(t)
  const key = await loadCheckpointKey(join(dir, 'state', 'other'))
  const files = new AuditFile(join(dir, 'audit'))
  await files.last()
  const audit = { write: async () => assert.fail('nothing may be written by another key here') }
  t.after(() => files.close())
  const forged = new AuditRetention({
    files,
    audit: { write: async (event) => ({ ...event, seq: 0, time: '', prev: '', hash: '' }) },
    key,
    maxAgeMs: 86_400_000,
    now: () => DAY + 1.9 * 86_400_000,
  })
  const stone = await forged.run()
  assert.ok(stone && stone.from === 1 && stone.to > 10)
  assert.deepEqual(
    (await logParts(join(dir, 'audit'))).map(({ day }) => day),
    ['2026-11-22', '2026-11-23'],
  )
  const report = await verifyEvidence(dir, { key: pub })
  assert.deepEqual([report.problems[0]?.kind, report.problems[0]?.where], ['forged', `events 1-${stone.to}`])
  assert.equal(await new AuditRetention({ files, audit, key, maxAgeMs: 86_400_000, now: () => DAY + 1.9 * 86_400_000 }).run(), undefined)
  await rm(join(dir, 'audit', 'tombstones.ndjson'))
  assert.equal((await verifyEvidence(dir, { key: pub })).problems[0]?.kind, 'missing')
})

import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { type Anchor, Anchors, fileAnchor, redisAnchor } from '../../src/store/audit-anchor.js'
import { s3Anchor } from '../../src/store/audit-anchor-s3.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { AuditRedis } from '../../src/store/audit-redis.js'
import { AuditRetention } from '../../src/store/audit-retention.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { lastEvent, logParts } from '../../src/wire/evidence/log-files.js'
import { verifyEvidence } from '../../src/wire/evidence/verify.js'
import { gather } from '../contract/audit-store.js'
import { needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { s3 } from '../support/s3-server.js'
import { tempDir } from '../support/temp-dir.js'

const line = 'x'.repeat(400)

async function aLog(t: TestContext, ...others: AuditRedis[]) {
  const dir = await tempDir(t)
  const key = await loadCheckpointKey(join(dir, 'state', 'checkpoint_ed25519'))
  const files = new AuditFile(join(dir, 'audit'), { maxFileBytes: 20_000 })
  const log = await AuditLog.open({ stores: [files, ...others], onFailure: 'refuse', logger: silentLogger, key })
  t.after(() => log.close())
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) await log.write({ type: 'command', session: 's', line, verdict: 'allow', confidence: 'exact' })
  }
  return { dir, key, files, log, write }
}

test('log goes on in another file once one is full, and each but the last ends with a checkpoint', async (t) => {
  const { dir, log, write } = await aLog(t)
  await write(200)
  const parts = await logParts(join(dir, 'audit'))
  assert.ok(parts.length >= 5, `${parts.length} files`)
  for (const { name } of parts.slice(0, -1)) {
    assert.equal((await lastEvent(join(dir, 'audit', name)))?.type, 'checkpoint', name)
    assert.ok((await stat(join(dir, 'audit', name))).size < 24_000, name)
  }
  await log.close()
  const again = new AuditFile(join(dir, 'audit'))
  t.after(() => again.close())
  const events = await gather(again)
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, i) => i + 1),
  )
  assert.equal((await again.last())?.seq, events.length)
  assert.deepEqual(await gather(again, { after: 100, limit: 2 }), events.slice(100, 102))
  assert.equal((await verifyEvidence(dir)).ok, true)
})

test('retention by size removes the oldest files, says so in the log, and the rest is proven', async (t) => {
  const { dir, key, files, log, write } = await aLog(t)
  await write(200)
  const before = (await logParts(files.dir)).length
  const retention = new AuditRetention({ files, audit: log, key, maxBytes: 60_000 })
  const stone = await retention.run()
  assert.ok(stone && stone.from === 1 && stone.count === stone.to)
  const kept = await logParts(files.dir)
  assert.ok(kept.length < before && kept.length >= 2)
  await write(200)
  const second = await retention.run()
  assert.equal(second?.from, stone.to + 1, 'tombstones follow each other')
  await log.close()
  const removed = (await gather(new AuditFile(files.dir), { text: 'audit.removed' })).map((each) => each.type === 'admin' && each.object)
  assert.ok(removed.includes(`events ${second?.from}-${second?.to}`))
  const report = await verifyEvidence(dir)
  assert.deepEqual(report.problems, [])
  assert.equal(report.removed, second?.to)
})

test('retention that was interrupted before its files went is finished by the next run without another tombstone', async (t) => {
  const { dir, key, files, log, write } = await aLog(t)
  await write(150)
  const first = (await logParts(files.dir))[0]
  const content = await readFile(join(files.dir, first?.name ?? ''))
  const retention = new AuditRetention({ files, audit: log, key, maxBytes: 60_000 })
  await retention.run()
  await writeFile(join(files.dir, first?.name ?? ''), content)
  await log.close()
  assert.notEqual((await verifyEvidence(dir)).problems[0]?.kind, 'forged')
  await retention.run()
  assert.ok(!(await readdir(files.dir)).includes(first?.name ?? ''))
  assert.deepEqual((await verifyEvidence(dir)).problems, [])
})

test('retention that has nothing to do does nothing, and the newest file always stays', async (t) => {
  const { key, files, log, write } = await aLog(t)
  await write(10)
  assert.equal(await new AuditRetention({ files, audit: log, key, maxBytes: 1, maxAgeMs: 1, now: () => Date.now() + 1e9 }).run(), undefined)
  assert.equal((await logParts(files.dir)).length, 1)
})

test('anchor in Redis follows the checkpoints, and retention trims the stream', { skip: needs.program('redis-server') }, async (t) => {
  const redis = await redisServer(t)
  const { key, files, log, write } = await aLog(t, new AuditRedis({ url: redis.url }, silentLogger))
  const anchor = redisAnchor(redis.url, silentLogger)
  const anchors = new Anchors([anchor], log, silentLogger)
  await write(200)
  const store = new AuditRedis({ url: redis.url }, silentLogger)
  t.after(() => store.close())
  const stone = await new AuditRetention({ files, others: [store], audit: log, key, maxBytes: 60_000 }).run()
  assert.equal((await gather(store, { limit: 1 }))[0]?.seq, (stone?.to ?? 0) + 1)
  await log.close()
  await anchors.close()
  const held = JSON.parse(String(await redis.command('GET', 'dockin:audit:anchor'))) as { count: number }
  assert.equal(held.count, log.status().head.seq - 1)
})

test('anchor in S3 follows the checkpoints, is read again, and is told when the store is away', async (t) => {
  const server = await s3(t)
  const { dir, log, write } = await aLog(t)
  const credentialsFile = join(dir, 's3.json')
  await writeFile(credentialsFile, JSON.stringify({ accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }), { mode: 0o600 })
  const options = { bucket: 'tapes', key: 'audit/head.json', region: 'us-east-1', endpoint: server.endpoint, credentialsFile }
  const anchor = await s3Anchor(options)
  assert.equal(await anchor.get(), undefined)
  const anchors = new Anchors([anchor], log, silentLogger)
  await write(20)
  await log.close()
  await anchors.close()
  const again = await s3Anchor(options)
  t.after(() => again.close())
  assert.equal((await again.get())?.count, log.status().head.seq - 1)
  const later = await aLog(t)
  const behind = new Anchors([again], later.log, silentLogger)
  await behind.check(later.log.status().head.seq)
  await server.stop()
  await behind.check(later.log.status().head.seq)
  await behind.close()
  const actions = (await gather(later.files, {})).flatMap((event) => (event.type === 'admin' ? [event.action] : []))
  assert.deepEqual(actions, ['audit.cut', 'audit.anchor-failed'])
})

test('anchor that is ahead of the log says that it was cut, and one that fails is told once', async (t) => {
  const { dir, log, write, key } = await aLog(t)
  const ahead = fileAnchor(join(dir, 'anchor.json'))
  await ahead.put({ count: 500, head: 'f'.repeat(64), time: '2026-11-23T10:00:00.000Z', keyId: key.keyId, signature: '' })
  const broken: Anchor = { name: 'broken', put: async () => Promise.reject(new Error('no such mount')), get: async () => undefined, close: async () => {} }
  const anchors = new Anchors([ahead, broken], log, silentLogger)
  await anchors.check(log.status().head.seq)
  for (let i = 0; i < 3; i++) {
    await write(1)
    log.checkpoint()
  }
  await log.close()
  await anchors.close()
  const actions = (await gather(new AuditFile(join(dir, 'audit')), { type: 'admin' })).map((each) => each.type === 'admin' && each.action)
  assert.deepEqual(actions, ['audit.cut', 'audit.anchor-failed'])
})

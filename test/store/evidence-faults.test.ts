import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import type { Page, StoredEvent } from '../../src/core/types.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { AuditRedis } from '../../src/store/audit-redis.js'
import { AuditSpool } from '../../src/store/audit-spool.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { Search } from '../../src/store/search.js'
import { verifyEvidence } from '../../src/wire/evidence/verify.js'
import { gather } from '../contract/audit-store.js'
import { needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { tempDir } from '../support/temp-dir.js'
import { mountTmpfs, needsMount } from '../support/tmpfs.js'

const LIMIT = () => AbortSignal.timeout(60_000)

async function aLog(dir: string, options: Partial<Parameters<typeof AuditLog.open>[0]> = {}) {
  const key = await loadCheckpointKey(join(dir, 'state', 'checkpoint_ed25519'))
  const files = new AuditFile(join(dir, 'audit'))
  return { files, log: await AuditLog.open({ stores: [files], onFailure: 'refuse', logger: silentLogger, key, ...options }) }
}

function aSearch(t: TestContext, dir: string): Search {
  const search = new Search({ path: join(dir, 'state', 'search.db'), source: { type: 'file', dir: join(dir, 'audit') }, logger: silentLogger })
  t.after(() => search.close())
  return search
}

test('event with a megabyte of binary is kept as it is, proven and found by its beginning', async (t) => {
  const dir = await tempDir(t)
  const { log, files } = await aLog(dir)
  const bytes = Buffer.concat([Buffer.from('echo beginning '), randomBytes(1_000_000)])
  const line = bytes.toString('latin1')
  const kept = await log.write({ type: 'command', session: 's-1', lineBase64: bytes.toString('base64'), verdict: 'allow', confidence: 'exact' })
  const odd = await log.write({ type: 'command', session: 's-1', line: `${line}\u2028\0\ud800`, verdict: 'allow', confidence: 'exact' })
  const search = aSearch(t, dir)
  await search.caughtUp(odd.seq, LIMIT())
  // such events take their time: a page may end early, its cursor goes on
  const found: number[] = []
  for (let cursor: string | undefined = String(odd.seq + 1); cursor !== undefined; ) {
    const page: Page<StoredEvent> = await search.events({ text: 'echo beginning', cursor })
    found.push(...page.items.map(({ seq }) => seq))
    cursor = page.next
  }
  assert.deepEqual(found, [odd.seq, kept.seq])
  await log.close()
  const [first, second] = await gather(new AuditFile(files.dir), { type: 'command' })
  assert.ok(first?.type === 'command' && Buffer.from(first.lineBase64 ?? '', 'base64').equals(bytes))
  assert.ok(second?.type === 'command' && second.line === `${line}\u2028\0\ud800`)
  assert.deepEqual((await verifyEvidence(dir)).problems, [])
})

test('ten thousand sessions at once leave a whole chain, and each is found', async (t) => {
  const dir = await tempDir(t)
  const { log } = await aLog(dir)
  const search = aSearch(t, dir)
  log.onAppend(search.noted)
  const session = async (i: number) => {
    const subject = { session: `s-${i}`, user: `user${i % 50}`, door: 'exec' } as const
    await log.write({ ...subject, type: 'session.open', rule: 'sre' })
    await log.write({ ...subject, type: 'command', line: `job-${i}`, verdict: 'allow', confidence: 'exact' })
    await log.write({ ...subject, type: 'session.close', rule: 'sre', reason: 'exited', exit: 0, bytesIn: 0, bytesOut: 0, ms: 1 })
  }
  await Promise.all(Array.from({ length: 10_000 }, (_, i) => session(i)))
  const { head } = log.status()
  assert.ok(head.seq >= 30_000)
  await search.caughtUp(head.seq, LIMIT())
  assert.equal((await search.session('s-9999'))?.state, 'ended')
  assert.deepEqual(
    (await search.events({ text: 'job-7777' })).items.map((event) => event.session),
    ['s-7777'],
  )
  await log.close()
  const report = await verifyEvidence(dir)
  assert.deepEqual(report.problems, [])
  assert.ok((report.range?.count ?? 0) > 30_000)
})

test('clock that steps back leaves times in order and a log that is proven', async (t) => {
  const dir = await tempDir(t)
  let now = Date.parse('2026-11-23T00:00:05.000Z')
  const { log, files } = await aLog(dir, { now: () => now })
  for (const step of [1000, -86_400_000, 500, 90_000_000, -3600_000]) {
    now += step
    await log.write({ type: 'login', user: 'alice', method: 'password' })
  }
  await log.close()
  const events = await gather(new AuditFile(files.dir))
  const times = events.map(({ time }) => time)
  assert.deepEqual(times, [...times].sort())
  assert.equal(events.filter((event) => event.type === 'admin' && event.action === 'audit.clock-stepped-back').length, 2)
  assert.deepEqual((await verifyEvidence(dir)).problems, [])
})

test('log on a full disk goes on in its spool and is whole, in order, once there is room', { skip: needsMount }, async (t) => {
  const dir = await mountTmpfs(t, '1m')
  const elsewhere = await tempDir(t)
  const { log, files } = await aLog(dir, { onFailure: 'continue', spool: new AuditSpool(join(elsewhere, 'spool')), patienceMs: 200 })

  await log.write({ type: 'login', user: 'alice', method: 'password' })
  await writeFile(join(dir, 'full'), Buffer.alloc(4e6)).catch(() => undefined)
  const line = 'x'.repeat(8000)
  const written = await Promise.all(Array.from({ length: 50 }, () => log.write({ type: 'command', session: 's', line, verdict: 'allow', confidence: 'exact' })))
  assert.equal(written.length, 50)
  assert.equal(log.status().spooling, true)
  await truncate(join(dir, 'full'), 0)
  while (log.status().spooling || log.status().stores[0]?.state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 20))
  await log.close()
  const held = await gather(new AuditFile(files.dir), { type: 'command' })
  assert.equal(held.length, 50)
  assert.deepEqual((await verifyEvidence(dir)).problems, [])
})

test('index whose directory cannot be written leaves the log alone', { skip: process.getuid?.() === 0 ? 'root writes everywhere' : false }, async (t) => {
  const dir = await tempDir(t)
  const { log } = await aLog(dir)
  t.after(() => log.close())
  await chmod(join(dir, 'state'), 0o500)
  const search = aSearch(t, dir)
  await assert.rejects(search.events({}), { code: 'INTERNAL' })
  await log.write({ type: 'login', user: 'alice', method: 'password' })
  await chmod(join(dir, 'state'), 0o700)
})

test('log to file and a Redis that is killed in the middle loses nothing that was acknowledged', { skip: needs.program('redis-server') }, async (t) => {
  const redis = await redisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
  const dir = await tempDir(t)
  const files = new AuditFile(join(dir, 'audit'))
  const { log } = await aLog(dir, { stores: [files, new AuditRedis({ url: redis.url, commandTimeoutMs: 500 }, silentLogger)], patienceMs: 20_000 })
  const numbers: number[] = []
  let isOver = false
  const writers = Array.from({ length: 50 }, async (_, writer) => {
    while (!isOver) numbers.push((await log.write({ type: 'command', session: `s-${writer}`, line: 'ls', verdict: 'allow', confidence: 'exact' })).seq)
  })
  for (let kill = 0; kill < 3; kill++) {
    const goal = numbers.length + 500
    while (numbers.length < goal) await new Promise((resolve) => setTimeout(resolve, 10))
    await redis.stop('SIGKILL')
    await redis.start()
  }
  isOver = true
  await Promise.all(writers)
  await log.close()
  const store = new AuditRedis({ url: redis.url }, silentLogger)
  t.after(() => store.close())
  const inRedis = new Set((await gather(store)).map(({ seq }) => seq))
  const inFiles = new Set((await gather(new AuditFile(files.dir))).map(({ seq }) => seq))
  for (const seq of numbers) assert.ok(inRedis.has(seq) && inFiles.has(seq), `event ${seq}`)
  assert.deepEqual((await verifyEvidence(dir)).problems, [])
  assert.ok((await readdir(join(dir, 'audit'))).length >= 1)
})

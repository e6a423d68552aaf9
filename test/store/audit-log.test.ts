import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { appendFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, StoredEvent } from '../../src/core/types.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog, type AuditLogOptions } from '../../src/store/audit-log.js'
import { AuditSpool } from '../../src/store/audit-spool.js'
import { GENESIS, verifyChain } from '../../src/wire/evidence/chain.js'
import { checkpointKey, isSignedBy } from '../../src/wire/evidence/checkpoint.js'
import { gather, someEvents } from '../contract/audit-store.js'
import { MemoryAudit } from '../support/memory-audit.js'
import { tempDir } from '../support/temp-dir.js'

const LOGIN: AuditEvent = { type: 'login', user: 'alice', method: 'password' }
const CLOSE: AuditEvent = { type: 'session.close', session: 's', rule: 'r', reason: 'done', exit: 0, bytesIn: 1, bytesOut: 2, ms: 3 }
const UNAVAILABLE = { code: 'AUDIT_UNAVAILABLE' }

async function openLog(t: TestContext, options: Partial<AuditLogOptions> & Pick<AuditLogOptions, 'stores'>): Promise<AuditLog> {
  const log = await AuditLog.open({ onFailure: 'refuse', logger: silentLogger, patienceMs: 60, closeMs: 300, ...options })
  t.after(() => log.close())
  return log
}

/** Waits until `claim` holds: states change by themselves, in bounded time. */
async function until(claim: () => boolean, what: string): Promise<void> {
  for (const limit = Date.now() + 8000; Date.now() < limit; await delay(5)) if (claim()) return
  assert.fail(`never came true: ${what}`)
}

async function assertWhole(events: readonly StoredEvent[]): Promise<void> {
  const report = await verifyChain(events, { after: GENESIS })
  assert.ok(report.ok, JSON.stringify(report))
}

/** A promise that a test resolves (Node 20 has no Promise.withResolvers). */
function heldBack(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

function types(events: readonly StoredEvent[]): string[] {
  return events.map((event) => (event.type === 'admin' ? event.action : event.type))
}

test('log numbers and chains events and answers when every store holds them', async (t) => {
  const stores = [new MemoryAudit('one'), new MemoryAudit('two')] as const
  const log = await openLog(t, { stores })
  const written = await Promise.all(Array.from({ length: 100 }, () => log.write(LOGIN)))
  assert.deepEqual(
    written.map((event) => event.seq),
    Array.from({ length: 100 }, (_, i) => i + 1),
  )
  for (const store of stores) assert.deepEqual(store.events, written)
  await assertWhole(written)
  assert.equal(log.unavailable(), undefined)
})

test('log gathers what comes while an append is under way into one', async (t) => {
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store] })
  const { promise, resolve } = heldBack()
  store.gate = promise
  const first = log.write(LOGIN)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const rest = Array.from({ length: 50 }, () => log.write(LOGIN))
  resolve()
  await Promise.all([first, ...rest])
  assert.deepEqual(store.batches, [1, 50])
})

test('log takes the next event from a writer that was just answered', async (t) => {
  const log = await openLog(t, { stores: [new MemoryAudit()] })
  for (let i = 1; i <= 500; i++) assert.equal((await log.write(LOGIN)).seq, i)
})

test('log goes on from the newest event after it was opened again', async (t) => {
  const dir = await tempDir(t)
  const first = await AuditLog.open({ stores: [new AuditFile(dir)], onFailure: 'refuse', logger: silentLogger })
  await first.write(LOGIN)
  await first.close()
  await first.close()
  await assert.rejects(first.write(LOGIN), UNAVAILABLE)
  assert.equal(first.unavailable(), 'the audit log is closed')
  const store = new AuditFile(dir)
  const second = await openLog(t, { stores: [store] })
  assert.equal((await second.write(CLOSE)).seq, 2)
  await assertWhole(await gather(store))
})

test('log records that a torn line was set aside', async (t) => {
  const dir = await tempDir(t)
  const first = await AuditLog.open({ stores: [new AuditFile(dir)], onFailure: 'refuse', logger: silentLogger })
  await first.write(LOGIN)
  await first.close()
  const [name] = await readdir(dir)
  await appendFile(join(dir, name ?? ''), '{"seq":2,"ti')
  const store = new AuditFile(dir)
  const second = await openLog(t, { stores: [store] })
  await second.write(LOGIN)
  assert.deepEqual(types(await gather(store)), ['login', 'audit.torn', 'login'])
})

test('time of events never goes backwards, and a step of the clock is noted once', async (t) => {
  const store = new MemoryAudit()
  let now = Date.parse('2026-11-23T10:00:00.000Z')
  const log = await openLog(t, { stores: [store], now: () => now })
  await log.write(LOGIN)
  now -= 3_600_000
  await log.write(LOGIN)
  now += 1000
  await log.write(LOGIN)
  now += 7_200_000
  await log.write(LOGIN)
  assert.deepEqual(types(store.events), ['login', 'audit.clock-stepped-back', 'login', 'login', 'login'])
  const times = store.events.map((event) => event.time)
  assert.deepEqual(times, [...times.slice(0, 1), ...Array(3).fill('2026-11-23T10:00:00.000Z'), '2026-11-23T11:00:01.000Z'])
})

test('event that has no JSON form is refused and leaves no hole', async (t) => {
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store] })
  await log.write(LOGIN)
  await assert.rejects(log.write({ type: 'admin', action: 'a', object: 'o', after: 10n }), { code: 'BAD_REQUEST' })
  await log.write(LOGIN)
  await assertWhole(store.events)
  assert.equal(store.events.length, 2)
})

// ---------------------------------------------------------------- checkpoints

test('log signs its head every so many events, at the turn of a day and at close', async (t) => {
  const store = new MemoryAudit()
  const key = checkpointKey(generateKeyPairSync('ed25519').privateKey)
  let now = Date.parse('2026-11-23T23:59:00.000Z')
  const log = await openLog(t, { stores: [store], key, checkpointEvents: 3, now: () => now })
  for (let i = 0; i < 4; i++) await log.write(LOGIN)
  now += 120_000
  await log.write(LOGIN)
  await log.close()
  assert.deepEqual(types(store.events), ['login', 'login', 'login', 'checkpoint', 'login', 'checkpoint', 'login', 'checkpoint'])
  assert.equal(store.events[5]?.time.slice(0, 10), '2026-11-23', 'the checkpoint of a day rests in its file')
  const publicKey = createPublicKey(key.publicPem)
  const report = await verifyChain(store.events, { after: GENESIS, checkpoint: (event) => isSignedBy(event, publicKey) })
  assert.ok(report.ok && report.checkpoints === 3 && report.lastCheckpoint === 8)
})

test('log signs its head after a while, and an idle one does not grow', async (t) => {
  const store = new MemoryAudit()
  const key = checkpointKey(generateKeyPairSync('ed25519').privateKey)
  const log = await openLog(t, { stores: [store], key, checkpointMs: 10 })
  await log.write(LOGIN)
  await until(() => store.events.length === 2, 'a checkpoint')
  await delay(60)
  assert.deepEqual(types(store.events), ['login', 'checkpoint'])
})

// ---------------------------------------------------------------- refuse

test('short outage delays a write and loses nothing', async (t) => {
  const stores = [new MemoryAudit('one'), new MemoryAudit('two')] as const
  const log = await openLog(t, { stores, patienceMs: 5000 })
  await log.write(LOGIN)
  stores[1].failing = 'gone'
  const waiting = log.write(LOGIN)
  await until(() => log.unavailable() !== undefined, 'trouble is told')
  assert.match(log.unavailable() ?? '', /^two: Cannot use two: gone$/)
  stores[1].failing = undefined
  assert.equal((await waiting).seq, 2)
  await until(() => log.unavailable() === undefined, 'trouble is over')
  await until(() => stores[1].events.length === 4, 'stores in step')
  assert.deepEqual(types(stores[1].events), ['login', 'login', 'audit.store-behind', 'audit.store-ready'])
  assert.deepEqual(stores[0].events, stores[1].events)
  await assertWhole(stores[1].events)
})

test('long outage refuses gates without a hole, keeps facts, and fills the store when it is back', async (t) => {
  const stores = [new MemoryAudit('one'), new MemoryAudit('two')] as const
  const log = await openLog(t, { stores })
  await log.write(LOGIN)
  stores[1].failing = 'gone'
  await assert.rejects(log.write({ ...LOGIN, user: 'bob' }), { code: 'AUDIT_UNAVAILABLE', message: /two: Cannot use two: gone/ })
  await assert.rejects(log.write({ ...LOGIN, user: 'carol' }), UNAVAILABLE)
  await assert.rejects(log.write(CLOSE), { code: 'AUDIT_UNAVAILABLE', message: /is kept and will be filled in/ })
  stores[1].failing = undefined
  await until(() => log.unavailable() === undefined, 'it recovers')
  await log.write(LOGIN)
  await until(() => stores[0].events.length === stores[1].events.length, 'stores in step')
  assert.deepEqual(stores[0].events, stores[1].events)
  await assertWhole(stores[1].events)
  assert.ok(!stores[1].events.some((event) => event.user === 'carol'), 'a refused gate has no number')
  assert.ok(stores[1].events.some((event) => event.type === 'session.close'))
  const withdrawn = stores[1].events.find((event) => event.type === 'admin' && event.action === 'audit.withdrawn')
  const bob = stores[1].events.find((event) => event.user === 'bob')
  assert.ok(withdrawn?.type === 'admin' && withdrawn.object === `events ${bob?.seq}`, 'the gate that had a number is named')
})

test('batch that a store took in part is completed and never doubled', async (t) => {
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store], patienceMs: 5000 })
  store.cutNext = 3
  await Promise.all(Array.from({ length: 10 }, () => log.write(LOGIN)))
  await until(() => log.unavailable() === undefined, 'in step')
  await assertWhole(store.events)
  assert.equal(store.events.filter((event) => event.type === 'login').length, 10)
})

test('store that is silent counts as one in trouble', async (t) => {
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store] })
  const { promise, resolve } = heldBack()
  store.gate = promise
  const write = log.write(LOGIN)
  await assert.rejects(write, UNAVAILABLE)
  assert.match(log.unavailable() ?? '', /has not answered for 60 ms/)
  resolve()
  await until(() => log.unavailable() === undefined, 'it recovers')
  await log.write(LOGIN)
  await assertWhole(store.events)
})

test('store that lost its data is filled from the other from the beginning', async (t) => {
  const stores = [new MemoryAudit('one'), new MemoryAudit('two')] as const
  const log = await openLog(t, { stores, patienceMs: 5000 })
  for (let i = 0; i < 20; i++) await log.write(LOGIN)
  stores[1].events.length = 0
  stores[1].failing = 'restarting'
  const waiting = log.write(LOGIN)
  await until(() => log.unavailable() !== undefined, 'trouble')
  stores[1].failing = undefined
  await waiting
  await until(() => log.unavailable() === undefined, 'in step')
  await until(() => stores[0].events.length === stores[1].events.length, 'in step')
  assert.deepEqual(stores[1].events, stores[0].events)
  await assertWhole(stores[1].events)
})

test('data that rests nowhere any more is named in the log', async (t) => {
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store], patienceMs: 5000 })
  for (let i = 0; i < 20; i++) await log.write(LOGIN)
  store.events.length = 15
  store.failing = 'restored from yesterday'
  const waiting = log.write(LOGIN)
  await until(() => log.unavailable() !== undefined, 'trouble')
  store.failing = undefined
  assert.equal((await waiting).seq, 21)
  await until(() => store.events.some((event) => event.type === 'admin' && event.action === 'audit.lost'), 'the loss is told')
  const lost = store.events.find((event) => event.type === 'admin' && event.action === 'audit.lost')
  assert.deepEqual(lost?.type === 'admin' && lost.after, { from: 16, to: 20 })
  const report = await verifyChain(store.events, { after: GENESIS })
  assert.ok(!report.ok && report.fault === 'missing' && report.seq === 16)
})

test('store with events of another log is not written to', async (t) => {
  const [one, two] = [new MemoryAudit('one'), new MemoryAudit('two')]
  const log = await openLog(t, { stores: [one, two] })
  await log.write(LOGIN)
  two.events.push(...someEvents(3, two.events[0]))
  two.failing = 'for a moment'
  await assert.rejects(log.write(LOGIN), UNAVAILABLE)
  two.failing = undefined
  await until(() => /belongs to another log/.test(log.unavailable() ?? ''), 'the fork is told')
  assert.equal(two.events.length, 4)
  await assert.rejects(log.write(LOGIN), UNAVAILABLE)
})

test('log whose stores disagree does not open, and neither does one that no store answers', async () => {
  const [one, two] = [new MemoryAudit('one'), new MemoryAudit('two')]
  const options = { stores: [one, two], onFailure: 'refuse', logger: silentLogger } as const
  one.events.push(...someEvents(5))
  two.events.push(...someEvents(3, GENESIS, '2026-01-01T00:00:00.000Z'))
  await assert.rejects(AuditLog.open(options), { code: 'AUDIT_UNAVAILABLE', message: /two and one hold different events under number 3/ })
  one.failing = two.failing = 'down'
  await assert.rejects(AuditLog.open(options), { code: 'AUDIT_UNAVAILABLE', message: /one: .*down; two: .*down/ })
})

test('log with one store down at start refuses until that is filled', async (t) => {
  const [one, two] = [new MemoryAudit('one'), new MemoryAudit('two')]
  one.events.push(...someEvents(2500))
  two.failing = 'starting'
  const log = await openLog(t, { stores: [one, two], now: () => Date.parse('2026-11-24T00:00:00Z') })
  assert.match(log.unavailable() ?? '', /two: .*starting/)
  two.failing = undefined
  await until(() => log.unavailable() === undefined, 'filled')
  await log.write(LOGIN)
  assert.deepEqual(two.events.slice(0, 2500), one.events.slice(0, 2500))
  await assertWhole(two.events)
})

test('writes beyond what memory may hold are refused and counted', async (t) => {
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store], maxPending: 10, patienceMs: 20 })
  const { promise, resolve } = heldBack()
  store.gate = promise
  const results = await Promise.allSettled(Array.from({ length: 30 }, () => log.write(CLOSE)))
  assert.ok(results.every((result) => result.status === 'rejected'))
  assert.ok(log.status().pending <= 10)
  resolve()
  await until(() => log.unavailable() === undefined, 'it recovers')
  await log.write(CLOSE)
  await until(() => types(store.events).includes('audit.dropped'), 'the loss is told')
  await assertWhole(store.events)
})

// ---------------------------------------------------------------- continue and the spool

test('continue goes on while one of two stores is down, and fills it later', async (t) => {
  const stores = [new MemoryAudit('one'), new MemoryAudit('two')] as const
  const log = await openLog(t, { stores, onFailure: 'continue', maxPending: 50, patienceMs: 5000 })
  await log.write(LOGIN)
  stores[1].failing = 'gone'
  for (let i = 0; i < 300; i++) await log.write({ ...LOGIN, user: `u${i}` })
  assert.equal(log.unavailable(), undefined)
  assert.ok(log.status().pending <= 51, `bounded: ${log.status().pending}`)
  stores[1].failing = undefined
  await until(() => log.status().stores.every((store) => store.state === 'ready'), 'filled')
  await log.write(LOGIN)
  await until(() => stores[0].events.length === stores[1].events.length, 'in step')
  assert.deepEqual(stores[0].events, stores[1].events)
  await assertWhole(stores[1].events)
})

test('continue spools to disk while no store is up, fills in order and empties the spool', async (t) => {
  const dir = await tempDir(t)
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store], onFailure: 'continue', spool: new AuditSpool(dir), maxPending: 50 })
  await log.write(LOGIN)
  store.failing = 'gone'
  for (let i = 0; i < 200; i++) await log.write({ ...LOGIN, user: `u${i}` })
  assert.equal(log.unavailable(), undefined)
  assert.ok(log.status().spooling)
  store.failing = undefined
  await until(() => !log.status().spooling, 'filled')
  await log.write(LOGIN)
  await assertWhole(store.events)
  assert.equal(store.events.filter((event) => event.type === 'login').length, 202)
  await log.close()
  assert.deepEqual(await readdir(dir), [])
})

test('spool of a gateway that ended is filled into the store at the next start', async (t) => {
  const dir = await tempDir(t)
  const store = new MemoryAudit()
  const open = () => AuditLog.open({ stores: [store], onFailure: 'continue', logger: silentLogger, spool: new AuditSpool(dir), closeMs: 200, patienceMs: 60 })
  const first = await open()
  await first.write(LOGIN)
  store.failing = 'gone'
  for (let i = 0; i < 20; i++) await first.write(CLOSE)
  await first.close()
  assert.equal(store.events.length, 1)
  store.closed = false
  const second = await open()
  t.after(() => second.close())
  await second.write(LOGIN)
  store.failing = undefined
  await until(() => !second.status().spooling, 'filled')
  await second.write(LOGIN)
  await assertWhole(store.events)
  assert.equal(store.events.filter((event) => event.type === 'session.close').length, 20)
})

test('refuse keeps facts in the spool while no store is up', async (t) => {
  const dir = await tempDir(t)
  const store = new MemoryAudit()
  const log = await openLog(t, { stores: [store], spool: new AuditSpool(dir) })
  await log.write(LOGIN)
  store.failing = 'gone'
  await assert.rejects(log.write(CLOSE), UNAVAILABLE)
  await assert.rejects(log.write(LOGIN), UNAVAILABLE)
  await assert.rejects(log.write(CLOSE), { message: /is kept and will be filled in/ })
  await log.close()
  const kept = new AuditSpool(dir)
  t.after(() => kept.close())
  assert.equal((await gather(kept)).filter((event) => event.type === 'session.close').length, 2)
})

test('spool that fails too makes continue refuse and say so', async (t) => {
  const dir = await tempDir(t)
  const store = new MemoryAudit()
  const spool = new AuditSpool(join(dir, 'audit'))
  const log = await openLog(t, { stores: [store], onFailure: 'continue', spool })
  await log.write(LOGIN)
  spool.append = () => Promise.reject(new Error('no room'))
  store.failing = 'gone'
  await assert.rejects(log.write(LOGIN), UNAVAILABLE)
  await assert.rejects(log.write(CLOSE), UNAVAILABLE)
  assert.match(log.unavailable() ?? '', /memory: Cannot use memory: gone/)
  store.failing = undefined
  await until(() => log.unavailable() === undefined, 'it recovers')
  await log.write(LOGIN)
  await assertWhole(store.events)
})

// ---------------------------------------------------------------- listeners

test('listeners hear every committed event in order, and one that throws harms nobody', async (t) => {
  const stores = [new MemoryAudit('one'), new MemoryAudit('two')] as const
  const log = await openLog(t, { stores, patienceMs: 5000 })
  const heard: number[] = []
  log.onAppend(() => {
    throw new Error('a bad listener')
  })
  const stop = log.onAppend((event) => heard.push(event.seq))
  await log.write(LOGIN)
  stores[0].failing = 'gone'
  const waiting = log.write(LOGIN)
  await until(() => stores[1].events.length >= 2, 'the other store holds it')
  assert.deepEqual(heard, [1], 'not before it is committed')
  stores[0].failing = undefined
  await waiting
  await until(() => log.status().committed === log.status().head.seq, 'in step')
  assert.deepEqual(
    heard,
    stores[0].events.map((event) => event.seq),
  )
  stop()
  const before = heard.length
  await log.write(LOGIN)
  assert.equal(heard.length, before)
  for (let i = 0; i < 255; i++) log.onAppend(() => {})
  assert.throws(() => log.onAppend(() => {}), { code: 'LIMIT_EXCEEDED' })
})

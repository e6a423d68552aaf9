import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent } from '../../src/core/types.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { AuditRedis, type AuditRedisOptions } from '../../src/store/audit-redis.js'
import { GENESIS, verifyChain } from '../../src/wire/evidence/chain.js'
import { auditStoreContract, gather, someEvents } from '../contract/audit-store.js'
import { needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { tempDir } from '../support/temp-dir.js'

const skip = needs.program('redis-server')
const LOGIN: AuditEvent = { type: 'login', user: 'alice', method: 'password' }

function openStore(t: TestContext, url: string, options: Partial<AuditRedisOptions> = {}): AuditRedis {
  const store = new AuditRedis({ url, commandTimeoutMs: 300, connectTimeoutMs: 300, ...options }, silentLogger)
  t.after(() => store.close())
  return store
}

async function until(claim: () => boolean, what: string): Promise<void> {
  for (const limit = Date.now() + 8000; Date.now() < limit; await delay(5)) if (claim()) return
  assert.fail(`never came true: ${what}`)
}

/** Waits until the store can say what it ends with. */
async function answers(store: AuditRedis): Promise<void> {
  for (const limit = Date.now() + 30_000; Date.now() < limit; await delay(10)) {
    const last = await store.last().catch(() => undefined)
    if (last !== undefined) return
  }
  assert.fail('the store never answered')
}

auditStoreContract(
  'AuditRedis',
  async (t) => {
    const server = await redisServer(t)
    let store = openStore(t, server.url)
    const reopen = async () => {
      await store.close()
      store = openStore(t, server.url)
      return store
    }
    return { store, reopen }
  },
  skip,
)

test('stream entries carry the number as id and the same object as the files', { skip }, async (t) => {
  const server = await redisServer(t)
  const store = openStore(t, server.url)
  const events = someEvents(2)
  await store.append(events)
  assert.deepEqual(await server.command('XRANGE', 'dockin:audit', '-', '+'), [
    ['1-0', ['e', JSON.stringify(events[0])]],
    ['2-0', ['e', JSON.stringify(events[1])]],
  ])
})

test('append that is made again without asking first is refused and doubles nothing', { skip }, async (t) => {
  const server = await redisServer(t)
  const [one, two] = [openStore(t, server.url), openStore(t, server.url)]
  const events = someEvents(4)
  await one.append(events.slice(0, 2))
  assert.equal((await two.last())?.seq, 2)
  await one.append(events.slice(2, 3))
  await assert.rejects(two.append(events.slice(2, 3)), { code: 'AUDIT_UNAVAILABLE', message: /MOVED-ON the stream ends with "3-0", not "2-0"/ })
  assert.deepEqual(await gather(one), events.slice(0, 3))
})

test('store that finds its data gone says so instead of leaving a hole', { skip }, async (t) => {
  const server = await redisServer(t)
  const store = openStore(t, server.url)
  const events = someEvents(4)
  await store.append(events.slice(0, 3))
  await server.command('FLUSHALL')
  await assert.rejects(store.append(events.slice(3)), { code: 'AUDIT_UNAVAILABLE', message: /ends with "", not "3-0"/ })
  assert.equal(await store.last(), undefined)
  await store.append(events)
  assert.deepEqual(await gather(store), events)
})

test('store answers in bounded time while Redis is away and takes events when it is back', { skip }, async (t) => {
  const server = await redisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
  const store = openStore(t, server.url)
  const events = someEvents(3)
  await store.append(events.slice(0, 1))
  await server.stop()
  const before = Date.now()
  await assert.rejects(store.append(events.slice(1, 2)), { code: 'AUDIT_UNAVAILABLE' })
  await assert.rejects(store.last(), { code: 'AUDIT_UNAVAILABLE', message: /the connection was lost|ENOENT|ECONNREFUSED/ })
  assert.ok(Date.now() - before < 1500)
  await server.start()
  await answers(store)
  await store.append(events.slice(1))
  assert.deepEqual(await gather(store), events)
})

test('store that was never reachable says why', { skip }, async (t) => {
  const dir = await tempDir(t)
  const store = openStore(t, `unix://${join(dir, 'none.sock')}`)
  await assert.rejects(store.last(), { code: 'AUDIT_UNAVAILABLE', message: /Cannot read Redis stream "dockin:audit": connect ENOENT/ })
})

test('store gives up on a peer that accepts and never answers', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => socket.destroy()).resume())
  const dir = await tempDir(t)
  silent.listen(join(dir, 'silent.sock'))
  t.after(() => silent.close())
  const store = openStore(t, `unix://${join(dir, 'silent.sock')}`)
  const before = Date.now()
  await assert.rejects(store.last(), { code: 'AUDIT_UNAVAILABLE' })
  assert.ok(Date.now() - before < 2000, `${Date.now() - before} ms`)
})

test('log waits out a paused Redis, and its late batch is not doubled', { skip }, async (t) => {
  const server = await redisServer(t)
  const [file, redis] = [new AuditFile(await tempDir(t)), openStore(t, server.url)]
  const log = await AuditLog.open({ stores: [file, redis], onFailure: 'refuse', logger: silentLogger, patienceMs: 8000 })
  t.after(() => log.close())
  await log.write(LOGIN)
  await server.command('CLIENT', 'PAUSE', '900', 'ALL')
  const writes = Promise.all(Array.from({ length: 50 }, () => log.write(LOGIN)))
  await until(() => /timed out/.test(log.unavailable() ?? ''), 'trouble is told')
  await writes
  await until(() => log.unavailable() === undefined, 'it recovers')
  await log.write(LOGIN)
  await until(() => log.status().committed === log.status().head.seq, 'in step')
  assert.deepEqual(await gather(redis), await gather(file))
  assert.ok((await verifyChain(redis.query({}), { after: GENESIS })).ok)
})

test('log fills a Redis that came back empty from the files', { skip }, async (t) => {
  const server = await redisServer(t)
  const [file, redis] = [new AuditFile(await tempDir(t)), openStore(t, server.url)]
  const log = await AuditLog.open({ stores: [file, redis], onFailure: 'refuse', logger: silentLogger, patienceMs: 100 })
  t.after(() => log.close())
  await Promise.all(Array.from({ length: 3000 }, () => log.write(LOGIN)))
  await server.stop()
  await assert.rejects(log.write(LOGIN), { code: 'AUDIT_UNAVAILABLE', message: /redis: / })
  await server.start()
  await until(() => log.unavailable() === undefined, 'it recovers')
  await log.write(LOGIN)
  await until(() => log.status().committed === log.status().head.seq, 'in step')
  assert.deepEqual(await gather(redis), await gather(file))
  assert.ok((await verifyChain(redis.query({}), { after: GENESIS })).ok)
})

test('log survives a Redis that is killed again and again while events are written', { skip }, async (t) => {
  const server = await redisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
  const [file, redis] = [new AuditFile(await tempDir(t)), openStore(t, server.url)]
  const log = await AuditLog.open({ stores: [file, redis], onFailure: 'refuse', logger: silentLogger, patienceMs: 8000 })
  t.after(() => log.close())
  const acknowledged: number[] = []
  let writing = true
  const writer = (async () => {
    while (writing) acknowledged.push((await log.write(LOGIN)).seq)
  })()
  for (let round = 0; round < 4; round++) {
    const reached = acknowledged.length + 20
    await until(() => acknowledged.length >= reached, 'events flow')
    await server.stop('SIGKILL')
    await server.start()
  }
  const reached = acknowledged.length + 20
  await until(() => acknowledged.length >= reached, 'events flow')
  writing = false
  await writer
  await until(() => log.status().committed === log.status().head.seq, 'in step')
  const events = await gather(redis)
  assert.deepEqual(events, await gather(file))
  assert.ok((await verifyChain(events, { after: GENESIS })).ok)
  const held = new Set(events.map((event) => event.seq))
  assert.ok(acknowledged.every((seq) => held.has(seq)))
})

test('append that a replica must hold rests once one does, and fails when there is none', { skip }, async (t) => {
  const port = await freePort()
  const server = await redisServer(t, '--port', String(port), '--bind', '127.0.0.1', '--repl-diskless-sync-delay', '0')
  const store = openStore(t, server.url, { replicas: { count: 1, timeoutMs: 100 } })
  const events = someEvents(2)
  await assert.rejects(store.append(events.slice(0, 1)), { code: 'AUDIT_UNAVAILABLE', message: /0 of 1 replicas hold it/ })
  await assert.rejects(store.last(), { message: /0 of 1 replicas hold it/ }, 'asking must not make it count')
  const replica = await redisServer(t, '--replicaof', '127.0.0.1', String(port))
  // a replica of a busy machine may take longer than the store above would wait
  const patient = openStore(t, server.url, { replicas: { count: 1, timeoutMs: 1500 } })
  await answers(patient)
  await patient.append(events.slice(1))
  assert.equal(((await replica.command('XRANGE', 'dockin:audit', '-', '+')) as unknown[]).length, 2)
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { type PodCacheEvent, type PodCacheOptions, PodCacheRedis } from '../../src/store/pod-cache-redis.js'
import { createKubeInventory } from '../../src/target/kube-inventory.js'
import { PodCache } from '../../src/target/pod-cache.js'
import { parsePod } from '../../src/target/pod-json.js'
import { kubeconfigOf, needs } from '../support/need.js'
import { type RedisServer, redisServer } from '../support/redis-server.js'
import { run, until } from '../support/world.js'
import { inventoryOf, pod } from '../target/pods.js'

const skip = needs.program('redis-server')

function storeOf(t: TestContext, redis: RedisServer, options: Partial<PodCacheOptions> = {}): PodCacheRedis {
  const store = new PodCacheRedis({ url: redis.url, cluster: 'a', writer: 'gw-1', ...options }, silentLogger)
  t.after(() => store.close())
  return store
}
const row = (name: string, uid = `u-${name}`, json = '{}') => ({ namespace: 'shop', name, uid, json })
const added = (name: string, uid?: string) => ({ ...row(name, uid), kind: 'added' as const, atMs: Date.parse('2026-11-23T10:00:00.000Z') })
const sorted = (rows: readonly { uid: string }[]) => rows.map(({ uid }) => uid).sort()

async function take(events: AsyncGenerator<PodCacheEvent>, count: number): Promise<PodCacheEvent[]> {
  const got: PodCacheEvent[] = []
  while (got.length < count) {
    const { value, done } = await events.next()
    if (done) break
    got.push(value)
  }
  return got
}

test('a pod rests under cluster, namespace, name and uid, with the times at which it came, changed and went', { skip }, async (t) => {
  const redis = await redisServer(t)
  const store = storeOf(t, redis)
  assert.equal(await store.lead(), 'taken')
  const at = (seconds: number) => Date.parse(`2026-11-23T10:00:0${seconds}.000Z`)
  await store.write([{ ...row('web-0'), kind: 'added', atMs: at(1) }])
  await store.write([{ ...row('web-0'), kind: 'changed', atMs: at(2) }])
  assert.deepEqual(await store.times(row('web-0')), { added: '2026-11-23T10:00:01.000Z', updated: '2026-11-23T10:00:02.000Z' })
  await store.write([{ ...row('web-0'), kind: 'gone', atMs: at(3) }])
  assert.equal((await store.times(row('web-0')))?.deleted, '2026-11-23T10:00:03.000Z')
  assert.deepEqual(await store.load(), [])
  const keys = (await redis.command('KEYS', '*')) as string[]
  assert.ok(keys.includes('dockin:pods:{a}:pod:shop:web-0:u-web-0'), keys.join(' '))
  for (const key of keys) assert.ok(Number(await redis.command('PTTL', key)) > 0, `${key} would stay for ever`)
})
test('what nobody refreshes is forgotten, what is refreshed stays', { skip }, async (t) => {
  const redis = await redisServer(t)
  const store = storeOf(t, redis, { expireMs: 1500 })
  await store.lead()
  await store.write([added('web-0')])
  await redis.command('PEXPIRE', 'dockin:pods:{a}:pod:shop:web-0:u-web-0', '200')
  await store.refresh()
  assert.ok(Number(await redis.command('PTTL', 'dockin:pods:{a}:pod:shop:web-0:u-web-0')) > 1000)
  await until('the pod to be forgotten', async () => (await store.load()).length === 0 && (await store.times(row('web-0'))) === undefined)
})
test('one gateway writes at a time; one that has lost its lease writes nothing', { skip }, async (t) => {
  const redis = await redisServer(t)
  const first = storeOf(t, redis, { leaseMs: 300 })
  const second = storeOf(t, redis, { writer: 'gw-2', leaseMs: 300 })
  assert.deepEqual([await first.lead(), await second.lead(), await first.lead()], ['taken', false, 'kept'])
  assert.equal(await second.write([added('web-9')]), false)
  await until('the lease to run out', () => second.lead())
  assert.equal(await first.write([added('web-0')]), false)
  assert.deepEqual(await second.load(), [])
  await first.resign()
  assert.equal(await second.lead(), 'kept', 'who does not hold the lease cannot give it away')
  await second.resign()
  assert.equal(await first.lead(), 'taken')
})
test('a thousand pods are written and read back whole', { skip }, async (t) => {
  const store = storeOf(t, await redisServer(t))
  await store.lead()
  const many = Array.from({ length: 1200 }, (_, i) => added(`web-${i}`))
  assert.equal(await store.write(many), true)
  assert.deepEqual(sorted(await store.load()), sorted(many))
})
test('a follower hears what comes, goes on where it stopped, and ends when it is told', { skip }, async (t) => {
  const redis = await redisServer(t)
  const store = storeOf(t, redis)
  await store.lead()
  await store.write([added('web-0')])
  const stop = new AbortController()
  t.after(() => stop.abort())
  const [first] = await take(store.follow('0', stop.signal), 1)
  assert.deepEqual([first?.kind, first?.name, first?.namespace], ['added', 'web-0', 'shop'])
  const later = store.follow(first?.id ?? '', stop.signal)
  const next = take(later, 2)
  await store.write([{ ...added('web-0'), kind: 'changed' }])
  await store.write([{ ...added('web-0'), kind: 'gone' }])
  assert.deepEqual(
    (await next).map(({ kind }) => kind),
    ['changed', 'gone'],
  )
  const waiting = later.next()
  stop.abort()
  assert.equal((await waiting).done, true)
})
test('the stream does not grow without bound', { skip }, async (t) => {
  const redis = await redisServer(t)
  const store = storeOf(t, redis, { maxEvents: 100 })
  await store.lead()
  for (let i = 0; i < 5; i++) await store.write(Array.from({ length: 200 }, (_, n) => added(`web-${n}`)))
  assert.ok(Number(await redis.command('XLEN', 'dockin:pods:{a}:events')) <= 300)
})
test('a Redis that is away fails in bounded time and is used again when it is back', { skip }, async (t) => {
  const redis = await redisServer(t)
  const store = storeOf(t, redis)
  await store.lead()
  await redis.stop()
  await assert.rejects(store.load(), /Cannot load the pod cache of a: /)
  await redis.start()
  await until('Redis to be back', () => store.lead().catch(() => false))
})

test('the cache follows its inventory: news are told once, a list that says the same says nothing', { skip }, async (t) => {
  const redis = await redisServer(t)
  const store = storeOf(t, redis, { leaseMs: 600 })
  const { index, inventory } = inventoryOf('a', [])
  index.set(pod('a', 'shop/web-0'))
  const cache = new PodCache({ inventory, store, log: silentLogger })
  t.after(() => cache.close())
  const stop = new AbortController()
  t.after(() => stop.abort())
  const events = store.follow('0', stop.signal)
  cache.start()
  assert.deepEqual(
    (await take(events, 1)).map(({ kind, name }) => `${kind} ${name}`),
    ['added web-0'],
  )
  index.set(pod('a', 'shop/web-0')) // as a new list brings it
  index.set(pod('a', 'shop/web-1'))
  index.set(pod('a', 'shop/web-1', { ready: false }))
  index.deleteUid(pod('a', 'shop/web-0').uid)
  const next = await take(events, 2)
  assert.deepEqual(next.map(({ kind, name }) => `${kind} ${name}`).sort(), ['added web-1', 'gone web-0'])
  const [left] = await store.load()
  assert.equal(parsePod(left?.json ?? '', 'a')?.ready, false)
})
test('another gateway takes over and brings the cache up to date; the first gives up quietly', { skip }, async (t) => {
  const redis = await redisServer(t)
  const [one, two] = [inventoryOf('a', []), inventoryOf('a', [])]
  const first = new PodCache({ inventory: one.inventory, store: storeOf(t, redis, { leaseMs: 300 }), log: silentLogger })
  one.index.set(pod('a', 'shop/web-0'))
  one.index.set(pod('a', 'shop/web-1'))
  first.start()
  const reader = storeOf(t, redis)
  await until('two pods', async () => (await reader.load()).length === 2)
  // meanwhile web-1 goes and web-2 comes
  two.index.set(pod('a', 'shop/web-0'))
  two.index.set(pod('a', 'shop/web-2'))
  const second = new PodCache({ inventory: two.inventory, store: storeOf(t, redis, { writer: 'gw-2', leaseMs: 300 }), log: silentLogger })
  second.start()
  t.after(() => second.close())
  await first.close()
  await until('the second to lead', () => second.isLeading)
  await until(
    'web-2',
    async () =>
      (await reader.load())
        .map(({ name }) => name)
        .sort()
        .join() === 'web-0,web-2',
  )
})
test('what was missed while Redis was away, or was lost there, is written when it is back', { skip }, async (t) => {
  const redis = await redisServer(t)
  const { index, inventory } = inventoryOf('a', [])
  index.set(pod('a', 'shop/web-0'))
  const store = storeOf(t, redis, { leaseMs: 300 })
  const cache = new PodCache({ inventory, store, log: silentLogger })
  t.after(() => cache.close())
  cache.start()
  const reader = storeOf(t, redis)
  const names = async () =>
    (await reader.load().catch(() => []))
      .map(({ name }) => name)
      .sort()
      .join()
  await until('web-0', async () => (await names()) === 'web-0')
  await redis.command('FLUSHALL')
  await until('web-0 again', async () => (await names()) === 'web-0')
  await redis.stop() // without persistence: it forgets all
  index.set(pod('a', 'shop/web-1'))
  await redis.start()
  await until('both pods', async () => (await names()) === 'web-0,web-1')
})
test('an inventory that has not been read is warm at once, and its first reading corrects it', { skip: skip || needs.cluster('a') }, async (t) => {
  const redis = await redisServer(t)
  const writer = createKubeInventory({ cluster: 'a', kubeconfig: kubeconfigOf('a'), log: silentLogger })
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await writer.close()
  })
  writer.start(stop.signal)
  await writer.ready(AbortSignal.timeout(10_000))
  const cache = new PodCache({ inventory: writer, store: storeOf(t, redis, { leaseMs: 600 }), log: silentLogger })
  t.after(() => cache.close())
  cache.start()
  const reader = storeOf(t, redis)
  await until('the pods of the cluster', async () => (await reader.load()).some(({ name }) => name === 'web-0'))
  const ghost = { namespace: 'shop', name: 'ghost-0', uid: 'u-ghost', json: JSON.stringify(pod('a', 'shop/ghost-0', { uid: 'u-ghost' })) }
  await cache.close()
  const other = storeOf(t, redis, { writer: 'gw-2' })
  await other.lead()
  await other.write([{ ...ghost, kind: 'added', atMs: Date.now() }])

  const cold = createKubeInventory({ cluster: 'a', kubeconfig: kubeconfigOf('a'), log: silentLogger })
  t.after(() => cold.close())
  const warmed = await new PodCache({ inventory: cold, store: other, log: silentLogger }).warm()
  assert.ok(warmed >= 4)
  assert.equal(cold.status().synced, false)
  assert.deepEqual(cold.find.byNamespacedName('shop', 'web-0'), writer.find.byNamespacedName('shop', 'web-0'))
  assert.ok(cold.find.byUid('u-ghost'))
  cold.start(stop.signal)
  await cold.ready(AbortSignal.timeout(10_000))
  assert.equal(cold.find.byUid('u-ghost'), undefined)
})
test("a pod of the real cluster that comes and goes is told with the API server's uid", { skip: skip || needs.cluster('a') }, async (t) => {
  const redis = await redisServer(t)
  const inventory = createKubeInventory({ cluster: 'a', kubeconfig: kubeconfigOf('a'), log: silentLogger })
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await inventory.close()
  })
  inventory.start(stop.signal)
  await inventory.ready(AbortSignal.timeout(10_000))
  const store = storeOf(t, redis, { leaseMs: 600 })
  const cache = new PodCache({ inventory, store, log: silentLogger })
  t.after(() => cache.close())
  cache.start()
  await until('the lease', () => cache.isLeading)
  const name = `cache-test-${process.pid}`
  const kubectl = (...args: string[]) => run('kubectl', ['--kubeconfig', kubeconfigOf('a'), '-n', 'default', ...args])
  const spec = { spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, nodeName: 'node-a' } }
  t.after(() => kubectl('delete', 'pod', name, '--ignore-not-found', '--now', '--wait=false'))
  const events = store.follow('$', stop.signal)
  const came = (async () => {
    for await (const event of events) if (event.name === name) return event
    return undefined
  })()
  const made = await kubectl(
    'run',
    name,
    '--image=busybox:local',
    '--image-pull-policy=Never',
    '--restart=Never',
    `--overrides=${JSON.stringify(spec)}`,
    '--',
    'sleep',
    '600',
  )
  assert.equal(made.code, 0, made.stderr)
  const event = await came
  const uid = (await kubectl('get', 'pod', name, '-o', 'jsonpath={.metadata.uid}')).stdout.toString()
  assert.deepEqual([event?.kind, event?.uid], ['added', uid])
  await kubectl('delete', 'pod', name, '--now', '--wait=true')
  await until('its end', async () => (await store.times({ namespace: 'default', name, uid }))?.deleted !== undefined)
})

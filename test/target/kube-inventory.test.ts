import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import type { Inventory, PodChange } from '../../src/target/inventory.js'
import { createKubeInventory, type KubeInventoryOptions } from '../../src/target/kube-inventory.js'
import { apiPod, event, FakeApi, failure, type Handler, list } from './fake-api.js'

interface Setup {
  readonly onList?: Handler
  readonly onWatch?: Handler
  readonly tuning?: KubeInventoryOptions['tuning']
  readonly options?: Partial<KubeInventoryOptions>
}
interface Running {
  readonly api: FakeApi
  readonly inventory: Inventory
  readonly waitsMs: number[]
  readonly port: number
}

/** An inventory that waits for nothing after a failure, but notes how long it would have. */
async function start(t: TestContext, setup: Setup): Promise<Running> {
  const api = new FakeApi()
  if (setup.onList) api.onList = setup.onList
  if (setup.onWatch) api.onWatch = setup.onWatch
  const port = await api.listen()
  const waitsMs: number[] = []
  const delay = async (ms: number, signal: AbortSignal) => {
    waitsMs.push(ms)
    await new Promise((resolve) => setImmediate(resolve))
    signal.throwIfAborted()
  }
  const inventory = createKubeInventory({
    cluster: 'f',
    kubeconfig: api.kubeconfig,
    log: silentLogger,
    tuning: { delay, random: () => 1, ...setup.tuning },
    ...setup.options,
  })
  t.after(async () => {
    await inventory.close()
    await api.close()
  })
  inventory.start(new AbortController().signal)
  return { api, inventory, waitsMs, port }
}

/** The change that brings the pod called `name`, or takes it away. */
function changeOf(inventory: Inventory, kind: PodChange['kind'], name: string): Promise<PodChange> {
  return new Promise((resolve) => {
    const stop = inventory.onChange((change) => {
      if (change.kind !== kind || change.pod.name !== name) return
      stop()
      resolve(change)
    })
  })
}
const names = (inventory: Inventory) => inventory.find.sorted().map((pod) => pod.name)
const ready = (inventory: Inventory) => inventory.ready(AbortSignal.timeout(10_000))

test('inventory reads page by page and watches from the version of the list', async (t) => {
  const { api, inventory } = await start(t, {
    tuning: { pageSize: 2 },
    onList: ({ query, response }) => {
      const page = Number(query.get('continue') ?? 0)
      const more = page < 2 ? { continue: String(page + 1) } : {}
      list(response, [apiPod(`x/p${page}a`), apiPod(`x/p${page}b`)], { resourceVersion: '77', ...more })
    },
  })
  await ready(inventory)
  await api.requests(4)
  assert.deepEqual(names(inventory), ['p0a', 'p0b', 'p1a', 'p1b', 'p2a', 'p2b'])
  assert.deepEqual(
    api.lists.map(({ path, query }) => [path, query.get('limit'), query.get('continue')]),
    [
      ['/prefix/api/v1/pods', '2', null],
      ['/prefix/api/v1/pods', '2', '1'],
      ['/prefix/api/v1/pods', '2', '2'],
    ],
  )
  const watch = api.watches[0]
  assert.equal(watch?.query.get('resourceVersion'), '77')
  assert.equal(watch?.query.get('allowWatchBookmarks'), 'true')
  assert.equal(watch?.request.headers.authorization, 'Bearer not-a-secret')
  const { synced, staleSinceMs, pods } = inventory.status()
  assert.deepEqual({ synced, staleSinceMs, pods }, { synced: true, staleSinceMs: undefined, pods: 6 })
  assert.equal(api.connections, 1, 'pages and watch share one kept connection')
})

test('inventory follows added, changed and deleted pods, and a uid that changes under one name', async (t) => {
  const { api, inventory } = await start(t, { onList: ({ response }) => list(response, [apiPod('x/one'), apiPod('x/two')]) })
  await ready(inventory)
  await api.requests(2)
  const { response } = api.watches[0] ?? assert.fail()
  const gone: string[] = []
  inventory.onGone('uid-x/one', () => gone.push('one'))
  inventory.onGone('uid-x/two', () => gone.push('two'))
  const added = changeOf(inventory, 'added', 'three')
  event(response, 'ADDED', apiPod('x/three'), '101')
  await added
  const changed = changeOf(inventory, 'changed', 'three')
  event(response, 'MODIFIED', apiPod('x/three', undefined, { status: { podIP: '10.0.0.9' } }), '102')
  assert.equal((await changed).pod.ip, '10.0.0.9')
  const deleted = changeOf(inventory, 'gone', 'one')
  event(response, 'DELETED', apiPod('x/one'), '103')
  await deleted
  const replaced = changeOf(inventory, 'added', 'two')
  event(response, 'ADDED', apiPod('x/two', 'another'), '104')
  await replaced
  assert.deepEqual(gone, ['one', 'two'])
  assert.deepEqual(names(inventory), ['three', 'two'])
  const late = new Promise<void>((resolve) => inventory.onGone('uid-x/one', resolve))
  await late
  // A late event about the pod that was replaced takes nothing from the one that replaced it.
  const marker = changeOf(inventory, 'added', 'marker')
  event(response, 'DELETED', apiPod('x/two'), '105')
  event(response, 'ADDED', apiPod('x/marker'), '106')
  await marker
  assert.ok(inventory.find.byNamespacedName('x', 'two'))
})

test('inventory goes on from the last bookmark after the server ends the watch', async (t) => {
  const { api, inventory } = await start(t, {
    onWatch: ({ response }) => {
      if (api.watches.length > 1) return
      event(response, 'BOOKMARK', {}, '500')
      response.end()
    },
  })
  await api.requests(3)
  assert.equal(api.lists.length, 1)
  assert.equal(api.watches[1]?.query.get('resourceVersion'), '500')
  assert.equal(inventory.status().staleSinceMs, undefined)
})

for (const [how, expire] of [
  [
    'an ERROR event',
    (asked: Parameters<Handler>[0]) =>
      asked.response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })}\n`),
  ],
  [
    'reason Expired',
    (asked: Parameters<Handler>[0]) => asked.response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', reason: 'Expired' } })}\n`),
  ],
] as const) {
  test(`inventory reads everything again after 410 as ${how}, and sees what went meanwhile`, async (t) => {
    const gone: string[] = []
    const { api, inventory } = await start(t, {
      onList: ({ response }) =>
        api.lists.length === 1
          ? list(response, [apiPod('x/old'), apiPod('x/kept')])
          : list(response, [apiPod('x/kept'), apiPod('x/new')], { resourceVersion: '900' }),
      onWatch: (asked) => {
        if (api.watches.length > 1) return
        inventory.onGone('uid-x/old', () => gone.push('old'))
        expire(asked)
      },
    })
    await api.requests(4)
    assert.equal(api.watches[1]?.query.get('resourceVersion'), '900')
    assert.deepEqual(names(inventory), ['kept', 'new'])
    assert.deepEqual(gone, ['old'])
  })
}

test('inventory reads again when the continue token has expired, with larger pages', async (t) => {
  const { api, inventory } = await start(t, {
    tuning: { pageSize: 10 },
    onList: ({ query, response }) => {
      if (api.lists.length === 2) failure(response, 410, 'The provided continue parameter is too old')
      else if (api.lists.length === 1) list(response, [apiPod('x/one'), apiPod('x/dying')], { resourceVersion: '1', continue: 'tok' })
      else list(response, query.has('continue') ? [] : [apiPod('x/one')], { resourceVersion: '2' })
    },
  })
  await ready(inventory)
  assert.deepEqual(names(inventory), ['one'])
  assert.deepEqual(
    api.lists.map(({ query }) => query.get('limit')),
    ['10', '10', '40'],
  )
})

const BROKEN_WATCHES: readonly (readonly [string, (asked: Parameters<Handler>[0]) => void])[] = [
  ['a TCP reset', ({ response }) => response.socket?.resetAndDestroy()],
  ['a cut within a line', ({ response }) => response.end('{"type":"ADDED","object":{"metadata":{"na')],
  ['an aborted chunk', ({ response }) => response.write('{"type":"AD', () => response.destroy())],
  ['garbage', ({ response }) => response.end('<html>proxy error</html>\n')],
  ['an unknown event', ({ response }) => response.end('{"type":"WHAT","object":{}}\n')],
  ['an event without a pod', ({ response }) => response.end('{"type":"ADDED","object":{"metadata":{}}}\n')],
  ['an ERROR event of another kind', ({ response }) => response.end('{"type":"ERROR","object":{"code":500,"message":"etcd"}}\n')],
  ['a line without end', ({ response }) => response.write('x'.repeat(5000))],
]
for (const [what, harm] of BROKEN_WATCHES) {
  test(`inventory survives ${what}: waits, and goes on from the version it had`, async (t) => {
    const { api, inventory, waitsMs } = await start(t, {
      tuning: { maxLineBytes: 4096 },
      onList: ({ response }) => list(response, [apiPod('x/one')]),
      onWatch: (asked) => {
        if (api.watches.length > 1) return
        event(asked.response, 'ADDED', apiPod('x/two'), '123')
        void changeOf(inventory, 'added', 'two').then(() => harm(asked))
      },
    })
    await api.requests(3)
    assert.equal(api.lists.length, 1)
    assert.equal(api.watches[1]?.query.get('resourceVersion'), '123')
    assert.deepEqual(waitsMs, [500])
    assert.deepEqual(names(inventory), ['one', 'two'])
  })
}

test('inventory reads everything again when three watches in a row say what cannot be used', async (t) => {
  const { api } = await start(t, { onWatch: ({ response }) => (api.watches.length > 3 ? undefined : void response.end('garbage\n')) })
  await api.requests(6)
  assert.deepEqual(
    api.asked.map(({ query }) => (query.has('watch') ? 'watch' : 'list')),
    ['list', 'watch', 'watch', 'watch', 'list', 'watch'],
  )
})

test('inventory waits longer after each failure up to its limit, is known to be stale, and recovers', async (t) => {
  const { api, inventory, waitsMs, port } = await start(t, {
    tuning: { backoff: { firstMs: 100, maxMs: 1000 }, random: () => 0, delay: (ms) => retry(ms) },
    onList: ({ response }) => list(response, [apiPod('x/one')]),
  })
  let failures = 0
  let comeBack: () => void = () => {}
  const back = new Promise<void>((resolve) => {
    comeBack = resolve
  })
  let failedOften: () => void = () => {}
  const often = new Promise<void>((resolve) => {
    failedOften = resolve
  })
  async function retry(ms: number): Promise<void> {
    waitsMs.push(ms)
    if (++failures < 6) return
    failedOften()
    await back
  }
  await ready(inventory)
  await api.requests(2)
  const before = inventory.status().lastSyncMs ?? assert.fail()
  await api.vanish()
  await often
  assert.deepEqual(waitsMs, [50, 100, 200, 400, 500, 500])
  const { staleSinceMs, synced, lastError, pods } = inventory.status()
  assert.ok(staleSinceMs !== undefined && staleSinceMs >= before && staleSinceMs <= Date.now())
  assert.deepEqual({ synced, pods }, { synced: true, pods: 1 })
  assert.match(lastError ?? '', /ECONNRE/)
  await assert.rejects(ready(inventory), { code: 'TARGET_UNREACHABLE' })
  const next = new FakeApi()
  t.after(() => next.close())
  await next.listen(port)
  comeBack()
  await next.requests(1)
  const added = changeOf(inventory, 'added', 'two')
  event(next.watches[0]?.response ?? assert.fail('the watch was to go on without a list'), 'ADDED', apiPod('x/two'), '101')
  await added
  assert.equal(inventory.status().staleSinceMs, undefined)
  await ready(inventory)
})

test('inventory begins a silent watch anew, also when single bytes drip from it', async (t) => {
  let drip: NodeJS.Timeout | undefined
  t.after(() => clearInterval(drip))
  const { api, inventory } = await start(t, {
    tuning: { idleTimeoutMs: 100 },
    onList: ({ response }) => list(response, [apiPod('x/one')]),
    onWatch: ({ response }) => {
      clearInterval(drip)
      drip = setInterval(() => response.write(' '), 10)
    },
  })
  await api.requests(4)
  assert.equal(api.lists.length, 1)
  assert.equal(inventory.status().staleSinceMs, undefined)
})

test('inventory gives up a page that drips, and one that never begins', async (t) => {
  let drip: NodeJS.Timeout | undefined
  t.after(() => clearInterval(drip))
  const { api, inventory } = await start(t, {
    tuning: { pageTimeoutMs: 100 },
    onList: ({ response }) => {
      clearInterval(drip)
      if (api.lists.length === 1) {
        response.writeHead(200)
        drip = setInterval(() => response.write(' '), 10)
      } else if (api.lists.length > 2) list(response, [apiPod('x/one')])
    },
  })
  await ready(inventory)
  assert.equal(api.lists.length, 3)
})

test('inventory refuses a list that is no list, and says why it is not synced', async (t) => {
  let asked = 0
  const answers: Handler[] = [
    ({ response }) => response.end('not json'),
    ({ response }) => response.end('[]'),
    ({ response }) => response.end('{"metadata":{},"items":[]}'),
    ({ response }) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip'),
    ({ response }) => response.writeHead(302, { location: '/login' }).end(),
    ({ response }) => failure(response, 403, 'pods is forbidden: User "x" cannot list'),
  ]
  const seen: (string | undefined)[] = []
  const { inventory } = await start(t, {
    onList: (one) => {
      seen.push(inventory.status().lastError)
      const answer = answers[asked++]
      if (answer) answer(one)
      else list(one.response, [apiPod('x/one')])
    },
  })
  await ready(inventory)
  assert.equal(seen[0], undefined)
  assert.match(seen[1] ?? '', /not JSON/)
  assert.match(seen[2] ?? '', /not an object/)
  assert.match(seen[3] ?? '', /no PodList/)
  assert.match(seen[4] ?? '', /header/)
  assert.match(seen[5] ?? '', /HTTP 302/)
  assert.match(seen[6] ?? '', /HTTP 403: pods is forbidden/)
})

test('inventory follows only its namespaces, each with a list of its own', async (t) => {
  const { api, inventory } = await start(t, {
    options: { namespaces: ['x', 'y'] },
    onList: ({ path, response }) => list(response, [apiPod(`${path.split('/')[5]}/one`)]),
  })
  await ready(inventory)
  await api.requests(4)
  assert.deepEqual(api.lists.map(({ path }) => path).sort(), ['/prefix/api/v1/namespaces/x/pods', '/prefix/api/v1/namespaces/y/pods'])
  assert.deepEqual(
    inventory.find.sorted().map((pod) => pod.namespace),
    ['x', 'y'],
  )
})

test('inventory refuses more pods than its limit', async (t) => {
  const { api, inventory } = await start(t, {
    tuning: { maxPods: 2 },
    onList: ({ response }) =>
      list(
        response,
        ['x/a', 'x/b', 'x/c'].map((path) => apiPod(path)),
      ),
  })
  await api.requests(2)
  assert.equal(inventory.status().synced, false)
  assert.match(inventory.status().lastError ?? '', /more than 2 pods/)
})

test('inventory whose kubeconfig is missing says so, and reads it once it is there', async (t) => {
  const api = new FakeApi()
  t.after(() => api.close())
  let failed: () => void = () => {}
  const failing = new Promise<void>((resolve) => {
    failed = resolve
  })
  let written: () => void = () => {}
  const there = new Promise<void>((resolve) => {
    written = resolve
  })
  const delay = () => {
    failed()
    return there
  }
  const inventory = createKubeInventory({ cluster: 'f', kubeconfig: api.kubeconfig, log: silentLogger, tuning: { delay } })
  t.after(() => inventory.close())
  inventory.start(new AbortController().signal)
  await failing
  assert.match(inventory.status().lastError ?? '', /ENOENT.*kubeconfig/)
  await assert.rejects(inventory.ready(AbortSignal.abort()), /ENOENT/)
  await api.listen()
  written()
  await ready(inventory)
})

test('inventory closes while it watches, while it waits, and twice', async (t) => {
  const { api, inventory } = await start(t, {})
  await api.requests(2)
  const closed = once(api.watches[0]?.response ?? assert.fail(), 'close')
  await inventory.close()
  await inventory.close()
  await closed
  const waiting = await start(t, {
    tuning: { delay: (_, signal) => once(signal, 'abort').then(() => undefined) },
    onList: ({ response }) => failure(response, 500, 'no'),
  })
  await waiting.api.requests(1)
  await waiting.inventory.close()
  await assert.rejects(waiting.inventory.ready(new AbortController().signal), { code: 'TARGET_UNREACHABLE' })
})

test('inventory stops with the signal it was started with', async (t) => {
  const api = new FakeApi()
  t.after(() => api.close())
  await api.listen()
  const inventory = createKubeInventory({ cluster: 'f', kubeconfig: api.kubeconfig, log: silentLogger })
  const stop = new AbortController()
  inventory.start(stop.signal)
  await api.requests(2)
  const closed = once(api.watches[0]?.response ?? assert.fail(), 'close')
  stop.abort(new Error('stop'))
  await closed
  await inventory.close()
})

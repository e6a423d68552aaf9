import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { rmRoutes } from '../../src/http/rm.js'
import { startHttpServer } from '../../src/http/server.js'
import { Cmdb } from '../../src/target/cmdb.js'
import { RmClient } from '../../src/target/rm-client.js'
import { EmbeddedResourceManager } from '../../src/target/rm-embedded.js'
import { StaticInventory } from '../../src/target/static-inventory.js'
import { identifyByName } from './support/exec-gateway.js'

const LABELS: Record<string, Record<string, string>> = {
  'web-0': { subsystem: 'gns-query', 'subsystem-id': '5036', dcn: '1C1' },
  'web-1': { subsystem: 'gns-query', 'subsystem-id': '5036', dcn: '1C2' },
}

/** alice sees both pods, everybody else web-0 only. */
async function served(t: TestContext): Promise<string> {
  const inventories = [new StaticInventory({ cluster: 'a', pods: ['web-0', 'web-1'], labels: (pod) => LABELS[pod] ?? {} })]
  const manager = new EmbeddedResourceManager(inventories)
  const cmdb = new Cmdb({ manager, inventories, maySee: ({ user }, { pod }) => user === 'alice' || pod === 'web-0' })
  const routes = [rmRoutes({ identify: identifyByName, cmdb, manager, log: silentLogger })]
  const server = await startHttpServer({ listen: { host: '127.0.0.1', port: 0 }, routes, log: silentLogger })
  t.after(() => server.close())
  return `http://127.0.0.1:${server.address.port}`
}
async function ask(url: string, path: string, user = 'alice', init: RequestInit = {}) {
  const response = await fetch(url + path, { ...init, headers: { authorization: `Bearer ${user}`, 'content-type': 'application/json' } })
  return { status: response.status, body: (await response.json()) as { code: number | string; data: unknown; message: string; pods?: { target: string }[] } }
}

test("the original's methods answer its envelope, with what the asker may see", async (t) => {
  const url = await served(t)
  const list = await ask(url, '/rmController/getPodInfoBySubsystem?subsystem=gns-query')
  assert.deepEqual([list.status, list.body.code, list.body.message, (list.body.data as unknown[]).length], [200, 0, 'success', 2])
  const fewer = await ask(url, '/rmController/getPodInfoBySubsystem?subsystem=5036', 'bob')
  assert.deepEqual(
    (fewer.body.data as { podName: string }[]).map(({ podName }) => podName),
    ['web-0'],
  )
  const one = await ask(url, '/rmController/getPodInfoByPodName?podName=web-1')
  assert.equal((one.body.data as { dcn: string }).dcn, '1C2')
  const [hidden, absent] = await Promise.all([
    ask(url, '/rmController/getPodInfoByPodName?podName=web-1', 'bob'),
    ask(url, '/rmController/getPodInfoByPodName?podName=web-7', 'bob'),
  ])
  assert.deepEqual([hidden.status, hidden.body.code, hidden.body.data, hidden.body.message], [200, 1, null, absent.body.message])
  const named = await ask(url, '/rmController/getPodInfosByPodNameList', 'bob', { method: 'POST', body: '["web-0","web-1"]' })
  assert.equal((named.body.data as unknown[]).length, 1)
})
test('a request that is none, and one without login, answer a code and an HTTP status', async (t) => {
  const url = await served(t)
  for (const path of ['getPodInfoByPodName', 'getPodInfoBySubsystem', 'getPodInfoByPodIp?podIp=', 'getClusterId']) {
    const { status, body } = await ask(url, `/rmController/${path}`)
    assert.deepEqual([status, body.code, body.data], [400, 1, null])
  }
  const bad = await ask(url, '/rmController/getPodInfosByPodNameList', 'alice', { method: 'POST', body: '{"a":1}' })
  assert.equal(bad.status, 400)
  assert.equal((await ask(url, '/rmController/getPodInfoByPodName?podName=web-0', '')).status, 401)
  assert.equal((await ask(url, '/api/v1/cmdb?query=web-0', '')).status, 401)
})
test('cmdb filters by DCN and refuses keys that it does not know', async (t) => {
  const url = await served(t)
  const got = await ask(url, '/api/v1/cmdb?query=gns-query&dcn=1c2,9Z9')
  assert.deepEqual(
    got.body.pods?.map(({ target }) => target),
    ['web-1.default.a'],
  )
  assert.equal((await ask(url, '/api/v1/cmdb?query=gns-query&dnc=1C2')).status, 400)
  assert.deepEqual((await ask(url, '/api/v1/cmdb?query=nothing')).body.pods, [])
})
test('our client reads our own interface', async (t) => {
  const url = await served(t)
  const plain = new RmClient({ url: `${url}/rmController`, log: silentLogger })
  t.after(() => plain.close())
  // without a login it is away, and says why
  await assert.rejects(plain.byPodName('web-0', new AbortController().signal), /HTTP 401/)
  const own = new RmClient({ url: `${url}/rmController`, log: silentLogger, token: 'alice' })
  t.after(() => own.close())
  const pods = await own.bySubsystem('gns-query', '1C1', new AbortController().signal)
  assert.deepEqual(
    pods.map(({ podName, clusterId }) => [podName, clusterId]),
    [['web-0', 'a']],
  )
})

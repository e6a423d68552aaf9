import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { Identity } from '../../src/core/types.js'
import { Cmdb } from '../../src/target/cmdb.js'
import { RmClient, type RmClientOptions } from '../../src/target/rm-client.js'
import { EmbeddedResourceManager } from '../../src/target/rm-embedded.js'
import { StaticInventory } from '../../src/target/static-inventory.js'
import { rmPodsSchema } from '../../src/wire/api/resource-manager.js'

const never = new AbortController().signal
const ALICE: Identity = { user: 'alice', groups: [], roles: ['user'], method: 'token', from: { host: '192.0.2.1', port: 1 } }
const LABELS: Record<string, Record<string, string>> = {
  'web-0': { subsystem: 'gns-query', 'subsystem-id': '5036', dcn: '1C1' },
  'web-1': { subsystem: 'gns-query', 'subsystem-id': '5036', dcn: '1C2' },
  'db-0': { subsystem: 'gns-store', 'subsystem-id': '5040', dcn: '1C1' },
}
const inventory = () => new StaticInventory({ cluster: 'a', pods: Object.keys(LABELS), labels: (pod) => LABELS[pod] ?? {} })

async function server(t: TestContext, answer: RequestListener): Promise<string> {
  const http = createServer(answer)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => {
    http.closeAllConnections()
    http.close()
  })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/rmController`
}
async function client(t: TestContext, answer: RequestListener, options: Partial<RmClientOptions> = {}): Promise<RmClient> {
  const made = new RmClient({ url: await server(t, answer), log: silentLogger, ...options })
  t.after(() => made.close())
  return made
}
/** As the original's bean prints a pod, capitals and nulls included. */
const record = (fields: object) => ({
  podName: 'web-0',
  podSetId: null,
  subSystem: 'gns-query',
  subSystemId: '5036',
  dcn: '1C1',
  podIp: null,
  gateway: null,
  subnetMask: null,
  hostIp: '192.0.2.2',
  cpu: '2',
  mem: '4',
  disk: '10',
  type: 'k8s',
  port: 8080,
  jmxPort: null,
  tag: null,
  namespace: 'DEFAULT',
  status: 'ALLOCATED',
  clusterId: 'cluster-17',
  ...fields,
})

test('the embedded resource manager answers every question from labels', async () => {
  const rm = new EmbeddedResourceManager([inventory()])
  const names = (pods: readonly { podName: string }[]) => pods.map(({ podName }) => podName).sort()
  assert.deepEqual(names(await rm.bySubsystem('gns-query', undefined)), ['web-0', 'web-1'])
  assert.deepEqual(names(await rm.bySubsystem('GNS-Query', '1c2')), ['web-1'])
  assert.deepEqual(names(await rm.bySubsystem('5040', undefined)), ['db-0'])
  assert.deepEqual(names(await rm.bySubsystem('', '1C1')), ['db-0', 'web-0'])
  assert.deepEqual(names(await rm.byPodName('web-1')), ['web-1'])
  assert.deepEqual(names(await rm.byPodNames(['web-1', 'db-0', 'web-1', 'absent'])), ['db-0', 'web-1'])
  assert.deepEqual([await rm.byPodName('absent'), await rm.byPodIp(''), await rm.byHostIp(''), await rm.byPodSetId('')], [[], [], [], []])
  const [pod] = await rm.byPodName('web-0')
  assert.deepEqual([pod?.clusterId, pod?.namespace, pod?.status], ['a', 'default', 'ALLOCATED'])
  const renamed = new EmbeddedResourceManager([inventory()], { subsystem: 'dcn', subsystemId: 'x', dcn: 'y' })
  assert.deepEqual(names(await renamed.bySubsystem('1c2', undefined)), ['web-1'])
})
test("the client asks the original's methods with their parameters and reads one pod as well as a list", async (t) => {
  const asked: string[] = []
  const rm = await client(t, (request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      asked.push(`${request.method} ${request.url} ${body}`.trim())
      const isOne = /PodName\?|PodIp\?/.test(request.url ?? '')
      const data = request.url?.includes('getClusterId') ? { clusterId: 'cluster-17' } : isOne ? record({}) : [record({}), record({ podName: 'web-1' })]
      response.end(JSON.stringify({ code: 0, message: 'success', data, reqId: null }))
    })
  })
  assert.equal((await rm.byPodName('web-0', never))[0]?.namespace, 'DEFAULT')
  assert.equal((await rm.byPodIp('192.0.2.9', never)).length, 1)
  assert.equal((await rm.byHostIp('192.0.2.2', never)).length, 2)
  assert.equal((await rm.bySubsystem('gns query', '1C1', never)).length, 2)
  assert.equal((await rm.byPodSetId('ps-1', never)).length, 2)
  assert.equal((await rm.byPodNames(['web-0', 'web-1'], never)).length, 2)
  assert.equal(await rm.clusterIdOf('192.0.2.2', never), 'cluster-17')
  assert.deepEqual(asked, [
    'GET /rmController/getPodInfoByPodName?podName=web-0',
    'GET /rmController/getPodInfoByPodIp?podIp=192.0.2.9',
    'GET /rmController/getPodInfoByHostIp?hostIp=192.0.2.2',
    'GET /rmController/getPodInfoBySubsystem?subsystem=gns+query&dcn=1C1',
    'GET /rmController/getPodInfoByPodSetId?podSetId=ps-1',
    'POST /rmController/getPodInfosByPodNameList ["web-0","web-1"]',
    'GET /rmController/getClusterId?hostIp=192.0.2.2',
  ])
})
test('the same question is asked once while its answer counts, and a failure is asked again', async (t) => {
  let asked = 0
  let nowMs = 0
  let fails = false
  const rm = await client(
    t,
    (_request, response) => {
      asked += 1
      if (fails) response.writeHead(503)
      response.end(JSON.stringify({ code: 0, message: 'success', data: [record({})] }))
    },
    { cacheMs: 1000, now: () => nowMs },
  )
  await Promise.all([rm.byHostIp('h', never), rm.byHostIp('h', never), rm.byHostIp('h', never)])
  assert.equal(asked, 1)
  nowMs = 1001
  fails = true
  await assert.rejects(rm.byHostIp('h', never), /HTTP 503/)
  fails = false
  assert.equal((await rm.byHostIp('h', never)).length, 1)
  assert.equal(asked, 3)
})
test('a resource manager that is away, slow, or something else is told in one line', async (t) => {
  const gone = new RmClient({ url: 'http://127.0.0.1:1/rmController', log: silentLogger })
  const slow = await client(t, () => {}, { timeoutMs: 50 })
  const page = await client(t, (_request, response) => response.end('<html>\x1b[2J'))
  const huge = await client(t, (_request, response) => {
    const block = Buffer.alloc(1024 * 1024)
    const more = (): void => {
      while (!response.destroyed && response.write(block));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  const away = await client(t, (_request, response) => response.writeHead(302, { location: 'http://192.0.2.1/' }).end())
  const cases: [RmClient, string, RegExp][] = [
    [gone, 'TARGET_UNREACHABLE', /resource manager 127\.0\.0\.1:1 does not answer: .+/],
    [slow, 'TARGET_UNREACHABLE', /does not answer: no answer within 50 ms/],
    [page, 'PROTOCOL_ERROR', /cannot be understood: not JSON$/],
    [huge, 'TARGET_UNREACHABLE', /more than \d+ bytes/],
    [away, 'TARGET_UNREACHABLE', /does not answer/],
  ]
  for (const [rm, code, text] of cases) {
    await assert.rejects(rm.byPodName('web-0', never), (error: unknown) => {
      assert.ok(error instanceof OpsError)
      assert.equal(error.code, code)
      assert.match(error.userText, text)
      assert.doesNotMatch(error.userText, /\p{Cc}/u)
      return true
    })
  }
  const abort = new AbortController()
  const waiting = (await client(t, () => {})).byPodName('x', abort.signal)
  abort.abort(new OpsError('CLIENT_GONE', 'test'))
  await assert.rejects(waiting, /test/)
})
test('a code that is not 0 means none; any JSON is pods or a refusal', async (t) => {
  const rm = await client(t, (_request, response) => response.end('{"code":1,"message":"pod not exist","data":null}'))
  assert.deepEqual([await rm.byPodName('x', never), await rm.clusterIdOf('x', never)], [[], undefined])
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.array(fc.record({ podName: fc.jsonValue(), dcn: fc.jsonValue() }))), (value) => {
      const result = rmPodsSchema.safeParse(value)
      if (result.success) for (const pod of result.data) for (const field of Object.values(pod)) assert.equal(typeof field, 'string')
    }),
  )
})
test('cmdb tries address, subsystem, name and pod set in turn, and shows only what may be seen', async () => {
  const inventories = [inventory()]
  const manager = new EmbeddedResourceManager(inventories)
  const cmdb = new Cmdb({ manager, inventories, maySee: (_identity, { pod }) => pod !== 'web-1' })
  const ask = async (text: string, dcns: string[] = []) => (await cmdb.query(ALICE, text, dcns, never)).map(({ target }) => target)
  assert.deepEqual(await ask('gns-query'), ['web-0.default.a'])
  assert.deepEqual(await ask('5036', ['1c1', '9Z9']), ['web-0.default.a'])
  assert.deepEqual(await ask('gns-query', ['1C2']), [])
  assert.deepEqual(await ask('db-0'), ['db-0.default.a'])
  assert.deepEqual(await ask('192.0.2.77'), [])
})
test('a record of a foreign manager counts only where name, namespace and address are those of a pod here', async () => {
  const inventories = [inventory()]
  const cmdb = new Cmdb({ manager: new EmbeddedResourceManager(inventories), inventories, maySee: () => true })
  const found = (fields: object) => cmdb.visible(ALICE, rmPodsSchema.parse([record(fields)])).map(({ target }) => target)
  assert.deepEqual(found({}), ['web-0.default.a'])
  assert.deepEqual(found({ namespace: 'OTHER' }), [])
  assert.deepEqual(found({ podName: 'web-9' }), [])
  assert.deepEqual(found({ namespace: null }), ['web-0.default.a'])
})

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { fileRoutes } from '../../src/http/files.js'
import { until } from '../support/world.js'
import { execGateway } from './support/exec-gateway.js'

async function world(t: TestContext) {
  const gw = await execGateway(t, (parts) => [fileRoutes(parts)])
  const ask = (method: string, path: string, query: Record<string, string>, user = 'alice', body?: BodyInit) =>
    fetch(`${gw.url}/api/v1/files${path}?${new URLSearchParams({ target: 'web-0', ...query })}`, {
      method,
      headers: { authorization: `Bearer ${user}` },
      ...(body !== undefined && { body }),
    })
  return { gw, ask }
}

test('a file goes up and comes down whole, and both are told with their hash', async (t) => {
  const { gw, ask } = await world(t)
  const content = randomBytes(3_000_001)
  const put = await ask('PUT', '', { path: 'up.bin', mode: '0640' }, 'alice', content)
  const answer = (await put.json()) as { bytes: number }
  assert.deepEqual([put.status, answer.bytes], [201, content.length], JSON.stringify(answer))
  const got = await ask('GET', '', { path: 'up.bin' })
  assert.equal(got.headers.get('content-length'), String(content.length))
  assert.ok(content.equals(Buffer.from(await got.arrayBuffer())))
  const sha256 = createHash('sha256').update(content).digest('hex')
  const [up, down] = [await gw.event('file', ({ op }) => op === 'upload'), await gw.event('file', ({ op }) => op === 'download')]
  assert.deepEqual([up.sha256, up.bytes, up.door], [sha256, content.length, 'http'])
  assert.deepEqual([down.sha256, down.verdict], [sha256, 'allow'])
  const stat = (await (await ask('GET', '/stat', { path: 'up.bin' })).json()) as Record<string, unknown>
  assert.deepEqual([stat.kind, stat.mode, stat.size], ['file', '0640', content.length])
  const list = (await (await ask('GET', '/list', { path: '.' })).json()) as { items: { name: string }[]; truncated: boolean }
  assert.ok(list.items.some(({ name }) => name === 'up.bin') && !list.truncated)
  await until('the slots', () => gw.slots.running === 0)
})
test('an empty file goes up and comes down, and overwriting can be refused', async (t) => {
  const { ask } = await world(t)
  assert.equal((await ask('PUT', '', { path: 'empty' }, 'alice', '')).status, 201)
  assert.equal(await (await ask('GET', '', { path: 'empty' })).text(), '')
  const again = await ask('PUT', '', { path: 'empty', overwrite: 'false' }, 'alice', 'x')
  assert.equal(again.status, 400)
  assert.equal((await ask('PUT', '', { path: 'empty' }, 'alice', 'json')).status, 201)
  assert.equal(await (await ask('GET', '', { path: 'empty' })).text(), 'json')
})
test('what a rule refuses is refused here as over sftp, and told', async (t) => {
  const { gw, ask } = await world(t)
  await ask('PUT', '', { path: 'secret' }, 'alice', 'key')
  await ask('PUT', '', { path: 'large' }, 'alice', Buffer.alloc(2_000_000))
  const cases: [string, string, Record<string, string>, BodyInit | undefined][] = [
    ['PUT', '', { path: 'new' }, 'x'],
    ['GET', '', { path: 'secret' }, undefined],
    ['GET', '/stat', { path: 'secret' }, undefined],
    ['GET', '', { path: 'large' }, undefined],
  ]
  for (const [method, path, query, body] of cases) {
    const response = await ask(method, path, query, 'erin', body)
    const got = (await response.json()) as { code: string; message: string }
    assert.deepEqual([response.status, got.code], [403, 'FILE_REFUSED'], JSON.stringify([method, path, query, got]))
  }
  assert.ok(gw.events.filter((event) => event.type === 'file' && event.verdict === 'deny' && event.user === 'erin').length >= 3)
  assert.equal((await ask('GET', '', { path: 'up' }, 'dave')).status, 403)
})
test('a file that is none, a folder, no login and no path say so', async (t) => {
  const { gw, ask } = await world(t)
  assert.equal((await ask('GET', '', { path: 'absent' })).status, 404)
  assert.equal((await ask('GET', '', { path: '.' })).status, 400)
  assert.equal((await ask('GET', '/list', { path: 'absent' })).status, 404)
  assert.equal((await ask('GET', '', { path: '' })).status, 400)
  assert.equal((await ask('GET', '', { path: 'x' }, '')).status, 401)
  assert.equal((await ask('PUT', '', { path: 'x' }, '', 'y')).status, 401)
  assert.equal((await ask('GET', '', { path: 'x', target: 'nowhere' })).status, 404)
  await until('the slots', () => gw.slots.running === 0)
})
test('an upload that is broken off is told as a part', async (t) => {
  const { gw, ask } = await world(t)
  const stop = new AbortController()
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new Uint8Array(100_000)),
  })
  const asked = fetch(`${gw.url}/api/v1/files?target=web-0&path=half`, {
    method: 'PUT',
    headers: { authorization: 'Bearer alice' },
    body,
    duplex: 'half',
    signal: stop.signal,
  } as RequestInit)
  await gw.event('session.start')
  await until('the bytes', () => (gw.registry.list()[0]?.bytes().in ?? 0) > 0)
  stop.abort()
  await assert.rejects(asked)
  const told = await gw.event('file', ({ op }) => op === 'upload')
  assert.equal(told.partial, true)
  await until('the slots', () => gw.slots.running === 0)
  assert.equal((await ask('GET', '/stat', { path: 'half' })).status, 200)
})

test('a range is given where it can be; the whole otherwise, and behind the end an error', async (t) => {
  const { gw } = await world(t)
  const ask = (method: string, headers: Record<string, string>, body?: string) =>
    fetch(`${gw.url}/api/v1/files?${new URLSearchParams({ target: 'web-0', path: 'ranged' })}`, {
      method,
      headers: { authorization: 'Bearer alice', ...headers },
      ...(body !== undefined && { body }),
    })
  await ask('PUT', {}, '0123456789')
  const whole = await ask('GET', {})
  assert.deepEqual([whole.status, whole.headers.get('accept-ranges'), await whole.text()], [200, 'bytes', '0123456789'])
  const rest = await ask('GET', { range: 'bytes=7-' })
  assert.deepEqual([rest.status, rest.headers.get('content-range'), await rest.text()], [206, 'bytes 7-9/10', '789'])
  const middle = await ask('GET', { range: 'bytes=2-4', 'if-range': whole.headers.get('etag') ?? '' })
  assert.deepEqual([middle.status, await middle.text()], [206, '234'])
  for (const headers of [{ range: 'bytes=-3' }, { range: 'bytes=0-1,3-4' }, { range: 'bytes=2-4', 'if-range': '"other"' }]) {
    const answer = await ask('GET', headers)
    assert.deepEqual([answer.status, await answer.text()], [200, '0123456789'], JSON.stringify(headers))
  }
  assert.equal((await ask('GET', { range: 'bytes=10-' })).status, 400)
})

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { ApiError, createApiClient } from '../../../src/wire/api/client.js'
import { OPERATIONS } from '../../../src/wire/api/operations.js'

interface Sent {
  readonly url: string
  readonly init: RequestInit
}
function fakeFetch(answer: () => Response): { readonly sent: Sent[]; readonly fetch: typeof fetch } {
  const sent: Sent[] = []
  return {
    sent,
    fetch: async (url, init = {}) => {
      sent.push({ url: String(url), init })
      return answer()
    },
  }
}

test('the client puts parameters, query and body in their places', async () => {
  const { sent, fetch } = fakeFetch(() => Response.json({ items: [] }))
  const api = createApiClient({ baseUrl: 'http://gw:1', token: async () => 'T', fetch })
  const page = await api.listSessions({ query: { user: 'bob', limit: 2 } })
  assert.deepEqual(page.items, [])
  await api.endSession({ params: { id: 'a/b' }, body: { reason: 'enough' } })
  assert.equal(sent[0]?.url, 'http://gw:1/api/v1/sessions?user=bob&limit=2')
  assert.equal(new Headers(sent[0]?.init.headers).get('authorization'), 'Bearer T')
  assert.equal(sent[1]?.url, 'http://gw:1/api/v1/sessions/a%2Fb/end')
  assert.equal(sent[1]?.init.body, '{"reason":"enough"}')
  assert.equal(new Headers(sent[1]?.init.headers).get('x-dockin-csrf'), '1')
})

test('an answer that is no success becomes an ApiError with the code of the table', async () => {
  const { fetch } = fakeFetch(() => Response.json({ code: 'POLICY_REFUSED', message: 'refused', rule: 'r', trace: 't' }, { status: 403 }))
  const failure = await createApiClient({ baseUrl: '', fetch })
    .whoami()
    .catch((error: unknown) => error)
  assert.ok(failure instanceof ApiError)
  assert.deepEqual([failure.code, failure.status, failure.rule, failure.trace], ['POLICY_REFUSED', 403, 'r', 't'])
})

test('an answer of a proxy becomes an ApiError as well', async () => {
  const { fetch } = fakeFetch(() => new Response('<h1>Bad gateway</h1>', { status: 502 }))
  await assert.rejects(createApiClient({ baseUrl: '', fetch }).whoami(), { code: 'PROTOCOL_ERROR', status: 502 })
})

test('a stream is handed over, a socket is an address, and following asks for it', async () => {
  const { sent, fetch } = fakeFetch(() => new Response('{}\n'))
  const api = createApiClient({ baseUrl: 'https://gw', fetch })
  assert.equal(api.watchSession({ params: { id: 'x' } }), 'wss://gw/api/v1/sessions/x/live')
  assert.equal(await (await api.getRecording({ params: { id: 'x' } })).text(), '{}\n')
  await api.followAudit({ query: { follow: '1', user: 'bob' } })
  assert.equal(sent[1]?.url, 'https://gw/api/v1/audit?follow=1&user=bob')
})

test('what a browser loads of the API imports nothing of Node', () => {
  const folder = join(import.meta.dirname, '../../../src/wire/api')
  const wrong = readdirSync(folder).filter((name) => /from '(node:|ws'|fastify)/.test(readFileSync(join(folder, name), 'utf8')))
  assert.deepEqual(wrong, [])
})

test('no two operations share a method and a path, and each parameter of a path has a schema', () => {
  const seen = new Set<string>()
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    if ('variantOf' in operation) continue
    const key = `${operation.method} ${operation.path}`
    assert.ok(!seen.has(key), name)
    seen.add(key)
    const named = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, key]) => key)
    const params: unknown = Reflect.get(operation, 'params')
    const shape = params instanceof z.ZodObject ? Object.keys(params.shape) : []
    assert.deepEqual(shape, named, name)
  }
})

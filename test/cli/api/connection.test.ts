import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, readFile, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Connection, pathOf, storedTokens } from '../../../src/cli/api/connection.js'
import { ContextStore, serverUrl, type Tokens } from '../../../src/cli/api/contexts.js'
import { refreshTokens } from '../../../src/cli/api/login.js'
import { explain, GatewayError } from '../../../src/cli/problem.js'
import { tempDir } from '../../support/temp-dir.js'

interface World {
  readonly store: ContextStore
  readonly connection: Connection
  readonly asked: string[]
}

/** A gateway whose only good access token is `good`, and whose refresh tokens are each spent by their first use. */
async function world(t: TestContext, tokens: Tokens, answer?: (request: IncomingMessage, response: ServerResponse) => boolean): Promise<World> {
  const asked: string[] = []
  const spent = new Set<string>()
  const server = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`)
    if (answer?.(request, response)) return
    response.setHeader('content-type', 'application/json')
    if (request.url === '/api/v1/login/refresh') {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      const { refresh } = JSON.parse(body)
      const isGood = /^r\d+$/.test(refresh) && !spent.has(refresh)
      spent.add(refresh)
      response.statusCode = isGood ? 200 : 401
      response.end(
        JSON.stringify(
          isGood
            ? { token: 'good', refresh: 'r2', expiresIn: 900, expiresAt: '2999-01-01T00:00:00Z' }
            : { code: 'AUTH_FAILED', message: 'login failed', trace: 't' },
        ),
      )
    } else {
      const isGood = request.headers.authorization === 'Bearer good'
      response.statusCode = isGood ? 200 : 401
      response.end(JSON.stringify(isGood ? { ok: true } : { code: 'AUTH_FAILED', message: 'login failed', trace: 't' }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const store = new ContextStore(join(await tempDir(t), 'dockin', 'contexts.json'))
  await store.put('default', { server: url, user: 'alice', tokens }, true)
  return { store, connection: new Connection({ server: url }, storedTokens(store, 'default'), refreshTokens), asked }
}

test('a token that has run out is renewed once for all that wait, kept, and what was asked is asked again', async (t) => {
  const { connection, store, asked } = await world(t, { access: 'old', refresh: 'r1' })
  assert.deepEqual(await Promise.all([1, 2, 3].map((i) => connection.json('GET', `/api/v1/x${i}`))), [{ ok: true }, { ok: true }, { ok: true }])
  assert.equal(asked.filter((line) => line.includes('/refresh')).length, 1)
  assert.deepEqual((await store.find(undefined)).context.tokens?.refresh, 'r2')
})

test('a token near its end is renewed before it is used', async (t) => {
  const { connection, asked } = await world(t, { access: 'old', refresh: 'r1', accessUntil: new Date(Date.now() + 1000).toISOString() })
  await connection.json('GET', '/api/v1/x')
  assert.match(asked[0] ?? '', /^POST \/api\/v1\/login\/refresh/)
  assert.equal(asked.length, 2)
})

test('a token that another process has renewed meanwhile is taken, not fought over', async (t) => {
  let renewedElsewhere: Promise<void> | undefined
  const { connection, store, asked } = await world(t, { access: 'old', refresh: 'spent' }, (request, response) => {
    if (request.headers.authorization !== 'Bearer old') return false
    renewedElsewhere = store.putTokens('default', { access: 'good', refresh: 'r7' })
    void renewedElsewhere.then(() => response.writeHead(401).end('{}'))
    return true
  })
  assert.deepEqual(await connection.json('GET', '/api/v1/x'), { ok: true })
  await renewedElsewhere
  assert.equal(asked.filter((line) => line.includes('/refresh')).length, 0)
  assert.equal((await store.find(undefined)).context.tokens?.refresh, 'r7')
})

test('a login that cannot be renewed says what to do, and is 255', async (t) => {
  for (const tokens of [{ access: 'old', refresh: 'bad' }, { access: 'old' }]) {
    const { connection } = await world(t, tokens)
    const error = await connection.json('GET', '/api/v1/x').catch((thrown: unknown) => thrown)
    assert.deepEqual(explain(error), { line: 'dockin: your login has expired: opsctl login\n', exit: 255 })
  }
})

test('errors keep code, rule and trace; a proxy that answers for the gateway is told apart', async (t) => {
  const { connection } = await world(t, { access: 'good' }, (request, response) => {
    if (request.url === '/api/v1/refused')
      response.writeHead(403).end(JSON.stringify({ code: 'POLICY_REFUSED', message: 'refused: rule x', rule: 'x', trace: 'T', more: 1 }))
    else if (request.url === '/api/v1/new') response.writeHead(418).end(JSON.stringify({ code: 'OF_TOMORROW', message: 'new', trace: 'T' }))
    else if (request.url === '/api/v1/proxy') response.writeHead(502).end('<html>\n\x1b[2JBad Gateway</html>')
    else if (request.url === '/api/v1/html') response.end('<html></html>')
    else return false
    return true
  })
  const said = async (path: string) => {
    const error = await connection.json('GET', `/api/v1/${path}`).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof GatewayError)
    return [error.code, explain(error).line, explain(error).exit]
  }
  assert.deepEqual(await said('refused'), ['POLICY_REFUSED', 'dockin: refused: rule x\n', 254])
  assert.deepEqual(await said('new'), ['INTERNAL', 'dockin: new (trace T)\n', 255])
  assert.deepEqual(await said('proxy'), ['PROTOCOL_ERROR', 'dockin: the gateway answered 502: <html> \\x1b[2JBad Gateway</html>\n', 255])
  assert.match(String((await said('html'))[1]), /no JSON; is this the address of a gateway\?/)
})

test('an answer that breaks off is said', async (t) => {
  const { connection } = await world(t, { access: 'good' }, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{"a":')
    setImmediate(() => response.destroy())
    return true
  })
  await assert.rejects(connection.json('GET', '/api/v1/x'), /the connection to the gateway broke/)
})

test('the file of contexts is ours alone, and one that others may read is refused', async (t) => {
  const { store } = await world(t, { access: 'good' })
  assert.equal((await stat(store.path)).mode & 0o777, 0o600)
  assert.equal((await stat(join(store.path, '..'))).mode & 0o777, 0o700)
  await chmod(store.path, 0o644)
  await assert.rejects(store.read(), /holds tokens and may be read by others: chmod 600/)
})

test('a context is found by name, and one that is not there names those that are', async (t) => {
  const { store } = await world(t, { access: 'good' })
  await store.put('test', { server: 'https://b' }, false)
  assert.equal((await store.find(undefined)).name, 'default')
  assert.equal((await store.find('test')).context.server, 'https://b')
  await assert.rejects(store.find('prod'), /no context "prod"; there are default, test/)
  await assert.rejects(store.find('__proto__'), /no context/)
  await assert.rejects(store.put('../x', { server: 'https://b' }, false), /is not a name for a context/)
  await store.putTokens('default', undefined)
  assert.doesNotMatch(await readFile(store.path, 'utf8'), /good/)
})

test('an address is https unless it is this machine or was allowed', () => {
  assert.equal(serverUrl('bastion:8443', false), 'https://bastion:8443')
  assert.equal(serverUrl('http://127.0.0.1:8080', false), 'http://127.0.0.1:8080')
  assert.throws(() => serverUrl('http://bastion', false), /not encrypted/)
  assert.equal(serverUrl('http://bastion', true), 'http://bastion')
  for (const bad of ['', 'ftp://x', 'https://u:p@x', 'https://x/path', 'http://127.0.0.1.evil.example']) assert.throws(() => serverUrl(bad, false))
})

test('queries leave out what is not given and repeat lists', () => {
  assert.equal(pathOf('/x', { a: undefined, b: '', c: ['1', '2 3'], d: true }), '/x?c=1&c=2+3&d=true')
  assert.equal(pathOf('/x'), '/x')
})

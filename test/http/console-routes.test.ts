import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { consoleRoutes } from '../../src/http/console-routes.js'
import { securityHeaders } from '../../src/http/headers.js'
import { healthRoutes } from '../../src/http/health.js'
import { startHttpServer } from '../../src/http/server.js'
import { tempDir } from '../support/temp-dir.js'

async function served(t: TestContext, folder: string, isSecure = false) {
  const server = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: [securityHeaders(isSecure), healthRoutes([]), consoleRoutes(folder)],
    isNotFoundTaken: true,
    log: silentLogger,
  })
  t.after(() => server.close())
  return (path: string, accept = 'text/html', method = 'GET') => fetch(`http://127.0.0.1:${server.address.port}${path}`, { method, headers: { accept } })
}

async function built(t: TestContext): Promise<string> {
  const folder = join(await tempDir(t), 'console')
  mkdirSync(join(folder, 'assets'), { recursive: true })
  writeFileSync(join(folder, 'index.html'), '<h1>console</h1>')
  writeFileSync(join(folder, 'assets', 'app-Ab12_-x9.js'), 'export {}')
  writeFileSync(join(folder, '..', 'secret'), 'secret')
  return folder
}

test('the console serves its page for every view and its files as they are', async (t) => {
  const ask = await served(t, await built(t))
  for (const path of ['/', '/sessions', '/sessions/abc-1?at=3', '/audit?text=a.b']) {
    const answer = await ask(path)
    assert.equal(answer.status, 200, path)
    assert.equal(await answer.text(), '<h1>console</h1>')
    assert.equal(answer.headers.get('cache-control'), 'no-cache')
  }
  const script = await ask('/assets/app-Ab12_-x9.js')
  assert.match(script.headers.get('content-type') ?? '', /javascript/)
  assert.match(script.headers.get('cache-control') ?? '', /immutable/)
})

test('the console answers programs, the API and files that are not there with 404', async (t) => {
  const ask = await served(t, await built(t))
  for (const path of ['/api/v1/nothing', '/assets/gone.js', '/healthz/x', '/../secret', '/%2e%2e/secret', '/assets/..%2f..%2fsecret', '/rmController/x']) {
    const answer = await ask(path)
    assert.notEqual(await answer.text(), 'secret')
    if (path.startsWith('/api') || path.startsWith('/assets')) assert.equal(answer.status, 404, path)
  }
  assert.equal((await ask('/sessions', 'application/json')).status, 404)
  assert.equal((await ask('/sessions', 'text/html', 'POST')).status, 404)
  assert.equal((await ask('/healthz')).status, 200)
})

test('without a build the first page says so, and nothing else is a page', async (t) => {
  const ask = await served(t, join(await tempDir(t), 'none'))
  assert.match(await (await ask('/')).text(), /has not been built/)
  assert.equal((await ask('/sessions')).status, 404)
})

test('behind TLS a browser is told to stay there', async (t) => {
  const ask = await served(t, join(await tempDir(t), 'none'), true)
  assert.match((await ask('/')).headers.get('strict-transport-security') ?? '', /max-age=\d{7,}/)
})

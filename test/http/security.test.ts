import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { needs } from '../support/need.js'
import { until } from '../support/world.js'
import { ApiGateway } from './support/api-gateway.js'

const skip = needs.program('ssh')
const gateway = new ApiGateway()
before(async () => {
  if (!skip) await gateway.start()
})
after(() => gateway.stop())

const OWN = () => ({ origin: gateway.url, 'x-dockin-csrf': '1' })
async function cookieOf(
  user = 'alice',
  headers: Record<string, string> = OWN(),
): Promise<{ readonly cookie: string; readonly set: string; readonly body: Record<string, unknown> }> {
  const answer = await gateway.fetch('POST', '/api/v1/login', undefined, { user, password: gateway.password, cookie: true }, headers)
  assert.equal(answer.status, 200)
  const set = answer.headers.get('set-cookie') ?? ''
  return { cookie: set.split(';', 1)[0] ?? '', set, body: (await answer.json()) as Record<string, unknown> }
}
async function codeOf(answer: Response): Promise<string> {
  return ((await answer.json()) as { code: string }).code
}

test('a wrong password is refused like an unknown user, and both are in the log', { skip }, async () => {
  const wrong = await gateway.fetch('POST', '/api/v1/login', undefined, { user: 'carol', password: 'no' })
  const unknown = await gateway.fetch('POST', '/api/v1/login', undefined, { user: 'mallory', password: 'no' })
  assert.equal(wrong.status, 401)
  assert.equal(unknown.status, 401)
  const [one, other] = [(await wrong.json()) as { message: string }, (await unknown.json()) as { message: string }]
  assert.equal(one.message, other.message)
  const events = await gateway.events('type=login.refused')
  assert.deepEqual(new Set(events.map(({ user }) => user)), new Set(['carol', 'mallory']))
})

test("a user sees their own sessions and nobody else's; each attempt is in the log", { skip }, async () => {
  const shell = await gateway.shell('alice')
  for (const path of ['', '/recording', '/commands']) {
    const answer = await gateway.fetch('GET', `/api/v1/sessions/${shell.id}${path}`, 'bob')
    assert.equal(answer.status, 404, path)
    assert.equal((await gateway.fetch('GET', `/api/v1/sessions/${shell.id}${path}`, 'alice')).status, 200, path)
  }
  assert.equal((await gateway.fetch('POST', `/api/v1/sessions/${shell.id}/end`, 'audra', { reason: 'x' })).status, 403)
  assert.equal((await gateway.fetch('GET', '/api/v1/sessions?user=alice', 'bob')).status, 403)
  assert.equal((await gateway.fetch('GET', '/api/v1/audit?user=alice', 'bob')).status, 403)
  const own = await gateway.json<{ items: { user: string }[] }>('/api/v1/audit', 'bob')
  assert.ok(own.items.every(({ user }) => user === 'bob'))
  const refused = (await gateway.events('type=admin')).filter((event) => event.type === 'admin' && event.action === 'access.refused')
  assert.ok(refused.some(({ user }) => user === 'bob'))
  assert.ok(refused.some(({ user }) => user === 'audra'))
  shell.type('exit\n')
  await shell.ended
})

test('a refresh token gives the next pair once; logout ends all of them', { skip }, async () => {
  const login = await gateway.fetch('POST', '/api/v1/login', undefined, { user: 'bob', password: gateway.password })
  const first = (await login.json()) as { token: string; refresh: string; expiresIn: number }
  assert.ok(first.expiresIn > 800 && first.expiresIn <= 900)
  const second = (await (await gateway.fetch('POST', '/api/v1/login/refresh', undefined, { refresh: first.refresh })).json()) as {
    token: string
    refresh: string
  }
  assert.equal((await gateway.fetch('GET', '/api/v1/whoami', second)).status, 200)
  assert.equal((await gateway.fetch('POST', '/api/v1/login/refresh', undefined, { refresh: first.refresh })).status, 401)
  assert.equal((await gateway.fetch('GET', '/api/v1/whoami', { token: second.refresh })).status, 401, 'a refresh token is no bearer')
  assert.equal((await gateway.fetch('POST', '/api/v1/logout', second, {})).status, 200)
  for (const token of [first.token, second.token]) assert.equal((await gateway.fetch('GET', '/api/v1/whoami', { token })).status, 401)
  assert.equal((await gateway.fetch('POST', '/api/v1/login/refresh', undefined, { refresh: second.refresh })).status, 401)
})

test('a token that does not hold is refused, and the refusal is in the log', { skip }, async () => {
  const alice = gateway.tokens.alice ?? ''
  const [head = '', body = '', signature = ''] = alice.split('.')
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  for (const token of ['x', `${head}.${body}.`, `${none}.${body}.`, `${head}.${body}.${signature.slice(0, -6)}AAAAAA`, alice.replace('.', '..')]) {
    const answer = await gateway.fetch('GET', '/api/v1/whoami', { token })
    assert.equal(answer.status, 401)
    assert.equal(await codeOf(answer), 'AUTH_FAILED')
  }
  assert.equal((await gateway.fetch('GET', '/api/v1/whoami', undefined, undefined, { authorization: 'Basic YTpi' })).status, 401)
  const events = await gateway.events('type=login.refused')
  assert.ok(events.filter((event) => event.type === 'login.refused' && event.method === 'token').length >= 6)
})

test('a token that has run out is refused on every path, and each refusal is in the log', { skip }, async (t) => {
  const token = await gateway.login('audra')
  const refusals = async () => (await gateway.events('type=login.refused')).filter((event) => event.type === 'login.refused' && /expired/.test(event.reason))
  const before = (await refusals()).length
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 16 * 60_000 })
  const answers = await Promise.all(['/api/v1/whoami', '/api/v1/sessions', '/api/v1/audit'].map((path) => gateway.fetch('GET', path, { token })))
  t.mock.timers.reset()
  for (const answer of answers) {
    assert.equal(answer.status, 401)
    assert.equal(await codeOf(answer), 'AUTH_FAILED')
  }
  await until('the refusals in the log', async () => (await refusals()).length === before + answers.length)
})

test('the cookie of a browser is out of reach of scripts and of other sites', { skip }, async () => {
  const { set, cookie, body } = await cookieOf()
  assert.match(set, /; HttpOnly(;|$)/)
  assert.match(set, /; SameSite=Strict(;|$)/)
  assert.match(set, /; Path=\/(;|$)/)
  assert.equal(body.token, undefined)
  assert.equal(body.refresh, undefined)
  const me = await gateway.fetch('GET', '/api/v1/whoami', undefined, undefined, { cookie })
  assert.equal(((await me.json()) as { via: string }).via, 'cookie')
  const value = cookie.split('=')[1] ?? ''
  assert.equal((await gateway.fetch('GET', '/api/v1/whoami', { token: value })).status, 401, 'a cookie is no bearer')
  assert.equal(
    (await gateway.fetch('GET', '/api/v1/whoami', undefined, undefined, { cookie: `dockin=${gateway.tokens.alice}` })).status,
    401,
    'a bearer is no cookie',
  )
})

test('a request of another site is refused whatever its cookie', { skip }, async () => {
  const { cookie } = await cookieOf()
  const body = { target: 'web-0' }
  const ask = (headers: Record<string, string>) => gateway.fetch('POST', '/api/v1/rules/test', undefined, body, { cookie, ...headers })
  assert.equal((await ask(OWN())).status, 200)
  const foreign: Record<string, string>[] = [
    {},
    { origin: gateway.url },
    { 'x-dockin-csrf': '1' },
    { 'x-dockin-csrf': '1', origin: 'https://evil.example' },
    { 'x-dockin-csrf': '1', origin: 'null' },
    { 'x-dockin-csrf': '1', origin: `${gateway.url}.evil.example` },
    { 'x-dockin-csrf': '1', origin: gateway.url.replace('http:', 'https:') },
    { ...OWN(), 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of foreign) {
    const answer = await ask(headers)
    assert.equal(answer.status, 403, JSON.stringify(headers))
    assert.equal(await codeOf(answer), 'POLICY_REFUSED')
  }
  const login = await gateway.fetch(
    'POST',
    '/api/v1/login',
    undefined,
    { user: 'alice', password: gateway.password, cookie: true },
    { origin: 'https://evil.example' },
  )
  assert.equal(login.status, 403, 'nobody is logged in by another site')
  const form = await gateway.fetch('POST', '/api/v1/login', undefined, 'user=alice', { 'content-type': 'application/x-www-form-urlencoded' })
  assert.equal(form.status, 415)
  const exec = await gateway.fetch('POST', '/api/v1/exec', undefined, { target: 'web-0', command: 'id' }, { cookie, origin: 'https://evil.example' })
  assert.equal(exec.status, 403, 'other doors ask the same way')
})

test('a cookie ends with its logout', { skip }, async () => {
  const { cookie } = await cookieOf()
  const out = await gateway.fetch('POST', '/api/v1/logout', undefined, {}, { cookie, ...OWN() })
  assert.equal(out.status, 200)
  assert.match(out.headers.get('set-cookie') ?? '', /^dockin=; .*Max-Age=0/)
  assert.equal((await gateway.fetch('GET', '/api/v1/whoami', undefined, undefined, { cookie })).status, 401)
})

function upgrade(path: string, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(gateway.url.replace('http', 'ws') + path, { headers })
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.close()
      resolve(101)
    })
    socket.once('unexpected-response', (request, response) => {
      request.destroy()
      resolve(response.statusCode ?? 0)
    })
    socket.on('error', reject)
  })
}

test('a WebSocket of another site, of nobody, of a stranger or for nothing is refused', { skip }, async () => {
  const { cookie } = await cookieOf()
  const shell = await gateway.shell('alice')
  const path = `/api/v1/sessions/${shell.id}/live`
  assert.equal(await upgrade(path, { cookie, origin: gateway.url }), 101)
  assert.equal(await upgrade(path, { cookie }), 403)
  assert.equal(await upgrade(path, { cookie, origin: 'https://evil.example' }), 403)
  assert.equal(await upgrade(path, {}), 401)
  assert.equal(await upgrade(path, { authorization: `Bearer ${gateway.tokens.bob}` }), 404, 'of somebody else')
  assert.equal(await upgrade(path, { authorization: `Bearer ${gateway.tokens.audra}` }), 101)
  const bearer = { authorization: `Bearer ${gateway.tokens.alice}` }
  assert.equal(await upgrade('/api/v1/sessions/none/live', bearer), 404)
  assert.equal(await upgrade('/api/v1/sessions/..%2f..%2fx/live', bearer), 400)
  assert.equal(await upgrade('/api/v1/whoami', bearer), 404)
  assert.equal((await gateway.fetch('GET', path, 'alice')).status, 400, 'not an upgrade')
  shell.type('exit\n')
  await shell.ended
})

test('a flood of refusals writes few events, and then how many more there were', { skip }, async () => {
  const before = (await gateway.events('type=login.refused')).length
  await Promise.all(Array.from({ length: 60 }, () => gateway.fetch('GET', '/api/v1/whoami', { token: 'flood' })))
  assert.ok((await gateway.events('type=login.refused')).length - before <= 20)
})

test('every answer forbids what a page of ours never does', { skip }, async () => {
  for (const path of ['/', '/healthz', '/api/v1/whoami', '/nonsense']) {
    const { headers } = await gateway.fetch('GET', path)
    const policy = headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.ok(!/script-src[^;]*unsafe-(inline|eval)'/.test(policy.replace('wasm-unsafe-eval', '')))
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
    assert.ok(headers.get('x-trace'))
  }
})

test('a body that is too large, cut short or no JSON is refused in the words of the API', { skip }, async () => {
  const large = await gateway.fetch('POST', '/api/v1/rules/test', 'alice', { target: 'x'.repeat(300_000) })
  assert.equal(large.status, 413)
  assert.equal(await codeOf(large), 'BAD_REQUEST')
  const cut = await gateway.fetch('POST', '/api/v1/rules/test', 'alice', '{"target":')
  assert.equal(cut.status, 400)
  const proto = await gateway.fetch('POST', '/api/v1/rules/test', 'alice', '{"target":"web-0","__proto__":{"a":1}}')
  assert.equal(proto.status, 400)
  assert.equal((await gateway.fetch('GET', '/api/v1/%zz', 'alice')).status, 400)
  assert.equal((await gateway.fetch('DELETE', '/api/v1/sessions', 'alice')).status, 404)
})

test('limits end a flood of refreshes of one address, and of requests of one login', { skip }, async () => {
  const statuses: number[] = []
  for (let i = 0; i < 65; i++) statuses.push((await gateway.fetch('POST', '/api/v1/login/refresh', undefined, { refresh: 'x' })).status)
  assert.ok(statuses.includes(401))
  assert.equal(statuses.at(-1), 429)
  const asked = async (n: number): Promise<Response[]> => Promise.all(Array.from({ length: n }, () => gateway.fetch('GET', '/api/v1/whoami', 'carol')))
  let last: Response | undefined
  for (let i = 0; i < 26; i++) last = (await asked(50)).at(-1)
  assert.equal(last?.status, 429)
  assert.equal(await codeOf(last), 'LIMIT_EXCEEDED')
  assert.equal((await gateway.fetch('GET', '/api/v1/whoami', 'audra')).status, 200, 'others go on')
})

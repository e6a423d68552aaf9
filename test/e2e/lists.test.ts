/** Lists in Redis through two real gateways and a real redis-server: commands, addresses, accounts; over HTTP and with opsctl. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { needs } from '../support/need.js'
import { type RedisServer, redisServer } from '../support/redis-server.js'
import { cheapHash, failedStart, PASSWORD, SharedGateway } from '../support/shared-gateways.js'
import { until } from '../support/world.js'

const skip = needs.program('redis-server')
const where = [{ cluster: '*', namespace: '*' }]
const RULE = { name: 'dev', who: { groups: ['dev'] }, where, commands: { deny: ['rm'] }, message: 'ask alice' }
/** What a change may take to reach another gateway, and some for a machine that is busy with other tests. */
const SOON_MS = 5000

async function two(t: TestContext): Promise<{ redis: RedisServer; one: SharedGateway; other: SharedGateway; hash: string }> {
  const redis = await redisServer(t, '--appendonly', 'yes')
  const hash = await cheapHash()
  const users = [
    { name: 'alice', groups: ['sre'], roles: ['admin'], password: hash },
    { name: 'ann', roles: ['admin'], password: hash },
    { name: 'audra', roles: ['auditor'], password: hash },
    { name: 'bob', groups: ['dev'], password: hash },
  ]
  const config = { users: { redis: redis.url, seed: users }, rules: { redis: redis.url, seed: [RULE, { name: 'all', who: { groups: ['sre'] }, where }] } }
  const one = await (await SharedGateway.prepare(t, config)).start()
  const other = await (await SharedGateway.prepare(t, config)).start()
  return { redis, one, other, hash }
}
const ifMatch = (etag: string) => ({ 'if-match': etag })
const reason = (text: string) => (JSON.parse(text) as { message: string }).message
async function took(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await work()
  return performance.now() - begin
}

test('lists in Redis, shared by two gateways', { skip, timeout: 240_000 }, async (t) => {
  const { redis, one, other, hash } = await two(t)
  const RULES = '/api/v1/lists/rules'
  const USERS = '/api/v1/lists/users'

  await t.test('only an admin reads and changes them, and a refusal is an event', async () => {
    for (const path of [RULES, USERS, `${RULES}/dev`, `${RULES}/dev/from`, `${USERS}/bob`]) {
      for (const method of ['GET', 'PUT', 'DELETE']) {
        if (method === 'DELETE' && (path === RULES || path === USERS)) continue
        if (method === 'PUT' && path === USERS) continue
        const body = method === 'PUT' ? {} : undefined
        assert.equal((await one.ask(method, path, undefined, body)).status, 401, `${method} ${path}`)
        for (const who of ['bob', 'audra']) assert.equal((await one.ask(method, path, who, body)).status, 403, `${method} ${path} by ${who}`)
      }
    }
    assert.ok(
      await until('the refusal', () => one.events().find((event) => event.type === 'admin' && event.action === 'access.refused' && event.user === 'bob')),
    )
  })

  await t.test('a change needs the version that was read, is an event with both hashes, and reaches the other gateway within a second', async () => {
    const read = await one.ask('GET', `${RULES}/dev`, 'alice')
    assert.deepEqual([read.status, read.etag, read.body.rule], [200, '"1"', RULE])
    const rule = { ...RULE, commands: { deny: ['dd'] } }
    assert.equal((await one.ask('PUT', `${RULES}/dev`, 'alice', { rule })).status, 400)
    assert.equal((await one.ask('PUT', `${RULES}/dev`, 'alice', { rule }, ifMatch('"7"'))).status, 412)
    assert.deepEqual([await other.allows('bob', 'rm x'), await other.allows('bob', 'dd x')], [false, true])
    const ms = await took(async () => {
      const done = await one.ask('PUT', `${RULES}/dev`, 'alice', { rule }, ifMatch(read.etag))
      assert.deepEqual([done.status, done.etag], [200, '"2"'])
      await until('the other gateway to have it', () => other.allows('bob', 'rm x'), SOON_MS)
    })
    t.diagnostic(`the other gateway decided by the new list ${ms.toFixed(0)} ms after the change was sent`)
    assert.deepEqual([await one.allows('bob', 'dd x'), await other.allows('bob', 'dd x')], [false, false])
    const change = one.admin('rules.change')
    assert.deepEqual([change?.user, change?.object], ['alice', 'dockin:rules'])
    assert.match(change?.from ?? '', /^127\.0\.0\.1:\d+$/)
    assert.match(JSON.stringify([change?.before, change?.after]), /"sha256":"[0-9a-f]{64}".*"deny":\["rm"\].*"sha256":"[0-9a-f]{64}".*"deny":\["dd"\]/)
    const heard = other.admin('rules.reload')
    assert.deepEqual(heard?.after, change?.after)
  })

  await t.test('of two admins at two gateways who have read the same version, one is told to read again', async () => {
    const { etag } = await one.ask('GET', RULES, 'alice')
    const put = (gateway: SharedGateway, who: string) => gateway.ask('PUT', `${RULES}/dev`, who, { rule: { ...RULE, message: `by ${who}` } }, ifMatch(etag))
    const answers = await Promise.all([put(one, 'alice'), put(other, 'ann')])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412])
    const lost = answers.find(({ status }) => status === 412)
    assert.match(lost?.text ?? '', /CONFLICT.*read the rules again/)
  })

  await t.test('a draft with a mistake, or an example that comes out otherwise, is refused with rule and key', async () => {
    const { etag } = await one.ask('GET', RULES, 'alice')
    const refused = async (rule: object): Promise<string> => {
      const answer = await one.ask('PUT', `${RULES}/dev`, 'alice', { rule }, ifMatch(etag))
      assert.equal(answer.status, 400, answer.text)
      return reason(answer.text)
    }
    assert.match(await refused({ ...RULE, colour: 1 }), /rules\[0\] \(dev\) colour: is not a known key/)
    assert.match(await refused({ ...RULE, commands: { deny: ['a b'] } }), /\(dev\) commands\.deny\[0\]: must be one command name/)
    assert.match(await refused({ ...RULE, examples: { deny: ['ls'] } }), /\(dev\) examples\.deny\[0\]: "ls" should be refused, but the rule lets it run/)
    assert.match(await refused({ ...RULE, from: ['10.0.0.0/99'] }), /\(dev\) from\[0\]: must be an address or a network/)
    assert.match(await refused({ ...RULE, name: 'other' }), /must have the name of its path/)
    assert.equal((await one.ask('PUT', `${RULES}/dev`, 'alice', { rule: RULE, more: 1 }, ifMatch(etag))).status, 400)
    assert.equal((await one.ask('GET', RULES, 'alice')).etag, etag)
  })

  await t.test('the list of addresses beside a rule decides from where its people may come', async () => {
    const path = `${RULES}/dev/from`
    const first = await one.ask('GET', path, 'alice')
    assert.equal(first.body.from, undefined)
    assert.equal((await one.ask('PUT', path, 'alice', { from: ['192.0.2.0/24', '2001:db8::/32'] }, ifMatch(first.etag))).status, 200)
    const exec = (gateway: SharedGateway) => gateway.ask('POST', '/api/v1/exec', 'bob', { target: 'web-0', command: 'echo hi' })
    assert.equal((await exec(one)).status, 404, 'pods that no rule shows are not there')
    await until('the other gateway to have it', async () => (await exec(other)).status === 404, SOON_MS)
    const as = (from: string) => one.ask('POST', '/api/v1/rules/test', 'alice', { user: 'bob', target: 'web-0', from })
    assert.equal((await as('192.0.2.77')).body.allow, true)
    assert.equal((await as('198.51.100.1')).body.allow, false)
    const { etag } = await one.ask('GET', path, 'alice')
    assert.equal((await one.ask('PUT', path, 'alice', { from: ['127.0.0.0/8'] }, ifMatch(etag))).status, 200)
    assert.equal((await exec(one)).body.stdout, 'hi\n')
    const again = await one.ask('GET', path, 'alice')
    assert.equal((await one.ask('DELETE', path, 'alice', undefined, ifMatch(again.etag))).status, 200)
    await until('the other gateway to let bob in', async () => (await exec(other)).status === 200, SOON_MS)
  })

  await t.test('an account is added, changed and removed for both; its hash is shown nowhere', async () => {
    const put = async (name: string, body: object): Promise<number> => {
      const { etag } = await one.ask('GET', USERS, 'alice')
      return (await one.ask('PUT', `${USERS}/${name}`, 'alice', body, ifMatch(etag))).status
    }
    assert.equal(await put('dave', { groups: ['dev'], password: hash }), 200)
    await until('dave to be let in at the other gateway', () => other.login('dave').catch(() => undefined), SOON_MS)
    assert.equal(await other.allows('dave', 'ls'), true)
    assert.equal(await put('dave', { groups: [] }), 200)
    const shown = await one.ask('GET', `${USERS}/dave`, 'alice')
    assert.deepEqual(shown.body.user, { name: 'dave', groups: [], roles: [], hasPassword: true, keys: [] })
    await until('the other gateway to take the group away', async () => !(await other.allows('dave', 'ls')), SOON_MS)
    assert.equal(await put('dave', { password: 'not a hash' }), 400)
    const { etag } = await one.ask('GET', USERS, 'alice')
    assert.equal((await one.ask('DELETE', `${USERS}/dave`, 'alice', undefined, ifMatch(etag))).status, 200)
    await until('the token of dave to end there', async () => (await other.ask('GET', '/api/v1/whoami', 'dave')).status === 401, SOON_MS)
    const all = [(await one.ask('GET', USERS, 'alice')).text, JSON.stringify(one.events()), JSON.stringify(other.events()), one.logs, other.logs].join('\n')
    assert.doesNotMatch(all, /argon2/)
    assert.equal(one.admin('users.change')?.user, 'alice')
    assert.ok(other.admin('users.reload'))
  })

  await t.test('nobody can take the last admin away', async () => {
    const drop = async (name: string): Promise<{ status: number; text: string }> => {
      const { etag } = await one.ask('GET', USERS, 'alice')
      return one.ask('PUT', `${USERS}/${name}`, 'alice', { roles: [] }, ifMatch(etag))
    }
    assert.equal((await drop('ann')).status, 200)
    const last = await drop('alice')
    assert.equal(last.status, 400)
    assert.match(last.text, /nobody would be left who is admin and can log in/)
  })

  await t.test('opsctl edits the rules as a file, names mistakes by line, and keeps the accounts', async () => {
    assert.equal((await one.cli('opsctl', ['login', one.url, '-u', 'alice', '--password-stdin'], `${PASSWORD}\n`)).code, 0)
    const file = join(one.dir, 'rules.yaml')
    const got = await one.cli('opsctl', ['rules', 'get', '-o', 'yaml'])
    assert.match(got.stdout.toString(), /^# dockin rules version \d+\n- name: dev\n/)
    writeFileSync(file, got.stdout.toString().replace(/- dd|- rm/, '- shred'))
    const done = await one.cli('opsctl', ['rules', 'put', '-f', file])
    assert.deepEqual([done.code, done.stderr.split('\n').at(-2)?.replace(/\d+/, 'N')], [0, 'Version N is in force.'], done.stderr)
    await until('the other gateway to have it', async () => !(await other.allows('bob', 'shred x')), SOON_MS)
    const stale = await one.cli('opsctl', ['rules', 'put', '-f', file])
    assert.equal(stale.code, 255)
    assert.match(stale.stderr, /dockin: somebody else has changed it meanwhile: you read version/)
    writeFileSync(file, `${readFileSync(file, 'utf8').replace('- shred', '- a b')}`)
    const wrong = await one.cli('opsctl', ['rules', 'put', '-f', file])
    assert.equal(wrong.code, 1)
    assert.match(wrong.stderr, /rules\.yaml:\d+:\d+: rule dev: commands\.deny\[0\]: must be one command name/)
    const line = Number(/rules\.yaml:(\d+):/.exec(wrong.stderr)?.[1])
    assert.match(readFileSync(file, 'utf8').split('\n')[line - 1] ?? '', /- a b/)
    assert.equal((await one.cli('opsctl', ['rules', 'test', '--live'])).code, 0)
    const draft = join(one.dir, 'draft.yaml')
    writeFileSync(draft, JSON.stringify({ ...RULE, examples: { deny: ['rm x', 'ls'] } }))
    const tested = await one.cli('opsctl', ['rules', 'test', '--draft', draft])
    assert.equal(tested.code, 1)
    assert.match(tested.stderr, /draft\.yaml:1:\d+: rule dev: examples\.deny\[1\]: "ls" should be refused/)
    assert.equal((await one.cli('opsctl', ['rules', 'from', 'dev', '127.0.0.0/8', '::1'])).code, 0)
    assert.equal((await one.cli('opsctl', ['rules', 'from', 'dev'])).stdout.toString(), '127.0.0.0/8\n::1\n')
    assert.equal((await one.cli('opsctl', ['rules', 'from', 'dev', '--anywhere'])).code, 0)
    const added = await one.cli('opsctl', ['users', 'put', 'erin', '--group', 'dev', '--hash-stdin'], `${hash}\n`)
    assert.equal(added.code, 0, added.stderr)
    for (const format of ['table', 'wide', 'json', 'yaml']) {
      const { stdout } = await one.cli('opsctl', ['users', 'get', '-o', format])
      assert.match(stdout.toString(), /erin/)
      assert.doesNotMatch(stdout.toString(), /argon2/)
    }
    assert.equal((await one.cli('opsctl', ['users', 'rm', 'erin'])).code, 0)
    const gone = await one.cli('opsctl', ['users', 'get', 'erin'])
    assert.deepEqual([gone.code, gone.stderr], [1, 'error: no account is called "erin"\n'])
  })

  await t.test('something broken in Redis keeps what was in force, and says so; an admin mends it over the API', async () => {
    const ready = async (gateway: SharedGateway) =>
      (await gateway.ask('GET', '/readyz')).body as { status: string; checks: { name: string; reason?: string }[] }
    assert.equal((await ready(one)).status, 'ready')
    const rules = (await one.ask('GET', RULES, 'alice')).body.rules
    // by hand, and without a word to anybody: only the version says so
    await redis.command('HSET', 'dockin:rules', 'version', '900', 'rules', '[{"name":"dev","who":{}}]')
    for (const gateway of [one, other]) {
      const status = await until('readyz to say so', async () => ((await ready(gateway)).status === 'degraded' ? ready(gateway) : undefined), SOON_MS)
      const check = status.checks.find(({ name }) => name === 'rules in redis')
      assert.match(check?.reason ?? '', /rules\[0\] \(dev\) who: must name users or groups.*version \d+ is in force/)
      assert.equal((await gateway.ask('GET', '/readyz')).status, 200)
      assert.match(JSON.stringify((await until('the event', () => gateway.admin('rules.reload.refused')))?.after), /"sha256":"[0-9a-f]{64}","reason":/)
      assert.equal(await gateway.allows('bob', 'shred x'), false)
      assert.equal(await gateway.allows('bob', 'ls'), true)
    }
    assert.equal((await one.ask('PUT', RULES, 'alice', { rules }, ifMatch((await one.ask('GET', RULES, 'alice')).etag))).status, 412)
    assert.equal((await one.ask('PUT', RULES, 'alice', { rules }, ifMatch('*'))).status, 200)
    for (const gateway of [one, other]) await until('it to be well', async () => (await ready(gateway)).status === 'ready', SOON_MS)
  })

  await t.test('while Redis is away both go on by what they know and say so, and take up what comes when it is back', async () => {
    const away = async (gateway: SharedGateway) => (await gateway.ask('GET', '/readyz')).text
    const { etag } = await one.ask('GET', RULES, 'alice')
    await redis.stop('SIGTERM')
    for (const gateway of [one, other]) {
      await until('readyz to say so', async () => /Cannot ask Redis for the rules[^"]*version \d+ is in force/.test(await away(gateway)), 15_000)
      assert.equal(await gateway.allows('bob', 'shred x'), false)
      assert.equal(await gateway.allows('bob', 'ls'), true)
      await until('the event', () => gateway.admin('rules.away') && gateway.admin('users.away'))
    }
    const refused = await one.ask('PUT', `${RULES}/dev`, 'alice', { rule: RULE }, ifMatch(etag))
    assert.equal(refused.status, 502)
    assert.match(refused.text, /the Redis that holds the rules does not answer/)
    assert.ok(one.admin('rules.change.refused'))
    await redis.start()
    for (const gateway of [one, other]) {
      await until('it to be well', async () => (await gateway.ask('GET', '/readyz')).body.status === 'ready', 15_000)
      await until('the event', () => gateway.admin('rules.back'))
    }
    assert.equal((await one.ask('PUT', `${RULES}/dev`, 'alice', { rule: RULE }, ifMatch(etag))).status, 200)
    await until('the other to have it', async () => !(await other.allows('bob', 'rm x')), SOON_MS)
  })

  await t.test('a start without Redis goes by the copy, and without a copy there is no start', async () => {
    await other.stop()
    await redis.stop('SIGTERM')
    await other.start()
    assert.deepEqual([await other.allows('bob', 'rm x'), await other.allows('bob', 'ls')], [false, true])
    assert.equal((await other.ask('GET', '/readyz')).body.status, 'degraded')
    const fresh = await SharedGateway.prepare(t, {})
    const config = JSON.parse(readFileSync(join(other.dir, 'opserver.yaml'), 'utf8')) as object
    writeFileSync(join(fresh.dir, 'opserver.yaml'), JSON.stringify({ ...config, dataDir: join(fresh.dir, 'data') }))
    const { code, stderr } = await failedStart(fresh)
    assert.equal(code, 1)
    assert.match(stderr, /^opserver: Cannot start with users in Redis: .*no copy of an earlier list/m)
  })
})

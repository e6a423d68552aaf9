import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import { execRoutes } from '../../src/http/exec.js'
import { RunSlots } from '../../src/http/exec-parts.js'
import type { ExecApiAnswer } from '../../src/wire/api/exec.js'
import { until } from '../support/world.js'
import { type ExecGateway, execGateway } from './support/exec-gateway.js'

const gateway = (t: TestContext, options = {}) => execGateway(t, (parts) => [execRoutes(parts)], options)
const NDJSON = { accept: 'application/x-ndjson' }

async function answer(response: Response): Promise<ExecApiAnswer> {
  const body = await response.text()
  assert.equal(response.status, 200, body)
  return JSON.parse(body) as ExecApiAnswer
}
async function lines(response: Response): Promise<Record<string, unknown>[]> {
  return (await response.text())
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('a one-shot exec answers exit code, both outputs, session, target and rule', async (t) => {
  const gw = await gateway(t)
  const got = await answer(await gw.post({ target: 'web-0', command: 'echo out; echo err >&2; exit 7' }))
  assert.deepEqual([got.exit, got.stdout, got.stderr, got.rule, got.target], [7, 'out\n', 'err\n', 'all', 'local/default/web-0/shell'])
  assert.deepEqual(got.bytes, { stdout: 4, stderr: 4 })
  assert.deepEqual(got.truncated, { stdout: false, stderr: false })
  const closed = await gw.event('session.close')
  assert.deepEqual([closed.session, closed.exit, closed.door], [got.session, 7, 'http'])
})
test('stdin comes as text or base64, and its end reaches the program', async (t) => {
  const gw = await gateway(t)
  assert.equal((await answer(await gw.post({ target: 'web-0', command: 'cat', stdin: 'häß\n' }))).stdout, 'häß\n')
  const bytes = Buffer.from([0, 255, 128, 10])
  const got = await answer(await gw.post({ target: 'web-0', argv: ['cat'], stdinBase64: bytes.toString('base64') }))
  assert.deepEqual([got.stdout, got.stdoutBase64], [undefined, bytes.toString('base64')])
})
test('argv reaches the program word by word, and stands in the audit as the line that means it', async (t) => {
  const gw = await gateway(t)
  const argv = ['printf', '[%s]', 'a b', "it's", '', '$HOME', '*', '~', 'x=y', 'ü', '-n', 'a\nb', '\\', '`id`']
  const got = await answer(await gw.post({ target: 'web-0', argv }, { authorization: 'Bearer bob' }))
  assert.equal(
    got.stdout,
    argv
      .slice(2)
      .map((word) => `[${word}]`)
      .join(''),
  )
  const command = await gw.event('command')
  assert.deepEqual(command.commands, [argv])
})
test('argv and line get the same verdict', async (t) => {
  const gw = await gateway(t)
  const bob = { authorization: 'Bearer bob' }
  for (const body of [{ command: 'rm -rf x' }, { argv: ['rm', '-rf', 'x'] }, { argv: ['sh', '-c', 'rm -rf x'] }]) {
    const response = await gw.post({ target: 'web-0', ...body }, bob)
    const got = (await response.json()) as Record<string, unknown>
    assert.equal(response.status, 403, JSON.stringify(got))
    assert.deepEqual([got.code, got.rule, got.exit], ['COMMAND_REFUSED', 'careful', 254])
    assert.match(String(got.message), /ask alice/)
    assert.ok(typeof got.session === 'string' && typeof got.trace === 'string')
  }
  // only a word of a program that is run, and not one that is printed
  assert.equal((await answer(await gw.post({ target: 'web-0', argv: ['echo', 'rm', ';', 'rm'] }, bob))).stdout, 'rm ; rm\n')
})
test('a door that the rule leaves out is refused, for http and for a batch', async (t) => {
  const gw = await gateway(t)
  for (const extra of [{}, { batch: 'b-1' }]) {
    const response = await gw.post({ target: 'web-0', command: 'true', ...extra }, { authorization: 'Bearer dave' })
    assert.equal(response.status, 403)
    assert.equal(((await response.json()) as { code: string }).code, 'POLICY_REFUSED')
  }
})
test('a target that one may not see answers as one that does not exist', async (t) => {
  const gw = await gateway(t)
  const carol = { authorization: 'Bearer carol' }
  const [hidden, absent] = await Promise.all([gw.post({ target: 'db-0', command: 'ls' }, carol), gw.post({ target: 'db-9', command: 'ls' }, carol)])
  assert.deepEqual([hidden.status, absent.status], [404, 404])
})
test('a batch id makes the door batch and stands in every event of its session', async (t) => {
  const gw = await gateway(t)
  const got = await answer(await gw.post({ target: { pod: 'web-1', namespace: 'default', cluster: 'local' }, command: 'true', batch: 'nightly-7' }))
  assert.equal(got.batch, 'nightly-7')
  await gw.event('session.close')
  const own = gw.events.filter((event) => event.session === got.session)
  assert.deepEqual([...new Set(own.map(({ batch, door }) => `${batch} ${door}`))], ['nightly-7 batch'])
  assert.equal(own.length, 5)
})
test('output beyond the cap is dropped and counted, and the program still ends by itself', async (t) => {
  const gw = await gateway(t)
  const got = await answer(await gw.post({ target: 'web-0', command: 'head -c 300000 /dev/zero; exit 3', maxOutputBytes: 1000 }))
  assert.deepEqual([got.exit, got.stdout?.length, got.bytes.stdout, got.truncated.stdout], [3, 1000, 300000, true])
  const text = await answer(await gw.post({ target: 'web-0', command: "printf 'ab\\303\\251'", maxOutputBytes: 3 }))
  assert.equal(text.stdout, 'ab')
})
test('the time limit ends the program and says so beside what it wrote', async (t) => {
  const gw = await gateway(t)
  const got = await answer(await gw.post({ target: 'web-0', command: 'echo begun; sleep 600', timeoutMs: 500 }))
  assert.deepEqual([got.exit, got.stdout, got.error?.code], [255, 'begun\n', 'LIMIT_EXCEEDED'])
  assert.equal(gw.registry.size, 0)
})
test('a caller that hangs up ends its program', async (t) => {
  const gw = await gateway(t)
  const hangup = new AbortController()
  const headers = { authorization: 'Bearer alice', 'content-type': 'application/json' }
  const body = JSON.stringify({ target: 'web-0', command: 'sleep 600' })
  const asked = fetch(`${gw.url}/api/v1/exec`, { method: 'POST', headers, body, signal: hangup.signal })
  await gw.event('session.start')
  hangup.abort()
  await assert.rejects(asked)
  const closed = await gw.event('session.close')
  assert.match(closed.reason, /the client left/)
  await until('the slot', () => gw.slots.running === 0)
})
test('an administrator who ends the session is named in the answer', async (t) => {
  const gw = await gateway(t)
  const asked = gw.post({ target: 'web-0', command: 'sleep 600' })
  await gw.event('session.start')
  gw.registry.endWhere(() => new OpsError('SESSION_ENDED', 'test'))
  const got = await answer(await asked)
  assert.deepEqual([got.exit, got.error?.code], [255, 'SESSION_ENDED'])
})
test('a request that is none is refused with the key that is wrong, and only after the login', async (t) => {
  const gw = await gateway(t)
  const cases: [unknown, RegExp][] = [
    [{ target: 'web-0' }, /exactly one of command and argv/],
    [{ target: 'web-0', command: 'x', argv: ['x'] }, /exactly one/],
    [{ target: 'web-0', command: 'x', shell: true }, /shell/],
    [{ target: 'web-0', command: 'a\0b' }, /command: .*NUL/],
    [{ target: 'web-0', argv: [''] }, /name of a program/],
    [{ target: 'web-0', command: 'x', batch: 'a b' }, /batch/],
    [{ target: 'web-0', command: 'x', env: { LD_PRELOAD: 'x' } }, /LD_PRELOAD/],
    [{ target: 'web-0+shell', command: 'x', container: 'shell' }, /container already/],
    [{ target: { pod: 'web-0', cluster: 'local' }, command: 'x' }, /namespace too/],
    [{ target: 'web 0', command: 'x' }, /may not appear/],
    [null, /./],
  ]
  for (const [body, message] of cases) {
    const response = await gw.post(body)
    const got = (await response.json()) as { message: string }
    assert.equal(response.status, 400, JSON.stringify([body, got]))
    assert.match(got.message, message)
    assert.equal((await gw.post(body, { authorization: 'none' })).status, 401)
  }
  assert.equal(gw.events.filter(({ type }) => type === 'session.open').length, 0)
})
test('more execs of one user than allowed are refused, and a slot comes back', async (t) => {
  const gw = await gateway(t, { slots: new RunSlots({ perUser: 1 }) })
  const hangup = new AbortController()
  const first = fetch(`${gw.url}/api/v1/exec`, {
    method: 'POST',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json' },
    body: JSON.stringify({ target: 'web-0', command: 'sleep 600' }),
    signal: hangup.signal,
  })
  await gw.event('session.start')
  assert.equal((await gw.post({ target: 'web-0', command: 'true' })).status, 429)
  hangup.abort()
  await assert.rejects(first)
  await gw.event('session.close')
  assert.equal((await answer(await gw.post({ target: 'web-0', command: 'true' }))).exit, 0)
})

test('a streaming exec sends facts, output as it comes, heartbeats and the exit', async (t) => {
  const gw = await gateway(t, { heartbeatMs: 20 })
  const response = await gw.post({ target: 'web-0', command: 'echo one; read x; echo two >&2; exit 5', stdin: '' }, NDJSON)
  assert.match(response.headers.get('content-type') ?? '', /application\/x-ndjson/)
  const all = await lines(response)
  assert.deepEqual([all[0]?.rule, all.at(-1)?.exit], ['all', 5])
  const text = (stream: string) =>
    all
      .filter((line) => line.stream === stream)
      .map((line) => line.data)
      .join('')
  assert.deepEqual([text('stdout'), text('stderr')], ['one\n', 'two\n'])
  const slow = await lines(await gw.post({ target: 'web-0', command: 'sleep 0.3' }, NDJSON))
  assert.ok(slow.some((line) => line.heartbeat === true))
})
test('a streamed character that two writes cut in half arrives whole, and bytes that are no text as base64', async (t) => {
  const gw = await gateway(t)
  const all = await lines(await gw.post({ target: 'web-0', command: "printf 'a\\303'; sleep 0.2; printf '\\251b'; printf '\\377' >&2" }, NDJSON))
  const out = all.filter((line) => line.stream === 'stdout')
  assert.equal(out.map((line) => line.data).join(''), 'aéb')
  assert.deepEqual(
    all.filter((line) => line.stream === 'stderr').map((line) => line.base64),
    [Buffer.from([255]).toString('base64')],
  )
})
test('a refused streaming exec is an HTTP error and no stream', async (t) => {
  const gw = await gateway(t)
  const response = await gw.post({ target: 'web-0', command: 'rm x' }, { ...NDJSON, authorization: 'Bearer bob' })
  assert.deepEqual([response.status, ((await response.json()) as { code: string }).code], [403, 'COMMAND_REFUSED'])
})
test('a streaming caller that does not read holds the program, and loses nothing when it reads on', async (t) => {
  const gw = await gateway(t)
  const size = 40_000_000
  const asked = httpRequest(`${gw.url}/api/v1/exec`, {
    method: 'POST',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json', ...NDJSON },
  })
  asked.end(JSON.stringify({ target: 'web-0', command: `head -c ${size} /dev/zero | tr '\\0' x` }))
  const [response] = (await once(asked, 'response')) as [Readable]
  await gw.event('session.start')
  const [live] = gw.registry.list()
  // stands still once every buffer between is full
  let seen = -1
  while (seen !== live?.bytes().out || seen === 0) {
    seen = live?.bytes().out ?? 0
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  assert.ok(seen < size / 2, `${seen} bytes were taken from the program while nobody read`)
  let bytes = 0
  let exit: unknown
  for await (const line of createInterface({ input: response })) {
    const value = JSON.parse(line) as { stream?: string; data?: string; exit?: number }
    bytes += value.data?.length ?? 0
    exit = value.exit
  }
  assert.deepEqual([bytes, exit], [size, 0])
})
test('a streaming caller that hangs up ends its program', async (t) => {
  const gw: ExecGateway = await gateway(t)
  const hangup = new AbortController()
  const response = await fetch(`${gw.url}/api/v1/exec`, {
    method: 'POST',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json', ...NDJSON },
    body: JSON.stringify({ target: 'web-0', command: 'while :; do echo x; done' }),
    signal: hangup.signal,
  })
  await response.body?.getReader().read()
  hangup.abort()
  assert.match((await gw.event('session.close')).reason, /the client left/)
  await until('the slot', () => gw.slots.running === 0)
})

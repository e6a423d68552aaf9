import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { ApiGateway } from '../http/support/api-gateway.js'
import { needs } from '../support/need.js'
import { CliRunner } from './support/run.js'

function item(pod: string, state = 'Running') {
  const target = { cluster: 'a', namespace: 'shop', pod, container: 'web', uid: pod, node: 'n', labels: { app: 'web' } }
  return { target, name: `a/shop/${pod}/web`, address: `${pod}.shop.a+web`, state, ready: state === 'Running', podIp: '' }
}
const lines = (answer: ServerResponse, ...values: object[]) => void answer.write(values.map((value) => `${JSON.stringify(value)}\n`).join(''))

/** A gateway that answers each watch as the next of `answers` does. */
async function fake(t: TestContext, answers: readonly ((answer: ServerResponse) => void)[]): Promise<string> {
  let next = 0
  const server = createServer((_request, answer) => {
    answer.setHeader('content-type', 'application/x-ndjson')
    const serve = answers[next++]
    if (serve) serve(answer)
    else answer.writeHead(401, { 'content-type': 'application/json' }).end('{"code":"AUTH_FAILED","message":"login failed","trace":""}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a watch that is cut begins anew and tells only what has changed meanwhile; a login that has ended is 255 and one line', async (t) => {
  const server = await fake(t, [
    (answer) => {
      lines(answer, { kind: 'added', item: item('web-0') }, { kind: 'added', item: item('web-1') }, { kind: 'synced' })
      lines(answer, { kind: 'changed', item: item('web-1', 'CrashLoopBackOff') }, { kind: 'gone', item: item('web-1') })
      answer.end()
    },
    (answer) => {
      lines(answer, { kind: 'added', item: item('web-0', 'Terminating') }, { kind: 'added', item: item('web-2') }, { kind: 'synced' })
      answer.end()
    },
    (answer) => {
      lines(answer, { kind: 'added', item: item('web-2') }, { kind: 'synced' }, { code: 'AUTH_FAILED', message: 'your login has ended' })
      answer.end()
    },
  ])
  const cli = await CliRunner.create(t, { DOCKIN_SERVER: server, DOCKIN_TOKEN: 'x' })
  const ran = await cli.run(['get', 'pods', '-w', '-o', 'json'])
  const told = ran.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ReturnType<typeof item>)
  assert.deepEqual(
    told.map(({ target, state }) => `${target.pod} ${state}`),
    ['web-0 Running', 'web-1 Running', 'web-1 CrashLoopBackOff', 'web-1 Gone', 'web-0 Terminating', 'web-2 Running', 'web-0 Gone'],
  )
  assert.equal(ran.code, 255)
  const [first, second, last, ...more] = ran.stderr.split('\n')
  assert.match(first ?? '', /^the watch was cut \(the gateway ended it\); asking again$/)
  assert.match(second ?? '', /^the watch was cut/)
  assert.deepEqual([last, more], ['dockin: your login has expired: opsctl login', ['']])
})

test('a token that runs out in the middle of a watch ends it with 255 and one line', { skip: needs.program('ssh') }, async (t) => {
  const gateway = new ApiGateway()
  t.after(() => gateway.stop())
  await gateway.start((config) => ({ ...config, http: { ...config.http, tokenLifetimeMs: 4000 } }))
  const cli = await CliRunner.create(t, { DOCKIN_SERVER: gateway.url, DOCKIN_TOKEN: await gateway.login('bob') })
  const ran = await cli.run(['get', 'pods', '-w', '-o', 'name'])
  assert.deepEqual([ran.code, ran.stderr], [255, 'dockin: your login has expired: opsctl login\n'])
  assert.match(ran.text, /^demo\/default\/web-0\/shell$/m)
})

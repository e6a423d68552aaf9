import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { silentLogger } from '../../src/core/log.js'
import { execRoutes } from '../../src/http/exec.js'
import type { ExecDoorParts } from '../../src/http/exec-parts.js'
import { fileRoutes } from '../../src/http/files.js'
import { startHttpServer } from '../../src/http/server.js'
import { until } from '../support/world.js'
import { execGateway } from './support/exec-gateway.js'

const LIMITS = { wholeMs: 200, idleMs: 400, leftMs: 200 }

async function world(t: TestContext) {
  let doors: ExecDoorParts | undefined
  const gw = await execGateway(t, (parts) => {
    doors = parts
    return []
  })
  assert.ok(doors)
  const routes = [fileRoutes(doors), execRoutes(doors)]
  const server = await startHttpServer({ listen: { host: '127.0.0.1', port: 0 }, routes, bodyLimits: LIMITS, log: silentLogger })
  t.after(() => server.close())
  /** Sends a head and answers the connection, with what it says and when it ends. */
  const send = (line: string, user: string, ...headers: string[]): { socket: Socket; said: () => string; closed: Promise<unknown> } => {
    const socket = connect(server.address.port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    socket.on('error', () => undefined)
    socket.write(`${[`${line} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${user}`, ...headers].join('\r\n')}\r\n\r\n`)
    return { socket, said: () => text, closed: once(socket, 'close') }
  }
  return { gw, send, url: `http://127.0.0.1:${server.address.port}` }
}

test('an upload may take many times the limit of other bodies, as long as its bytes come', async (t) => {
  const { gw, send, url } = await world(t)
  const { socket, said, closed } = send('PUT /api/v1/files?target=web-0&path=slow', 'alice', 'Content-Length: 12', 'Connection: close')
  const startedMs = performance.now()
  for (const letter of 'abcdefghijkl') {
    socket.write(letter)
    await later(100)
  }
  await closed
  assert.ok(performance.now() - startedMs > LIMITS.wholeMs * 4)
  assert.match(said(), /^HTTP\/1\.1 201 /)
  const got = await fetch(`${url}/api/v1/files?target=web-0&path=slow`, { headers: { authorization: 'Bearer alice' } })
  assert.equal(await got.text(), 'abcdefghijkl')
  await until('the slots', () => gw.slots.running === 0)
})
test('an upload that falls silent is cut, and told as a part', async (t) => {
  const { gw, send } = await world(t)
  const { socket, said, closed } = send('PUT /api/v1/files?target=web-0&path=half', 'alice', 'Content-Length: 1000')
  while ((gw.registry.list()[0]?.bytes().in ?? 0) === 0) {
    socket.write('a')
    await later(50)
  }
  await closed
  assert.match(said(), /^HTTP\/1\.1 408 .*IDLE_TIMEOUT/s)
  assert.equal((await gw.event('file', ({ op }) => op === 'upload')).partial, true)
  await gw.event('session.close')
})
test('any other body has to come within its limit, however its bytes come', async (t) => {
  const { gw, send } = await world(t)
  const { socket, said, closed } = send('POST /api/v1/exec', 'alice', 'Content-Type: application/json', 'Content-Length: 1000')
  const drip = setInterval(() => socket.write(' '), 50)
  await closed
  clearInterval(drip)
  assert.match(said(), /^HTTP\/1\.1 408 /)
  assert.equal(gw.events.length, 0)
})
test('whoever is refused has no time for an upload', async (t) => {
  const { send } = await world(t)
  const { socket, said, closed } = send('PUT /api/v1/files?target=web-0&path=x', '', 'Content-Length: 1000')
  const drip = setInterval(() => socket.write(' '), 50)
  await closed
  clearInterval(drip)
  assert.match(said(), /^HTTP\/1\.1 401 /)
})
test('a program that runs longer than any body may take is not cut', async (t) => {
  const { url } = await world(t)
  const answer = await fetch(`${url}/api/v1/exec`, {
    method: 'POST',
    headers: { authorization: 'Bearer alice', 'content-type': 'application/json', accept: 'application/x-ndjson' },
    body: JSON.stringify({ target: 'web-0', command: 'sleep 0.8; echo done' }),
  })
  assert.match(await answer.text(), /done/)
})

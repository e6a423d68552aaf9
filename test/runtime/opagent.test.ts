import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { ExecRequest, Target } from '../../src/core/types.js'
import { keepAlive } from '../../src/runtime/keep-alive.js'
import { AgentExecutor, type AgentExecutorOptions, agentPath } from '../../src/runtime/opagent.js'
import { SpdyConnection } from '../../src/wire/spdy/connection.js'
import { needs } from '../support/need.js'
import { socketPair } from '../wire/support/socket-pair.js'
import { makeCerts } from './support/certs.js'
import { startFakeAgent } from './support/fake-agent.js'

const TARGET: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u-1', node: 'node-a', containerId: 'docker://4711', labels: {} }
const never = new AbortController().signal

function executor(t: TestContext, address: string | undefined, more: Partial<AgentExecutorOptions> = {}): AgentExecutor {
  const endpoint = () => (address === undefined ? undefined : { node: 'node-a', address })
  const made = new AgentExecutor({ clusterName: 'a', endpoint, connectTimeoutMs: 2000, log: silentLogger, ...more })
  t.after(() => made.close())
  return made
}

async function output(made: AgentExecutor, argv: readonly string[], more: Partial<ExecRequest> = {}): Promise<string> {
  const process = await made.exec(TARGET, { argv, env: {}, ...more }, never)
  const out = await text(process.stdout)
  await process.exit
  return out
}

test('a program runs through an agent over mutual TLS', { skip: needs.program('openssl') }, async (t) => {
  const certs = makeCerts('node-a')
  const agent = await startFakeAgent(t, { certs })
  const tls = { ca: certs.ca, cert: certs.client.cert, key: certs.client.key }
  const made = executor(t, agent.address, { tls })
  const process = await made.exec(TARGET, { argv: ['sh', '-c', 'echo "$FOO"; echo err >&2; exit 7'], env: { FOO: 'bar' } }, never)
  assert.ok(process.stderr)
  assert.equal(process.via, 'agent node-a')
  assert.deepEqual(await Promise.all([text(process.stdout), text(process.stderr), process.exit]), ['bar\n', 'err\n', { kind: 'exited', code: 7 }])
  // Another node of that name cannot be played with the same certificate.
  const other = executor(t, undefined, { tls, endpoint: () => ({ node: 'node-b', address: agent.address }) })
  await assert.rejects(other.exec(TARGET, { argv: ['true'], env: {} }, never), { code: 'TARGET_UNREACHABLE', message: /node-b/ })
  // Nor does the agent answer without the gateway's certificate.
  const stranger = executor(t, agent.address, { tls: { ca: certs.ca, cert: certs.server.cert, key: certs.server.key } })
  await assert.rejects(stranger.exec(TARGET, { argv: ['true'], env: {} }, never), { code: 'TARGET_UNREACHABLE' })
})

test('the request names pod, container and program as kubelet’s clients do', () => {
  const path = agentPath(TARGET, { argv: ['echo', 'a b&c'], env: { A: '1=2' }, cwd: '/tmp' })
  assert.equal(path, '/exec/shop/web-0/u-1/web?command=echo&command=a+b%26c&input=1&output=1&error=1&env=A%3D1%3D2&cwd=%2Ftmp&containerId=docker%3A%2F%2F4711')
  const pty = agentPath(TARGET, { argv: ['sh'], env: {}, pty: { term: 'xterm', size: { columns: 1, rows: 1, widthPx: 0, heightPx: 0 }, modes: {} } })
  assert.equal(pty, '/exec/shop/web-0/u-1/web?command=sh&input=1&output=1&tty=1&env=TERM%3Dxterm&columns=1&rows=1&containerId=docker%3A%2F%2F4711')
})

test('an agent is reached through a unix socket', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-agent-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const agent = await startFakeAgent(t, { listen: join(dir, 'agent.sock') })
  assert.equal(await output(executor(t, agent.address), ['echo', 'unix']), 'unix\n')
  assert.equal(agent.connections(), 1)
})

test('the next program finds a connection that is open already', async (t) => {
  let third: () => void = () => {}
  const spare = new Promise<void>((resolve) => {
    third = resolve
  })
  const agent = await startFakeAgent(t, { onConnection: (_socket, count) => count === 3 && third() })
  const made = executor(t, agent.address)
  await output(made, ['true'])
  await spare
  assert.equal(agent.connections(), 3)
  const process = await made.exec(TARGET, { argv: ['true'], env: {} }, never)
  assert.equal(agent.execs.length, 2)
  await process.close()
})

test('a spare that the agent closed is not used', async (t) => {
  let closed: Promise<unknown> | undefined
  const agent = await startFakeAgent(t, {
    onConnection: (socket, count) => {
      if (count !== 2) return
      closed = once(socket, 'close')
      socket.end()
    },
  })
  const made = executor(t, agent.address, { spares: 1 })
  await output(made, ['true'])
  while (closed === undefined) await new Promise((resolve) => setImmediate(resolve))
  await closed
  assert.equal(await output(made, ['echo', 'ok']), 'ok\n')
})

test('a spare that breaks when it is used is replaced', async (t) => {
  let second: () => void = () => {}
  const spare = new Promise<void>((resolve) => {
    second = resolve
  })
  const agent = await startFakeAgent(t, {
    onConnection: (socket, count) => {
      if (count !== 2) return
      socket.removeAllListeners('data')
      socket.on('data', () => socket.resetAndDestroy())
      second()
    },
  })
  const made = executor(t, agent.address, { spares: 1 })
  await output(made, ['true'])
  await spare
  assert.equal(await output(made, ['echo', 'ok']), 'ok\n')
})

test('a dead agent is named, then refused at once, then tried again', async (t) => {
  const agent = await startFakeAgent(t)
  const port = Number(agent.address.split(':')[1])
  await agent.stop()
  const made = executor(t, agent.address)
  const exec = () => made.exec(TARGET, { argv: ['true'], env: {} }, never)
  await assert.rejects(exec(), { code: 'TARGET_UNREACHABLE', message: /node-a: .*ECONNREFUSED/, detail: 'node node-a' })
  const askedAt = performance.now()
  await assert.rejects(exec(), { code: 'TARGET_UNREACHABLE', message: /node-a: .*tried again in 1 s/ })
  assert.ok(performance.now() - askedAt < 100)
  await startFakeAgent(t, { listen: port })
  let tries = 0
  for (;;) {
    const process = await exec().catch((error: unknown) => {
      assert.ok(error instanceof OpsError && error.code === 'TARGET_UNREACHABLE')
    })
    if (process) break
    assert.ok(tries++ < 100)
    await new Promise((resolve) => setTimeout(resolve, 20)) // the back-off is under a second
  }
})

test('an agent that accepts and says nothing is unreachable', async (t) => {
  const mute = createServer()
  mute.on('upgrade', () => {})
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    mute.closeAllConnections()
    mute.close()
  })
  const made = executor(t, `127.0.0.1:${(mute.address() as AddressInfo).port}`, { connectTimeoutMs: 50, spares: 0 })
  await assert.rejects(made.exec(TARGET, { argv: ['true'], env: {} }, never), { code: 'TARGET_UNREACHABLE', message: /did not answer/ })
  mute.closeAllConnections()
})

test('a pod that is gone, a node without agent and a wrong address are refused', async (t) => {
  const request = { argv: ['true'], env: {} }
  await assert.rejects(executor(t, '127.0.0.1:1', { isCurrent: () => false }).exec(TARGET, request, never), { code: 'TARGET_GONE' })
  await assert.rejects(executor(t, undefined).exec(TARGET, request, never), { code: 'TARGET_UNREACHABLE', message: /node-a/ })
  await assert.rejects(executor(t, 'nonsense').exec(TARGET, request, never), { code: 'TARGET_UNREACHABLE', message: /nonsense/ })
})

test('ready asks the agents’ health, and one that is well is enough', async (t) => {
  const agent = await startFakeAgent(t)
  const well = { node: 'node-a', address: agent.address }
  const ill = { node: 'node-b', address: '127.0.0.1:1' }
  await executor(t, agent.address, { agents: () => [ill, well] }).ready(never)
  await assert.rejects(executor(t, agent.address, { agents: () => [ill] }).ready(never), { code: 'TARGET_UNREACHABLE', message: /node-b/ })
})

test('a program that an agent cannot start is said to be so', async (t) => {
  const agent = await startFakeAgent(t)
  await assert.rejects(executor(t, agent.address).exec(TARGET, { argv: ['/no/such/program'], env: {} }, never), { code: 'COMMAND_NOT_FOUND' })
})

test('closing the executor ends its programs', async (t) => {
  const agent = await startFakeAgent(t)
  const made = executor(t, agent.address)
  const process = await made.exec(TARGET, { argv: ['sleep', '1000'], env: {} }, never)
  await made.close()
  await assert.rejects(process.exit, { code: 'PROTOCOL_ERROR' })
})

test('a peer that stops answering pings is cut off', async (t) => {
  const pair = await socketPair()
  t.after(pair.close)
  pair.server.resume()
  const connection = new SpdyConnection(pair.client, { side: 'client' })
  keepAlive(connection, 'agent node-a', 10, 30)
  const hold = setTimeout(() => {}, 5000) // the timer of keepAlive keeps no process alive
  const error = await connection.closed
  clearTimeout(hold)
  assert.equal(error?.code, 'PROTOCOL_ERROR')
  assert.match(error.message, /agent node-a stopped answering/)
})

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type TestContext, test } from 'node:test'
import { OpsError, toOpsError } from '../../../src/core/errors.js'
import { KUBE_V4 } from '../../../src/wire/kube-channel.js'
import { refusalBody } from '../../../src/wire/spdy/refusal.js'
import { type Upgraded, upgradeClient } from '../../../src/wire/spdy/upgrade-client.js'
import { refuseUpgrade, upgradeServer } from '../../../src/wire/spdy/upgrade-server.js'
import { listening } from '../support/lanes.js'

function upgrade(port: number, more: { protocols?: string[]; timeoutMs?: number } = {}, signal?: AbortSignal): Promise<Upgraded> {
  return upgradeClient({ subject: 'agent n', secure: false, connection: { host: '127.0.0.1', port }, path: '/exec', protocols: [KUBE_V4], ...more }, signal)
}

/** A server that answers every request with this. */
function answering(t: TestContext, status: number, body: string): Promise<number> {
  return listening(
    t,
    createServer((_request, response) => response.writeHead(status).end(body)),
  )
}

const k8s = (reason: string, message: string) => JSON.stringify({ kind: 'Status', status: 'Failure', reason, message })
const refusals: readonly [string, number, string, string][] = [
  ['a pod that is gone', 404, k8s('NotFound', 'pods "x" not found'), 'TARGET_GONE'],
  ['a pod that kubelet does not know', 404, 'pod does not exist', 'TARGET_GONE'],
  ['a path that is not there', 404, '404 page not found', 'TARGET_UNREACHABLE'],
  ['a container that does not exist', 400, k8s('BadRequest', 'container nope is not valid for pod web-0'), 'TARGET_UNKNOWN'],
  ['a pod without a node', 400, k8s('BadRequest', 'pod x does not have a host assigned'), 'TARGET_NOT_RUNNING'],
  ['a container that stopped', 500, 'unable to upgrade connection: container not found ("web")', 'TARGET_NOT_RUNNING'],
  ['a lack of rights', 403, k8s('Forbidden', 'pods "x" is forbidden: User "u" cannot create resource'), 'TARGET_UNREACHABLE'],
  ['an agent’s own code', 409, refusalBody(new OpsError('DRAINING', 'shutting down')), 'DRAINING'],
  ['an endless body', 500, 'x'.repeat(1_000_000), 'TARGET_UNREACHABLE'],
]
for (const [name, status, body, code] of refusals) {
  test(`an upgrade refused for ${name} is ${code}`, async (t) => {
    const port = await answering(t, status, body)
    const error = await upgrade(port).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof OpsError)
    assert.equal(error.code, code)
    assert.ok(error.message.length < 700)
    if (status === 403) assert.match(error.message, /forbidden/)
  })
}

test('an upgrade says what the server spoke, and whether it is ours', async (t) => {
  const server = createServer()
  server.on('upgrade', (request, socket, head) => upgradeServer(request, socket, head))
  const port = await listening(t, server)
  const upgraded = await upgrade(port, { protocols: ['v5.channel.k8s.io', KUBE_V4] })
  assert.equal(upgraded.protocol, KUBE_V4)
  assert.equal(upgraded.isAgent, true)
  assert.ok((await upgraded.connection.ping()) >= 0)
  await upgraded.connection.close()
})

test('the server refuses what it cannot speak, with a Status', async (t) => {
  const server = createServer()
  server.on('upgrade', (request, socket, head) => {
    try {
      upgradeServer(request, socket, head)
    } catch (error) {
      refuseUpgrade(socket, toOpsError(error))
    }
  })
  const port = await listening(t, server)
  await assert.rejects(upgrade(port, { protocols: ['v9.channel.k8s.io'] }), { code: 'BAD_REQUEST', message: /v9\.channel/ })
})

test('a server that chooses what was not offered is refused', async (t) => {
  const server = createServer()
  server.on('upgrade', (_request, socket) =>
    socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v1\r\n\r\n'),
  )
  await assert.rejects(upgrade(await listening(t, server)), { code: 'PROTOCOL_ERROR', message: /chose protocol "v1"/ })
  const other = createServer()
  other.on('upgrade', (_request, socket) => socket.write('HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'))
  await assert.rejects(upgrade(await listening(t, other)), { code: 'PROTOCOL_ERROR', message: /switched to "h2c"/ })
})

test('an upgrade ends when nobody listens, nobody answers, or it is aborted', async (t) => {
  const mute = createServer()
  mute.on('upgrade', () => {})
  const port = await listening(t, mute)
  await assert.rejects(upgrade(port, { timeoutMs: 20 }), { code: 'TARGET_UNREACHABLE', message: /did not answer in 20 ms/ })
  const abort = new AbortController()
  const aborted = upgrade(port, {}, abort.signal)
  abort.abort(new OpsError('CLIENT_GONE', 'test'))
  await assert.rejects(aborted, { code: 'CLIENT_GONE' })
  await assert.rejects(upgrade(port, {}, abort.signal), { code: 'CLIENT_GONE' })
  await assert.rejects(upgrade(1), { code: 'TARGET_UNREACHABLE', message: /ECONNREFUSED/ })
})

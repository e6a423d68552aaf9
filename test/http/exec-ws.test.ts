import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { Exec, KubeConfig, type V1Status } from '@kubernetes/client-node'
import { WebSocket } from 'ws'
import { silentLogger } from '../../src/core/log.js'
import { isOwnOrigin } from '../../src/http/authenticate.js'
import { kubeRoutes } from '../../src/http/exec-kube.js'
import { RunSlots } from '../../src/http/exec-parts.js'
import { spdyExec } from '../../src/http/exec-spdy.js'
import { wsExec } from '../../src/http/ws-exec.js'
import { upgradeRoutes } from '../../src/http/ws-upgrades.js'
import { KUBE_V4, KUBE_V5 } from '../../src/wire/kube-channel.js'
import { text } from '../support/ends.js'
import { until } from '../support/world.js'
import { type ExecGateway, execGateway, identifyByName } from './support/exec-gateway.js'

function gateway(t: TestContext, options = {}): Promise<ExecGateway> {
  return execGateway(
    t,
    (parts, { resolver }) => [
      upgradeRoutes(
        [wsExec(parts, { isOwnOrigin: (request) => isOwnOrigin(request, { origins: ['https://ops.example.org'], isSecure: false }) }), spdyExec(parts)],
        silentLogger,
      ),
      kubeRoutes({ identify: identifyByName, list: (identity) => resolver.list(identity) }),
    ],
    options,
  )
}

interface Dialled {
  readonly socket: WebSocket
  /** Text per channel; 3 is the status. */
  readonly out: Record<number, string>
  readonly closed: Promise<number>
  send(channel: number, payload?: Uint8Array | string): void
  /** Resolves when `channel` holds `what`. */
  until(channel: number, what: string | RegExp): Promise<string>
}
async function dial(
  gw: ExecGateway,
  path: string,
  options: { user?: string; protocols?: string[]; origin?: string; headers?: Record<string, string> } = {},
): Promise<Dialled> {
  const { user = 'alice', protocols = [KUBE_V5], origin } = options
  const socket = new WebSocket(gw.url.replace('http', 'ws') + path, protocols, {
    headers: { ...(user !== '' && { authorization: `Bearer ${user}` }), ...options.headers },
    ...(origin !== undefined && { origin }),
  })
  const out: Record<number, string> = {}
  const wakers = new Set<() => void>()
  socket.on('message', (data: Buffer) => {
    const channel = data[0] as number
    out[channel] = (out[channel] ?? '') + data.subarray(1).toString('latin1')
    for (const wake of wakers) wake()
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  const refused = new Promise<never>((_resolve, reject) => {
    socket.once('unexpected-response', (_request, response) => {
      void text(response).then((body) => reject(new Error(`${response.statusCode} ${body}`)))
    })
    socket.once('error', reject)
  })
  await Promise.race([once(socket, 'open'), refused])
  return {
    socket,
    out,
    closed,
    send: (channel, payload = '') => socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(payload as string)])),
    until: (channel, what) =>
      new Promise((resolve) => {
        const look = () => {
          const got = out[channel] ?? ''
          if (typeof what === 'string' ? !got.includes(what) : !what.test(got)) return
          wakers.delete(look)
          resolve(got)
        }
        wakers.add(look)
        look()
      }),
  }
}
const exitOf = (status = '{}') =>
  (JSON.parse(status) as { details?: { causes?: { reason: string; message: string }[] } }).details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message
const causeOf = (status = '{}', reason: string) =>
  (JSON.parse(status) as { details?: { causes?: { reason: string; message: string }[] } }).details?.causes?.find((cause) => cause.reason === reason)?.message

test("client-node's Exec runs a command, feeds it stdin, half-closes and reads its status", async (t) => {
  const gw = await gateway(t)
  const config = new KubeConfig()
  config.loadFromOptions({
    clusters: [{ name: 'gw', server: gw.url, skipTLSVerify: true }],
    users: [{ name: 'alice', token: 'alice' }],
    contexts: [{ name: 'gw', cluster: 'gw', user: 'alice' }],
    currentContext: 'gw',
  })
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const out = text(stdout)
  const ended = new Promise<V1Status>((resolve) => {
    void new Exec(config).exec('default', 'web-0', 'shell', ['sh', '-c', 'cat; echo err >&2; exit 7'], stdout, stderr, stdin, false, resolve)
  })
  stdin.end('hello gateway\n')
  const status = await ended
  stdout.end()
  assert.equal(await out, 'hello gateway\n')
  assert.equal(String(stderr.read()), 'err\n')
  assert.deepEqual([status.status, status.reason, exitOf(JSON.stringify(status))], ['Failure', 'NonZeroExitCode', '7'])
  assert.equal((await gw.event('session.close')).door, 'ws')
})
test('both protocols carry outputs on their channels and end with a status and a clean close', async (t) => {
  const gw = await gateway(t)
  for (const protocol of [KUBE_V5, KUBE_V4]) {
    const one = await dial(gw, '/api/v1/exec?target=web-0&line=echo+a%3B+echo+b+%3E%262', { protocols: ['channel.k8s.io', protocol] })
    assert.equal(one.socket.protocol, protocol)
    assert.equal(await one.closed, 1000)
    assert.deepEqual([one.out[1], one.out[2]], ['a\n', 'b\n'])
    assert.match(one.out[3] ?? '', /"status":"Success"/)
    assert.ok(causeOf(one.out[3], 'DockinSession'))
  }
})
test('v5 ends the input of a program; what came before it is read', async (t) => {
  const gw = await gateway(t)
  const one = await dial(gw, '/api/v1/exec?target=web-0&command=wc&command=-c&stdin=true')
  one.send(0, 'x'.repeat(1000))
  one.send(255, Buffer.from([0]))
  await one.closed
  assert.equal(one.out[1]?.trim(), '1000')
})
test('a terminal has the size that the client sends, at the start and later', async (t) => {
  const gw = await gateway(t)
  const one = await dial(gw, '/api/v1/exec?target=web-0&command=sh&tty=true&stdin=true')
  one.send(4, '{"Width":101,"Height":37}\n')
  one.send(0, 'stty size\n')
  await one.until(1, '37 101')
  one.send(4, '{"Width":55,"Height":22}\n')
  await gw.event('session.resize')
  one.send(0, 'while [ "$(stty size)" != "22 55" ]; do :; done; echo resi""zed; exit 3\n')
  await one.until(1, 'resized')
  await one.closed
  assert.equal(exitOf(one.out[3]), '3')
  assert.equal((await gw.event('session.open')).pty?.term, 'xterm')
})
test('a shell under a rule with commands is guarded, whether it is named or not', async (t) => {
  const gw = await gateway(t)
  for (const command of ['', '&command=bash', '&command=/bin/sh&command=-i']) {
    const one = await dial(gw, `/api/v1/exec?target=web-0&tty=true&stdin=true&columns=90&rows=30${command}`, { user: 'bob' })
    await one.until(1, 'default/web-0')
    one.send(0, 'rm -rf /nowhere\r')
    await one.until(1, 'refused')
    one.send(0, '\x04')
    await one.closed
  }
  const denied = gw.events.filter((event) => event.type === 'command' && event.verdict === 'deny')
  assert.deepEqual(
    denied.map((event) => (event.type === 'command' ? [event.line, event.door] : [])),
    Array(3).fill(['rm -rf /nowhere', 'ws']),
  )
})
test('a refused command starts nothing; the client reads why and exits 254', async (t) => {
  const gw = await gateway(t)
  const one = await dial(gw, '/api/v1/exec?target=web-0&command=rm&command=x', { user: 'bob' })
  await one.closed
  assert.match(one.out[2] ?? '', /^dockin: command refused: .*rule careful; ask alice\n$/)
  assert.deepEqual([exitOf(one.out[3]), causeOf(one.out[3], 'DockinCode'), causeOf(one.out[3], 'DockinRule')], ['254', 'COMMAND_REFUSED', 'careful'])
  assert.equal(
    gw.events.some(({ type }) => type === 'session.start'),
    false,
  )
})
test('a token may come as a subprotocol and is not echoed', async (t) => {
  const gw = await gateway(t)
  const bearer = `base64url.bearer.authorization.k8s.io.${Buffer.from('alice').toString('base64url')}`
  const one = await dial(gw, '/api/v1/exec?target=web-0&line=true', { user: '', protocols: [bearer, KUBE_V5] })
  assert.equal(one.socket.protocol, KUBE_V5)
  assert.equal(await one.closed, 1000)
})
test('what cannot be served is refused before the upgrade, as a Kubernetes Status', async (t) => {
  const gw = await gateway(t, { slots: new RunSlots({ perUser: 0 }) })
  const refused = async (path: string, options: Parameters<typeof dial>[2], expected: RegExp) => assert.rejects(dial(gw, path, options), expected)
  const good = '/api/v1/exec?target=web-0&line=true'
  await refused(good, { user: '' }, /^Error: 401 .*"kind":"Status".*login failed/)
  await refused(good, { origin: 'https://evil.example' }, /^Error: 403 .*did not come from our own page/)
  await refused(good, { origin: 'null' }, /^Error: 403/)
  await refused(good, { protocols: ['v3.channel.k8s.io'] }, /^Error: 400 .*v5\.channel/)
  await refused('/api/v1/exec?line=true', {}, /^Error: 400 .*target=/)
  await refused('/api/v1/elsewhere', {}, /^Error: 404/)
  await refused(good, {}, /^Error: 429/)
  // our own page, and one that the config names, come as far as the limit
  await refused(good, { origin: gw.url }, /^Error: 429/)
  await refused(good, { origin: 'https://ops.example.org' }, /^Error: 429/)
})
test('a client that leaves ends its program, and one that breaks the protocol is cut off', async (t) => {
  const gw = await gateway(t)
  const one = await dial(gw, '/api/v1/exec?target=web-0&line=sleep+600')
  await gw.event('session.start')
  one.socket.terminate()
  assert.match((await gw.event('session.close')).reason, /the client left/)
  const two = await dial(gw, '/api/v1/exec?target=web-0&line=sleep+600')
  await until('the second', () => gw.events.filter(({ type }) => type === 'session.start').length === 2)
  two.send(77, 'x')
  await two.closed
  await until('the second end', () => gw.events.filter(({ type }) => type === 'session.close').length === 2)
  await until('the slots', () => gw.slots.running === 0)
})
test('a client that does not read holds the program; one that is not read is held itself', async (t) => {
  const gw = await gateway(t)
  const size = 40_000_000
  const one = await dial(gw, `/api/v1/exec?target=web-0&line=head+-c+${size}+%2Fdev%2Fzero`)
  one.socket.pause()
  await gw.event('session.start')
  const [live] = gw.registry.list()
  let seen = -1
  while (seen !== live?.bytes().out || seen === 0) {
    seen = live?.bytes().out ?? 0
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  assert.ok(seen < size / 2, `${seen} bytes were taken from the program while nobody read`)
  one.socket.resume()
  await one.closed
  assert.equal(one.out[1]?.length, size)

  const two = await dial(gw, '/api/v1/exec?target=web-0&line=read+go%3B+sleep+1%3B+cat+%7C+wc+-c&stdin=true')
  const block = Buffer.alloc(100_000, 'x')
  for (let i = 0; i < 200; i++) two.send(0, block)
  two.send(255, Buffer.from([0]))
  await until('the client to be held', () => two.socket.bufferedAmount > 5_000_000)
  two.send(0, '')
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.ok(two.socket.bufferedAmount > 5_000_000, 'a client that is not read was read all the same')
  two.socket.terminate()
})
test('a client that answers no ping is let go', async (t) => {
  const gw = await gateway(t, { heartbeatMs: 100 })
  const one = await dial(gw, '/api/v1/exec?target=web-0&line=sleep+600')
  one.socket.pause()
  const closed = await gw.event('session.close')
  assert.match(closed.reason, /the client left/)
  one.socket.terminate()
})
test('the GETs of kubectl show the pods that one may see, and refuse as Kubernetes does', async (t) => {
  const gw = await gateway(t)
  const get = async (path: string, user = 'carol') => {
    const response = await fetch(gw.url + path, { headers: { authorization: `Bearer ${user}` } })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const pod = await get('/api/v1/namespaces/default/pods/web-0')
  assert.deepEqual([pod.status, pod.body.kind], [200, 'Pod'])
  const hidden = await get('/k8s/local/api/v1/namespaces/default/pods/db-0')
  assert.deepEqual([hidden.status, hidden.body.kind, hidden.body.reason], [404, 'Status', 'NotFound'])
  const list = await get('/api/v1/namespaces/default/pods')
  assert.deepEqual(
    (list.body.items as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name),
    ['web-0', 'web-1'],
  )
  assert.equal((await get('/k8s/other/api/v1/pods')).status, 200)
  assert.equal((await get('/api/v1', '')).status, 401)
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { LocalRuntime } from '../../agent/local.js'
import { type AgentOptions, type RunningAgent, startAgent } from '../../agent/server.js'
import { makeCertificates } from '../../src/certs.js'
import { createLogger, silentLogger } from '../../src/core/log.js'
import type { RemoteProcess } from '../../src/core/types.js'
import { openExecLanes } from '../../src/wire/exec-lanes-client.js'
import { upgradeClient } from '../../src/wire/spdy/upgrade-client.js'
import { needs } from '../support/need.js'
import { markMaker, processes, untilGone, untilShown } from './support/lanes.js'

const nextMark = markMaker(700)
const dir = mkdtempSync(join(tmpdir(), 'agent-server-'))
const never = new AbortController().signal
let runtime: LocalRuntime
before(async () => {
  runtime = new LocalRuntime({ dataDir: join(dir, 'pods'), pods: [{ name: 'web-0', uid: 'u-1' }], log: silentLogger })
  await makeCertificates(join(dir, 'certs'), { agents: ['node-a', 'node-b'] })
  await makeCertificates(join(dir, 'other'), { agents: [] })
})
after(async () => {
  await runtime.close()
  rmSync(dir, { recursive: true })
})

async function withAgent(more: Partial<AgentOptions>, use: (agent: RunningAgent, port: number) => Promise<void>): Promise<void> {
  const agent = await startAgent({ listen: { host: '127.0.0.1', port: 0 }, runtime, log: silentLogger, ...more })
  try {
    await use(agent, 'port' in agent.address ? agent.address.port : 0)
  } finally {
    await agent.close()
  }
}
const PATH = '/exec/default/web-0/u-1/shell'
const query = (argv: readonly string[]) => `?${argv.map((word) => `command=${encodeURIComponent(word)}`).join('&')}&input=1&output=1&error=1`

async function exec(
  port: number,
  argv: readonly string[],
  path = PATH,
  connection: object = { host: '127.0.0.1', port },
  secure = false,
): Promise<RemoteProcess> {
  const upgraded = await upgradeClient({ subject: 'agent', secure, connection, path: path + query(argv), protocols: ['v4.channel.k8s.io'], wantsWindows: true })
  assert.equal(upgraded.headers['x-dockin-agent'], '1')
  return openExecLanes(upgraded.connection, { stdin: true, stdout: true, stderr: true, tty: false, signals: true, via: 'agent' }, never)
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly header: string | undefined
}
function ask(options: object, secure = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)({ host: '127.0.0.1', agent: false, ...options })
    request.on('error', reject)
    request.on('upgrade', (_response, socket) => {
      socket.destroy()
      reject(new Error('was upgraded'))
    })
    request.on('response', (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, body, header: response.headers['x-dockin-agent'] as string | undefined }),
        reject,
      )
    })
    request.end()
  })
}
const UPGRADE = { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': 'v4.channel.k8s.io' }
const upgrade = (port: number, path: string, headers: object = UPGRADE, method = 'POST') => ask({ port, path, method, headers })

test('a program runs over SPDY, with or without the uid in the path', () =>
  withAgent({}, async (agent, port) => {
    for (const path of [PATH, '/exec/default/web-0/shell', `${PATH}`]) {
      const process = await exec(port, ['sh', '-c', 'cat; echo err >&2; exit 3'], path)
      assert.equal(agent.execs, 1)
      process.stdin.end('in')
      assert.ok(process.stderr)
      assert.deepEqual(await Promise.all([text(process.stdout), text(process.stderr), process.exit]), ['in', 'err\n', { kind: 'exited', code: 3 }])
      await process.close()
    }
  }))

test('health and pods are told, other paths are not there, all with a Kubernetes Status', () =>
  withAgent({}, async (_agent, port) => {
    assert.deepEqual(await ask({ port, path: '/healthz' }), { status: 200, body: 'ok\n', header: '1' })
    assert.deepEqual(JSON.parse((await ask({ port, path: '/pods' })).body), [
      { id: 'web-0', namespace: 'default', pod: 'web-0', uid: 'u-1', container: 'shell' },
    ])
    const missing = await ask({ port, path: '/metrics' })
    assert.equal(missing.status, 404)
    const { kind, code, status } = JSON.parse(missing.body)
    assert.deepEqual([kind, code, status], ['Status', 404, 'Failure'])
    assert.equal((await ask({ port, path: '/healthz', method: 'DELETE' })).status, 400)
    assert.equal((await ask({ port, path: `${PATH}${query(['ls'])}`, method: 'POST' })).status, 400)
    assert.equal((await ask({ port, path: '/__proto__' })).status, 404)
  }))

test('an upgrade that cannot be is refused before it happens, with the right status', () =>
  withAgent({}, async (agent, port) => {
    const gone = await upgrade(port, `/exec/default/web-0/u-2/shell${query(['ls'])}`)
    assert.equal(gone.status, 404)
    assert.equal(JSON.parse(gone.body).code, 404)
    assert.match(JSON.parse(gone.body).message, /u-2/)
    assert.match(gone.body, /TARGET_GONE/)
    for (const path of ['/exec/shop/web-0/shell', '/exec/default/web-9/shell', '/exec/default/web-0/other'])
      assert.equal((await upgrade(port, path + query(['ls']))).status, 404)
    assert.equal((await upgrade(port, `${PATH}${query(['ls'])}&containerId=local://web-1`)).status, 404)
    assert.equal((await upgrade(port, `${PATH}?output=1`)).status, 400)
    assert.equal((await upgrade(port, '/attach/x')).status, 404)
    assert.equal((await upgrade(port, PATH + query(['ls']), { ...UPGRADE, Upgrade: 'websocket' })).status, 400)
    assert.equal((await upgrade(port, PATH + query(['ls']), { ...UPGRADE, 'X-Stream-Protocol-Version': 'v1' })).status, 400)
    assert.equal((await upgrade(port, PATH + query(['ls']), { ...UPGRADE, 'X-Long': 'x'.repeat(200_000) })).status, 431)
    assert.equal(agent.execs, 0)
  }))

test('a program that cannot be started is an error after the upgrade', () =>
  withAgent({}, async (_agent, port) => {
    await assert.rejects(exec(port, ['no-such-program']), { code: 'COMMAND_NOT_FOUND' })
  }))

test('when the connection goes, what it started is ended', () =>
  withAgent({}, async (agent, port) => {
    const mark = nextMark()
    const socket = connect({ host: '127.0.0.1', port })
    const process = await exec(port, ['sh', '-c', `(trap "" HUP; setsid sleep ${mark}) & sleep ${mark} & echo up; sleep ${mark}`], PATH, {
      createConnection: () => socket,
      host: 'x',
    })
    process.exit.catch(() => {})
    await untilShown(process.stdout, 'up')
    socket.resetAndDestroy()
    await untilGone(`sleep ${mark}`)
    const limit = Date.now() + 5000
    while (agent.execs > 0 && Date.now() < limit) await new Promise(setImmediate)
    assert.equal(agent.execs, 0)
  }))

test('close resolves at the caller only when nothing is left', () =>
  withAgent({}, async (_agent, port) => {
    const mark = nextMark()
    const process = await exec(port, ['sh', '-c', `trap "" HUP; echo up; sleep ${mark}; sleep ${mark}`])
    await untilShown(process.stdout, 'up')
    await process.close()
    assert.deepEqual(processes(`sleep ${mark}`), [])
  }))

test('a caller that upgrades and opens no streams leaves nothing behind when it goes', () =>
  withAgent({}, async (agent, port) => {
    const mark = nextMark()
    const { connection } = await upgradeClient({
      subject: 'agent',
      secure: false,
      connection: { host: '127.0.0.1', port },
      path: PATH + query(['sleep', mark]),
      protocols: ['v4.channel.k8s.io'],
    })
    const limit = Date.now() + 5000
    while (processes(`sleep ${mark}`).length === 0) assert.ok(Date.now() < limit)
    connection.destroy()
    await untilGone(`sleep ${mark}`)
    while (agent.execs > 0) await new Promise(setImmediate)
  }))

test('more programs than allowed are refused', () =>
  withAgent({ maxExecs: 1 }, async (_agent, port) => {
    const first = await exec(port, ['cat'])
    const second = await upgrade(port, PATH + query(['ls']))
    assert.equal(second.status, 429)
    first.stdin.end()
    await first.exit
    await first.close()
    const third = await exec(port, ['true'])
    assert.deepEqual(await third.exit, { kind: 'exited', code: 0 })
    await third.close()
  }))

test('draining takes nothing new and lets what runs finish', () =>
  withAgent({}, async (agent, port) => {
    const process = await exec(port, ['cat'])
    let isDrained = false
    const drained = agent.drain(60_000).then(() => {
      isDrained = true
    })
    assert.equal((await upgrade(port, PATH + query(['ls']))).status, 503)
    assert.equal((await ask({ port, path: '/healthz' })).status, 503)
    assert.equal(isDrained, false)
    process.stdin.end('last words')
    assert.equal(await text(process.stdout), 'last words')
    await drained
    await process.close()
  }))

test('draining ends at its limit, and closing ends what runs', () =>
  withAgent({}, async (agent, port) => {
    const mark = nextMark()
    const process = await exec(port, ['sleep', mark])
    const failed = assert.rejects(process.exit, { code: 'DRAINING' })
    await agent.drain(20)
    assert.equal(processes(`sleep ${mark}`).length, 1)
    await Promise.all([agent.close(), agent.close()])
    assert.deepEqual(processes(`sleep ${mark}`), [])
    await failed
  }))

test('without auth only loopback and unix sockets are taken, and the log says so', async () => {
  const lines: string[] = []
  const log = createLogger('info', { write: (line: string) => void lines.push(line) })
  await withAgent({ log }, async (_agent, port) => {
    const process = await exec(port, ['sh', '-c', 'echo hello; cat', 'secret-word'])
    process.stdin.end('typed')
    await text(process.stdout)
    await process.exit
    await process.close()
  })
  assert.ok(lines.some((line) => JSON.parse(line).level === 'warn' && /no-auth/.test(line)))
  const started = lines.find((line) => /exec\.start/.test(line)) ?? ''
  assert.match(started, /"program":"sh"/)
  assert.doesNotMatch(lines.join(''), /secret-word|typed|hello/)
  await assert.rejects(startAgent({ listen: { host: '0.0.0.0', port: 0 }, runtime, log: silentLogger }), { code: 'CONFIG_INVALID' })
})

test('a unix socket is its owner’s alone; one left by a dead agent is taken over, one in use is not', async () => {
  const path = join(dir, 'agent.sock')
  const dead = spawn(process.execPath, ['-e', 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))', path])
  await once(dead, 'exit')
  assert.ok(statSync(path).isSocket())
  await withAgent({ listen: { path } }, async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal((await ask({ socketPath: path, path: '/healthz' })).status, 200)
    await assert.rejects(startAgent({ listen: { path }, runtime, log: silentLogger }), { code: 'CONFIG_INVALID' })
  })
  writeFileSync(path, 'a file')
  await assert.rejects(startAgent({ listen: { path }, runtime, log: silentLogger }), { code: 'CONFIG_INVALID' })
  rmSync(path)
})

test('over mutual TLS the gateway comes in, and nobody else', async () => {
  const certs = (folder: string, name: string) => ({
    cert: readFileSync(join(dir, folder, `${name}.crt`)),
    key: readFileSync(join(dir, folder, `${name}.key`)),
  })
  const ca = readFileSync(join(dir, 'certs', 'ca.crt'))
  await withAgent({ auth: { ca, ...certs('certs', 'node-a'), gateways: ['opserver'] } }, async (_agent, port) => {
    const gateway = { host: '127.0.0.1', port, ca, servername: 'node-a', ...certs('certs', 'opserver') }
    const process = await exec(port, ['echo', 'hi'], PATH, gateway, true)
    assert.equal(await text(process.stdout), 'hi\n')
    await process.close()
    const health = (more: object) => ask({ port, ca, servername: 'node-a', path: '/healthz', ...more }, true)
    assert.equal((await health(certs('certs', 'opserver'))).status, 200)
    await assert.rejects(health({}), /certificate required|ECONNRESET|socket hang up/i)
    await assert.rejects(health(certs('other', 'opserver')), /unknown ca|ECONNRESET|socket hang up/i)
    await assert.rejects(health(certs('certs', 'node-b')), /certificate|ECONNRESET|socket hang up/i)
    await assert.rejects(ask({ port, path: '/healthz' }))
  })
  await withAgent({ auth: { ca, ...certs('certs', 'node-a'), gateways: ['another'] } }, async (_agent, port) => {
    const options = { port, ca, servername: 'node-a', ...certs('certs', 'opserver') }
    assert.equal((await ask({ ...options, path: '/pods' }, true)).status, 403)
    const refused = await ask({ ...options, path: PATH + query(['ls']), method: 'POST', headers: UPGRADE }, true)
    assert.equal(refused.status, 403)
    assert.match(JSON.parse(refused.body).message, /"opserver"/)
  })
  await assert.rejects(
    startAgent({ listen: { host: '127.0.0.1', port: 0 }, runtime, log: silentLogger, auth: { ca, cert: 'x', key: 'y', gateways: ['opserver'] } }),
    { code: 'CONFIG_INVALID' },
  )
})

/** Enough of an API server for `kubectl exec`: it hands the exec to the agent as the real one does to the kubelet. */
function fakeApi(agentPort: number) {
  const pod = {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'web-0', namespace: 'default', uid: 'u-1' },
    spec: { containers: [{ name: 'shell' }], nodeName: 'n' },
    status: { phase: 'Running' },
  }
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0]
    const answers: Record<string, object> = {
      '/api': { kind: 'APIVersions', versions: ['v1'] },
      '/apis': { kind: 'APIGroupList', groups: [] },
      '/api/v1': {
        kind: 'APIResourceList',
        groupVersion: 'v1',
        resources: [
          { name: 'pods', namespaced: true, kind: 'Pod', verbs: ['get'] },
          { name: 'pods/exec', namespaced: true, kind: 'PodExecOptions', verbs: ['create'] },
        ],
      },
      '/api/v1/namespaces/default/pods/web-0': pod,
    }
    const answer = answers[path ?? '']
    response.writeHead(answer ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer ?? {}))
  })
  server.on('upgrade', (request, socket, head) => {
    const { search } = new URL(request.url ?? '', 'http://x')
    const lines = request.rawHeaders.flatMap((word, i, all) => (i % 2 === 0 ? [`${word}: ${all[i + 1]}`] : []))
    const agent = connect({ host: '127.0.0.1', port: agentPort })
    agent.write(`${request.method} /exec/default/web-0/shell${search} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    agent.write(head)
    agent.pipe(socket)
    socket.pipe(agent)
    for (const [one, other] of [
      [agent, socket],
      [socket, agent],
    ] as const)
      one.on('error', () => other.destroy())
  })
  return server
}

test('kubectl runs programs through the agent', { skip: needs.program('kubectl') }, () =>
  withAgent({}, async (_agent, port) => {
    const api = fakeApi(port)
    api.listen(0, '127.0.0.1')
    await once(api, 'listening')
    try {
      const { port: apiPort } = api.address() as AddressInfo
      const kubectl = (flags: string[], command: string[], input = '') => {
        const child = spawn('kubectl', ['--server', `http://127.0.0.1:${apiPort}`, 'exec', ...flags, 'web-0', '--', ...command], {
          env: { ...process.env, KUBECONFIG: '/dev/null', HOME: dir },
        })
        child.stdin.end(input)
        return Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit').then(([code]) => code)])
      }
      const [out, err, code] = await kubectl(['-i'], ['sh', '-c', 'cat; echo err >&2; exit 7'], 'hello')
      assert.equal(out, 'hello')
      assert.match(err, /err\n/)
      assert.equal(code, 7)
      const [, why, failed] = await kubectl([], ['no-such-program'])
      assert.match(why, /exit code 127/)
      assert.equal(failed, 127)
    } finally {
      api.closeAllConnections()
      api.close()
    }
  }),
)

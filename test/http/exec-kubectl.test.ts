/** kubectl itself, with a kubeconfig whose server is this gateway. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificates } from '../../src/certs.js'
import { silentLogger } from '../../src/core/log.js'
import { kubeRoutes } from '../../src/http/exec-kube.js'
import { spdyExec } from '../../src/http/exec-spdy.js'
import { wsExec } from '../../src/http/ws-exec.js'
import { upgradeRoutes } from '../../src/http/ws-upgrades.js'
import { needs } from '../support/need.js'
import { tempDir } from '../support/temp-dir.js'
import { run } from '../support/world.js'
import { execGateway, identifyByName } from './support/exec-gateway.js'

const skip = needs.program('kubectl')

/** kubectl sends a token over TLS only. */
async function certificate(t: TestContext): Promise<{ cert: Buffer; key: Buffer; ca: string }> {
  const dir = await tempDir(t)
  await makeCertificates(dir, { agents: [] })
  const [cert, key] = await Promise.all([readFile(join(dir, 'opserver.crt')), readFile(join(dir, 'opserver.key'))])
  return { cert, key, ca: join(dir, 'ca.crt') }
}

async function world(t: TestContext, user = 'alice', prefix = '') {
  const { cert, key, ca } = await certificate(t)
  const gw = await execGateway(
    t,
    (parts, { resolver }) => [
      upgradeRoutes([wsExec(parts, { isOwnOrigin: () => false }), spdyExec(parts)], silentLogger),
      kubeRoutes({ identify: identifyByName, list: (identity) => resolver.list(identity) }),
    ],
    { tls: { cert, key } },
  )
  const dir = await tempDir(t)
  const kubeconfig = join(dir, 'gw.yaml')
  await writeFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'gw', cluster: { server: gw.url + prefix, 'certificate-authority': ca } }],
      users: [{ name: 'me', user: { token: user } }],
      contexts: [{ name: 'gw', context: { cluster: 'gw', user: 'me' } }],
      'current-context': 'gw',
    }),
  )
  const env = (websockets: boolean) => ({ ...process.env, HOME: dir, KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(websockets) })
  return {
    gw,
    kubectl: (args: readonly string[], input?: string, websockets = true) => run('kubectl', ['--kubeconfig', kubeconfig, ...args], input, env(websockets)),
    /** The same with a terminal of its own, 90 columns wide. */
    terminal: (line: string, input: string, websockets = true) =>
      run('script', ['-qec', `stty cols 90 rows 30; kubectl --kubeconfig ${kubeconfig} ${line}`, '/dev/null'], input, env(websockets)),
  }
}

for (const websockets of [true, false]) {
  const wire = websockets ? 'WebSocket' : 'SPDY'
  test(`kubectl exec runs commands through the gateway over ${wire}`, { skip }, async (t) => {
    const { kubectl, gw } = await world(t)
    const out = await kubectl(['exec', 'web-0', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'], undefined, websockets)
    assert.deepEqual([out.code, out.stdout.toString()], [7, 'out\n'], out.stderr)
    assert.match(out.stderr, /^err\n/)
    const fed = await kubectl(['exec', '-i', 'web-0', '--', 'wc', '-c'], 'x'.repeat(100_000), websockets)
    assert.deepEqual([fed.code, fed.stdout.toString().trim()], [0, '100000'], fed.stderr)
    assert.ok(gw.events.every(({ door }) => door === 'ws'))
  })
  test(`kubectl exec -it has a terminal of its own size over ${wire}, and a guarded shell where the rule says so`, {
    skip: skip || needs.program('script'),
  }, async (t) => {
    const plain = await world(t)
    const free = await plain.terminal('exec -it web-0 -- sh', 'stty size; exit 4\n', websockets)
    assert.equal(free.code, 4, free.stdout.toString())
    assert.match(free.stdout.toString(), /30 90/)
    const guarded = await world(t, 'bob')
    const shell = await guarded.terminal('exec -it web-0 -- bash', 'rm -rf /nowhere\necho al""ive\nexit\n', websockets)
    assert.match(shell.stdout.toString(), /refused.*ask alice/s)
    assert.match(shell.stdout.toString(), /alive/)
    assert.ok(guarded.gw.events.some((event) => event.type === 'command' && event.verdict === 'deny' && event.line === 'rm -rf /nowhere'))
  })
}
test('kubectl prints the reason of a refusal and exits with its code', { skip }, async (t) => {
  const { kubectl } = await world(t, 'bob')
  const refused = await kubectl(['exec', 'web-0', '--', 'rm', 'x'])
  assert.equal(refused.code, 254)
  assert.match(refused.stderr, /dockin: command refused: .*ask alice/)
})
test('kubectl finds pods by its own discovery, and one cluster behind its prefix', { skip }, async (t) => {
  const { kubectl } = await world(t, 'carol', '/k8s/local')
  const list = await kubectl(['get', 'pods', '-o', 'name'])
  assert.deepEqual([list.code, list.stdout.toString()], [0, 'pod/web-0\npod/web-1\n'], list.stderr)
  const hidden = await kubectl(['exec', 'db-0', '--', 'ls'])
  assert.equal(hidden.code, 1)
  assert.match(hidden.stderr, /pods "db-0" not found|no such target/)
  assert.equal((await kubectl(['exec', 'pod/web-1', '--', 'echo', 'prefix'])).stdout.toString(), 'prefix\n')
})

/** kubectl with a kubeconfig whose server is a real gateway before a real cluster. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeCertificates } from '../../src/certs.js'
import { hashPassword } from '../../src/identity/password.js'
import { text } from '../support/ends.js'
import { needs } from '../support/need.js'
import { run, World } from '../support/world.js'

const PASSWORD = 'a long enough password'

test('kubectl exec -it web-0 -n shop -- bash through the gateway: guarded, recorded, told', {
  skip: needs.cluster('a') || needs.program('script'),
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-kubectl-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  await makeCertificates(dir, { agents: [] })
  const [ca, cert, key] = ['ca.crt', 'opserver.crt', 'opserver.key'].map((name) => join(dir, name)) as [string, string, string]
  const world = new World()
  t.after(() => world.stop())
  await world.start({
    clusters: ['a'],
    users: [{ name: 'bob', password: await hashPassword(PASSWORD) }],
    rules: [{ name: 'careful', who: { users: ['bob'] }, where: [{ cluster: 'a', namespace: 'shop' }], commands: { deny: ['rm'] } }],
    config: { http: { listen: '127.0.0.1:0', tls: { cert, key } } },
  })
  const server = `https://127.0.0.1:${world.httpPort}`
  const login = request(`${server}/api/v1/login`, { method: 'POST', ca: readFileSync(ca), headers: { 'content-type': 'application/json' } })
  const answered = new Promise<string>((resolve, reject) => login.on('response', (response) => text(response).then(resolve, reject)).on('error', reject))
  login.end(JSON.stringify({ user: 'bob', password: PASSWORD }))
  const { token } = JSON.parse(await answered) as { token?: string }
  assert.ok(token)
  const kubeconfig = join(dir, 'gw.yaml')
  const contexts = [{ name: 'gw', context: { cluster: 'gw', user: 'bob' } }]
  const clusters = [{ name: 'gw', cluster: { server, 'certificate-authority': ca } }]
  writeFileSync(
    kubeconfig,
    JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters, users: [{ name: 'bob', user: { token } }], contexts, 'current-context': 'gw' }),
  )
  const env = { ...process.env, HOME: dir }

  const line = `stty cols 100 rows 30; kubectl --kubeconfig ${kubeconfig} exec -it web-0 -n shop -- bash`
  const shell = await run('script', ['-qec', line, '/dev/null'], 'rm -rf /nowhere\necho al""ive in $(hostname)\nexit\n', env)
  assert.match(shell.stdout.toString(), /refused/)
  assert.match(shell.stdout.toString(), /alive in web-0/)
  const commands = world.events().flatMap((event) => (event.type === 'command' ? [`${event.door} ${event.verdict} ${event.line}`] : []))
  assert.ok(commands.includes('ws deny rm -rf /nowhere'), commands.join('\n'))
  const closed = world.events().find((event) => event.type === 'session.close')
  assert.ok(closed?.type === 'session.close' && closed.recording !== undefined)

  const piped = await run(
    'kubectl',
    ['--kubeconfig', kubeconfig, 'exec', '-i', 'web-0', '-n', 'shop', '-c', 'sidecar', '--', 'wc', '-c'],
    'x'.repeat(50_000),
    env,
  )
  assert.deepEqual([piped.code, piped.stdout.toString().trim()], [0, '50000'], piped.stderr)
  const hidden = await run('kubectl', ['--kubeconfig', kubeconfig, 'exec', 'tiny-0', '-n', 'default', '--', 'ls'], undefined, env)
  assert.notEqual(hidden.code, 0)
  assert.match(hidden.stderr, /not found|no such target/)
})

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type AgentConfig, loadAgentConfig, parseListen } from '../../agent/config.js'
import { makeCertificates } from '../../src/certs.js'

const dir = mkdtempSync(join(tmpdir(), 'agent-config-'))
const file = join(dir, 'opagent.yaml')
before(() => makeCertificates(join(dir, 'certs'), { agents: ['node-a'] }))
after(() => rmSync(dir, { recursive: true }))

const AUTH = 'auth: { ca: certs/ca.crt, cert: certs/node-a.crt, key: certs/node-a.key }'
function load(text: string, env: Record<string, string> = {}): Promise<AgentConfig> {
  writeFileSync(file, text)
  return loadAgentConfig(file, env)
}
async function mistakes(text: string): Promise<string[]> {
  let found: string[] = []
  await assert.rejects(load(text), (error: { code?: string; message: string }) => {
    found = error.message.split('\n').map((line) => line.replace(`${file}:`, ''))
    return error.code === 'CONFIG_INVALID'
  })
  return found
}

test('the example starts as it is', async () => {
  const config = await loadAgentConfig(join(import.meta.dirname, '../../config/opagent.yaml'), {})
  assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8085 })
  assert.equal(config.auth, undefined)
})
test('defaults are those of the contract', async () => {
  const { auth, ...rest } = await load(`listen: 0.0.0.0:8085\n${AUTH}\n`, { NODE_NAME: 'node-7' })
  assert.deepEqual(rest, {
    listen: { host: '0.0.0.0', port: 8085 },
    node: 'node-7',
    docker: 'unix:///var/run/docker.sock',
    starts: 'auto',
    maxExecs: 2000,
    drainTimeoutMs: 30_000,
    logLevel: 'info',
  })
  assert.deepEqual(auth?.gateways, ['opserver'])
  assert.match(String(auth?.ca), /BEGIN CERTIFICATE/)
  assert.equal((await load('listen: 127.0.0.1:0')).node, hostname())
})
test('every mistake is listed with line and key', async () => {
  assert.deepEqual(
    await mistakes('listen: nowhere\nnode: ""\ndocker: tcp://10.0.0.1:2375\nshell: yes\nauth:\n  ca: x\n  cert: y\n  key: z\n  gatways: [a]\n').then((all) =>
      all.map((line) => line.replace(/(: [^:]+): .*/, '$1')),
    ),
    ['1: listen', '2: node', '3: docker', '9: auth.gatways', '4: shell'],
  )
  assert.match((await mistakes(''))[0] ?? '', /^1: listen: /)
  assert.match((await mistakes('listen: [1'))[0] ?? '', /^1: /)
  assert.match((await mistakes('listen: 127.0.0.1:0\ndrainTimeout: soon'))[0] ?? '', /^2: drainTimeout: "soon" is not a duration/)
})
test('an address that others can reach needs auth', async () => {
  for (const address of ['0.0.0.0:8085', '"[::]:8085"', '10.0.0.1:8085']) assert.match((await mistakes(`listen: ${address}`))[0] ?? '', /^1: listen: .*auth/)
  for (const address of ['127.0.0.1:1', '"[::1]:1"', 'localhost:1', 'unix:///run/x.sock']) await load(`listen: ${address}`)
})
test('a private key that others may read is refused, and files that are missing are named', async () => {
  chmodSync(join(dir, 'certs/node-a.key'), 0o644)
  assert.match((await mistakes(`listen: 0.0.0.0:1\n${AUTH}`))[0] ?? '', /^2: auth\.key: .*mode 0644.*chmod 600/)
  chmodSync(join(dir, 'certs/node-a.key'), 0o600)
  const missing = await mistakes('listen: 0.0.0.0:1\nauth: { ca: no, cert: certs/node-a.crt, key: nor }')
  assert.deepEqual(
    missing.map((line) => line.slice(0, 12)),
    ['2: auth.ca: ', '2: auth.key:'],
  )
  await assert.rejects(loadAgentConfig(join(dir, 'none.yaml')), { code: 'CONFIG_INVALID' })
})
test('addresses are read in each of their forms', () => {
  assert.deepEqual(parseListen('[fd00::1]:80'), { host: 'fd00::1', port: 80 })
  assert.deepEqual(parseListen('node.example:0'), { host: 'node.example', port: 0 })
  for (const text of ['', '80', ':80', 'a:b', 'a:70000', '::1:80', 'unix:x', 'http://a:1']) assert.equal(parseListen(text), undefined)
})

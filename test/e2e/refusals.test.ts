/** What goes wrong says why in one line, with the exit code of the contract. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { kubeconfigOf, needs } from '../support/need.js'
import { run, stopProgram, until, World } from '../support/world.js'

const skip = needs.cluster('a') || needs.cluster('b') || needs.program('ssh')
const kubectl = (...args: string[]): string => execFileSync('kubectl', ['--kubeconfig', kubeconfigOf('a'), ...args], { encoding: 'utf8' })

function makePod(name: string, image: string, command: string): void {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      nodeName: 'node-a',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', image, imagePullPolicy: 'Never', ...(command && { command: command.split(' ') }) }],
    },
  }
  execFileSync('kubectl', ['--kubeconfig', kubeconfigOf('a'), 'apply', '-f', '-'], { input: JSON.stringify(pod), stdio: ['pipe', 'ignore', 'inherit'] })
  kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=300s')
}
const deletePod = (name: string): string => kubectl('delete', 'pod', name, '--ignore-not-found', '--grace-period=0', '--force', '--wait=true')

describe('refusals', { skip }, () => {
  let world: World
  before(async () => {
    world = await new World().start({ via: 'agent' })
  })
  after(async () => {
    await world?.stop()
    for (const pod of ['t-gone', 't-static']) deletePod(pod)
  })
  const line = (stderr: string): string =>
    stderr
      .trim()
      .split('\n')
      .filter((l) => l.startsWith('dockin:'))
      .join('\n')

  test('no target without a terminal says how to name one', async () => {
    const { code, stderr } = await world.ssh('alice', 'true')
    assert.equal(code, 255)
    assert.match(line(stderr), /^dockin: .*USER\+POD/)
  })
  test('an unknown pod is named as unknown, with near names', async () => {
    const { code, stderr } = await world.ssh('alice+web-00.shop.a', 'true')
    assert.equal(code, 255)
    assert.match(line(stderr), /^dockin: no such target.*web-0/)
  })
  test('two candidates are listed in the form that can be typed', async () => {
    const { code, stderr } = await world.ssh('alice+tiny-0', 'true')
    assert.equal(code, 255)
    assert.match(line(stderr), /tiny-0\.default\.a.*tiny-0\.default\.b/)
  })
  test('an unknown container lists those there are', async () => {
    const { code, stderr } = await world.ssh('alice+web-0.shop.a+nope', 'true')
    assert.equal(code, 255)
    assert.match(line(stderr), /nope.*web.*sidecar/)
  })
  test('an image without a shell still runs a program, and says why a shell cannot be had', async () => {
    makePod('t-static', 'pause:local', '')
    const plain = await world.ssh('alice+t-static.default.a', '/no-such-program --flag')
    assert.equal(plain.code, 127)
    const shell = await world.ssh('alice+t-static.default.a', 'echo $HOME')
    assert.equal(shell.code, 127)
    assert.match(line(shell.stderr), /no shell/)
  })
  test('a port forward that was refused, and a login name that is too long, are in the audit', async () => {
    const forward = await run('ssh', [...world.options(), '-p', String(world.sshPort), '-l', 'alice', '-W', '127.0.0.1:22', '127.0.0.1'])
    assert.equal(forward.code, 255)
    await world.ssh(`${'a'.repeat(600)}+web-0`, 'true')
    await until('both are told', () => {
      const events = world.events()
      const forwarded = events.some(
        (event) => event.type === 'session.refused' && event.user === 'alice' && /^direct-tcpip: .*does not forward/.test(event.reason),
      )
      return forwarded && events.some((event) => event.type === 'login.refused' && event.reason === 'the login name is too long')
    })
  })
  test('a pod deleted in use ends the session within seconds, saying so', async () => {
    makePod('t-gone', 'busybox:local', 'sleep 100000')
    await until('the pod to be known', async () => (await world.ssh('alice+t-gone.default.a', 'true')).code === 0)
    const running = world.ssh('alice+t-gone.default.a', 'echo in; sleep 1000')
    await until('the session to run', () => world.events().some((e) => e.type === 'session.start' && e.target?.pod === 't-gone'))
    deletePod('t-gone')
    const { code, stderr } = await running
    assert.notEqual(code, 0)
    if (code === 255) assert.match(line(stderr), /pod is gone|connection to the target/)
  })
  test('with the agent down the line names the node, and the session after it is up again works', async () => {
    const agent = world.agents.get('a')
    assert.ok(agent)
    const port = Number(/:(\d+)$/.exec(agent.ready)?.[1])
    await stopProgram(agent, 'SIGKILL')
    const { code, stderr } = await world.ssh('alice+web-0.shop.a', 'true')
    assert.equal(code, 255)
    assert.match(line(stderr), /^dockin: the target cannot be reached.*node-a/)
    await world.startAgent('a', port)
    await until('the agent to be used again', async () => (await world.ssh('alice+web-0.shop.a', 'true')).code === 0, 60_000)
  })
})

describe('a cluster whose API server is away', { skip: needs.program('ssh') }, () => {
  test('the gateway starts, says in readyz and to the user that the cluster does not answer', async () => {
    const world = new World()
    const kubeconfig = join(world.dir, 'dead.kubeconfig')
    const facts = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'dead', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [{ name: 'u', user: { token: 'x' } }],
      contexts: [{ name: 'dead', context: { cluster: 'dead', user: 'u' } }],
      'current-context': 'dead',
    }
    writeFileSync(kubeconfig, JSON.stringify(facts), { mode: 0o600 })
    try {
      await world.start({ clusters: [], via: 'apiserver', config: { clusters: [{ name: 'dead', kubeconfig, via: 'apiserver' }] } })
      const ready = await fetch(`http://127.0.0.1:${world.httpPort}/readyz`)
      assert.equal(ready.status, 503)
      assert.match(await ready.text(), /cluster dead/)
      const { code, stderr } = await world.ssh('alice+web-0', 'true')
      assert.equal(code, 255)
      assert.match(stderr, /^dockin: the target cannot be reached.*cluster dead/m)
    } finally {
      await world.stop()
    }
  })
})

describe('a config with mistakes', () => {
  test('opserver check prints each with file, line and key, exit 1', async () => {
    const { run, repository } = await import('../support/world.js')
    const { mkdtempSync, rmSync } = await import('node:fs')
    const { tmpdir } = await import('node:os')
    const dir = mkdtempSync(join(tmpdir(), 'dockin-check-'))
    const key = join(dir, 'key.pem')
    writeFileSync(key, 'x', { mode: 0o644 })
    const file = join(dir, 'bad.yaml')
    writeFileSync(
      file,
      `dataDir: ./data\nssh: { listen: 127.0.0.1:0, colour: red }\nagentAuth: { ca: ${key}, cert: ${key}, key: ${key} }\nclusters: []\nusers: []\nrules: []\n`,
    )
    const { code, stdout, stderr } = await run(process.execPath, [join(repository, 'dist/src/main.js'), 'check', '--config', file])
    rmSync(dir, { recursive: true })
    assert.equal(code, 1)
    assert.match(stdout.toString() + stderr, /bad\.yaml:2.*colour/)
    assert.match(stdout.toString() + stderr, /key\.pem.*0644|0644.*key\.pem/)
  })
})

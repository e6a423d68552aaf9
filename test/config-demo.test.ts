import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEMO_PODS, DEMO_USERS } from '../src/config/demo.js'
import { demoConfig } from '../src/config.js'
import type { Door, Identity, Target } from '../src/core/types.js'
import { createPolicy } from '../src/policy/policy.js'
import { vetLine } from '../src/policy/vet.js'
import { ed25519 } from './identity/keys.js'

function target(pod: string): Target {
  return { cluster: 'demo', namespace: 'default', pod, container: 'shell', uid: 'u', node: 'n', containerId: `local://${pod}`, labels: {} }
}
function identity(name: string): Identity {
  const user = config.users.find((candidate) => candidate.name === name)
  assert.ok(user)
  return { user: name, groups: user.groups, roles: user.roles, method: 'password', from: { host: '127.0.0.1', port: 1 } }
}
const config = demoConfig({ dataDir: 'd', sshPort: 0, httpPort: 8080 })
const policy = createPolicy(config.rules)

/** What the policy says of a person at a pod: no, plain, or the kind of list. */
function standing(name: string, pod: string, door: Door = 'shell'): string {
  const verdict = policy.decide({ kind: 'open', identity: identity(name), target: target(pod), door })
  return verdict.allow ? (verdict.commands?.mode ?? 'plain') : 'no'
}
function mayTransfer(name: string, direction: 'upload' | 'download', path = '/tmp/x'): boolean {
  return policy.decide({ kind: 'transfer', identity: identity(name), target: target('web-0'), door: 'sftp', direction, path }).allow
}

test('demo listens on loopback and keeps everything below its data folder', () => {
  assert.deepEqual(config.ssh.listen, { host: '127.0.0.1', port: 0 })
  assert.deepEqual(config.http.listen, { host: '127.0.0.1', port: 8080 })
  assert.ok(config.ssh.hostKeys.every((file) => file.startsWith(`${config.dataDir}/`)))
  assert.deepEqual(config.clusters, [{ kind: 'local', name: 'demo', pods: DEMO_PODS }])
  assert.ok(Object.isFrozen(config.rules[0]))
})

test('demo lets alice do everything, bob all but a list, carol a list, and audra nothing', () => {
  for (const pod of DEMO_PODS) {
    assert.equal(standing('alice', pod), 'plain')
    assert.equal(standing('bob', pod), 'deny')
    assert.equal(standing('carol', pod), pod.startsWith('web') ? 'allow' : 'no')
    assert.equal(standing('audra', pod), 'no')
  }
  assert.deepEqual(identity('audra').roles, ['user', 'auditor'])
  assert.deepEqual(identity('alice').roles, ['user', 'admin'])
})

test('demo shows each direction of transfers allowed and refused', () => {
  assert.ok(mayTransfer('alice', 'upload', '/etc/motd'))
  assert.ok(mayTransfer('bob', 'upload') && mayTransfer('bob', 'download'))
  assert.ok(!mayTransfer('bob', 'download', '/etc/shadow'))
  assert.ok(!mayTransfer('carol', 'upload') && mayTransfer('carol', 'download'))
})

test('demo users log in with the credentials that were given, and with none otherwise', () => {
  assert.ok(config.users.every((user) => user.password === undefined && user.keys.length === 0))
  const key = ed25519()
  const password = '$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo'
  const { users } = demoConfig({ dataDir: 'd', sshPort: 0, httpPort: 0, credentials: { bob: { password, keys: [key.line] } } })
  assert.deepEqual(
    users.map(({ name }) => name),
    DEMO_USERS.map(({ name }) => name),
  )
  assert.equal(users[1]?.password, password)
  assert.equal(users[1]?.keys[0]?.blob, key.blob.toString('base64'))
  assert.throws(() => demoConfig({ dataDir: 'd', sshPort: 0, httpPort: 0, credentials: { bob: { password: 'hunter2' } } }))
})

test('demo lets carol look at files, but not at secrets, by whatever name', () => {
  const judged = createPolicy(config.rules, vetLine)
  const runs = (line: string, cwd = '/'): boolean =>
    judged.decide({ kind: 'run', identity: identity('carol'), target: target('web-0'), door: 'exec', line, dialect: 'any', cwd }).allow
  for (const line of ['cat /etc/hostname', 'ls -l /etc', 'grep root /etc/passwd', 'tail -n 5 /var/log/syslog', 'cat notes.txt | sort', 'ps aux', 'df -h'])
    assert.ok(runs(line), line)
  const secrets = [
    'cat /etc/shadow',
    'head -n1 /etc/../etc/shadow',
    'cd /etc; cat shadow',
    'cat < /etc/shadow',
    'cat /etc/sh*',
    'cat /etc/s?adow',
    'cat /etc/{shadow,passwd}',
    'cat "/etc/sha"dow',
    'grep -r root /etc',
    'grep -R "" /',
    'sort /proc/self/root/etc/shadow',
    'cat /proc/1/environ',
    'cat /root/.ssh/id_ed25519',
    'wc /etc/shadow-',
    'x=/etc/shadow; cat $x',
    'cat $(echo /etc/shadow)',
    'tail -c +0 //etc//shadow',
    'sort --files0-from=/etc/shadow',
    'uniq /etc/shadow',
    'cut -d: -f2 /etc/./shadow',
  ]
  for (const line of secrets) assert.ok(!runs(line), line)
  assert.ok(!runs('cat shadow', '/etc'))
})

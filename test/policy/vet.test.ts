import assert from 'node:assert/strict'
import { test } from 'node:test'
import { demoConfig } from '../../src/config.js'
import type { Identity, Target, Verdict } from '../../src/core/types.js'
import { createPolicy } from '../../src/policy/policy.js'
import { vetLine } from '../../src/policy/vet.js'

const { users, rules } = demoConfig({ dataDir: 'd', sshPort: 0, httpPort: 0 })
const policy = createPolicy(rules, vetLine)
const target: Target = {
  cluster: 'demo',
  namespace: 'default',
  pod: 'web-0',
  container: 'shell',
  uid: 'u',
  node: 'n',
  containerId: 'local://web-0',
  labels: {},
}

function run(user: string, line: string, cwd = '/tmp'): Verdict {
  const groups = users.find(({ name }) => name === user)?.groups ?? []
  const identity: Identity = { user, groups, roles: ['user'], method: 'password', from: { host: '127.0.0.1', port: 1 } }
  return policy.decide({ kind: 'run', identity, target, door: 'shell', line, dialect: 'bash', cwd })
}

test('demo lists hold against the real analyser', () => {
  const table: readonly [user: string, line: string, allow: boolean, cwd?: string][] = [
    ['alice', 'rm -rf /', true],
    ['bob', 'ls -l', true],
    ['bob', 'rm x', false],
    ['bob', 'command rm x', false],
    ['bob', 'dd if=a', true],
    ['bob', 'dd if=a of=b', false],
    ['bob', 'chmod u+x f', true],
    ['bob', 'chmod -R u+x d', false],
    ['bob', 'cat shadow', false, '/etc'],
    ['bob', 'cat motd', true, '/etc'],
    ['carol', 'ls -l | sort | head', true],
    ['carol', 'cat /var/log/x', true],
    ['carol', 'rm x', false],
    ['carol', 'ls; rm x', false],
    ['carol', '$(rm x)', false],
  ]
  for (const [user, line, allow, cwd] of table) {
    const verdict = run(user, line, cwd)
    assert.equal(verdict.allow, allow, `${user}: ${line}: ${verdict.allow ? '' : verdict.reason}`)
  }
})

test('verdict says which rule refused, why, whom to ask, and what was understood', () => {
  const verdict = run('carol', 'ls | rm x')
  assert.ok(!verdict.allow)
  assert.equal(verdict.rule, 'support-look')
  assert.match(verdict.reason, /rm/)
  assert.equal(verdict.message, 'support may look; ask bob to change something')
  assert.deepEqual(verdict.analysis?.commands, [['ls'], ['rm', 'x']])
})

test('unfinished line is refused and says that it is unfinished', () => {
  const verdict = run('carol', "echo 'a")
  assert.ok(!verdict.allow && verdict.analysis?.incomplete === true)
  assert.equal(run('carol', 'echo a').analysis?.incomplete, undefined)
})

test('line that loads files carries what must be measured before it runs', () => {
  const rule = [{ name: 'r', users: ['bob'], groups: [], where: rules[1]?.where ?? [], doors: ['shell'] as const }]
  const commands = {
    mode: 'allow',
    entries: [{ cmd: 'less', flags: [], path: [] }],
    opaque: false,
    escapeCapable: true,
    editLimit: 10,
    shells: ['bash'],
  } as const
  const limited = createPolicy([{ ...(rule[0] as (typeof rule)[number]), commands }], vetLine)
  const identity: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'password', from: { host: '127.0.0.1', port: 1 } }
  const verdict = limited.decide({ kind: 'run', identity, target, door: 'shell', line: 'less big', dialect: 'bash', cwd: '/srv' })
  assert.deepEqual(verdict.allow && verdict.analysis?.sizeChecks, [{ command: 'less', path: '/srv/big' }])
})

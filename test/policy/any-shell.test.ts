/** Lines for a shell that nobody knows, as behind `sh -c`: they must hold in bash too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Identity, Target } from '../../src/core/types.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'
import { vetLine } from '../../src/policy/vet.js'

const identity: Identity = { user: 'carol', groups: [], roles: ['user'], method: 'publickey', from: { host: '127.0.0.1', port: 1 } }
const target: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://x', labels: {} }
const where = [{ cluster: '*' }]
const white = createPolicy(parseRules([{ name: 'white', who: { users: ['*'] }, where, commands: { allow: ['ls', 'cat', 'echo', 'id'] } }]), vetLine)
const black = createPolicy(
  parseRules([
    {
      name: 'black',
      who: { users: ['*'] },
      where,
      commands: { deny: ['rm', { cmd: 'cat', path: ['/etc/shadow'] }], opaque: 'allow', escape_capable: 'allow' },
    },
  ]),
  vetLine,
)
const asked = (line: string, dialect: 'any' | 'posix') => ({ kind: 'run', identity, target, door: 'exec', line, dialect, cwd: '/' }) as const

for (const line of [
  "x='a[$(touch /tmp/x)]'; echo $((x))",
  "test -v 'a[$(touch /tmp/x)]'",
  "[ -v 'a[$(touch /tmp/x)]' ]",
  "for x in 'a[$(touch /tmp/x)]'; do echo $((x)); done",
  'read x; echo $((x))',
  "x='a[$(touch /tmp/x)]'; echo ${1:-$((x))}",
]) {
  test(`a white list refuses what bash would run for an exec: ${line}`, () => {
    assert.equal(white.decide(asked(line, 'any')).allow, false)
  })
}

test('a white list lets plain lines of an exec pass', () => {
  for (const line of ['ls -l /', 'cat a | cat', 'id && echo ok', 'echo $((1+2))', 'x=1; echo $x'])
    assert.equal(white.decide(asked(line, 'any')).allow, true, line)
})

test('a line that starts another shell is read as that shell may read it', () => {
  const line = `bash -c 'x="a[\\$(rm victim)]"; echo $((x))'`
  assert.equal(black.decide(asked(line, 'posix')).allow, false)
})

test('openings of sets without an end cost no more than twice as much when there are twice as many', () => {
  const line = `cat ${'[a-'.repeat(20_000)}`
  const began = process.cpuUsage()
  black.decide(asked(line, 'any'))
  const { user } = process.cpuUsage(began)
  // it took eight seconds when each opening was searched to the end of the text
  assert.ok(user < 2_500_000, `${user} µs of CPU`)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Identity, Target, Verdict } from '../../src/core/types.js'
import { compileGlob, compileRests } from '../../src/policy/globs.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'
import type { TransferQuestion } from '../../src/policy/transfers.js'

const identity: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } }
const target: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }

function ask(files: object, question: Partial<TransferQuestion> & { path: string }): Verdict {
  const policy = createPolicy(parseRules([{ name: 'r', who: { users: ['bob'] }, where: [{ cluster: 'a' }], files }]))
  return policy.decide({ kind: 'transfer', identity, target, door: 'sftp', direction: 'upload', ...question })
}
const BOTH = { upload: true, download: true }

test('looking goes with either direction, changing with uploads', () => {
  for (const op of ['list', 'stat'] as const) {
    assert.equal(ask({ upload: true }, { op, path: '/x', direction: 'download' }).allow, true)
    assert.equal(ask({ download: true }, { op, path: '/x', direction: 'download' }).allow, true)
    assert.equal(ask({}, { op, path: '/x', direction: 'download' }).allow, false)
  }
  for (const op of ['mkdir', 'remove', 'rename', 'chmod', 'link'] as const) assert.equal(ask({ download: true }, { op, path: '/x' }).allow, false)
})
test('allowed paths hold for both names, and the way to them may be looked at', () => {
  const files = { ...BOTH, paths: { allow: ['/srv/app/*', '/tmp/up-?'], deny: ['*.key'] } }
  for (const path of ['/srv/app', '/srv/app/a/b', '/tmp/up-1']) assert.equal(ask(files, { path }).allow, true, path)
  for (const path of ['/srv', '/srv/apple', '/etc/passwd', '/tmp/up-12', '/srv/app/../x', '/srv/app/x.key'])
    assert.equal(ask(files, { path }).allow, false, path)
  for (const path of ['/', '/srv', '/tmp']) assert.equal(ask(files, { path, op: 'stat' }).allow, true, path)
  for (const path of ['/etc', '/srv2', '/tmp/x']) assert.equal(ask(files, { path, op: 'stat' }).allow, false, path)
  assert.equal(ask(files, { path: '/srv', op: 'list' }).allow, false)
  assert.equal(ask(files, { path: '/srv/app/a', op: 'rename', to: '/etc/a' }).allow, false)
  assert.equal(ask(files, { path: '/srv/app/a', op: 'link', to: '/etc/shadow' }).allow, false)
})
test('an alias of the root is the root', () => {
  const files = { ...BOTH, paths: { deny: ['/etc/*'] } }
  for (const path of ['/proc/self/root/etc/shadow', '/proc/1/root/etc/shadow', '//etc/shadow', '/x/../etc/shadow', '/etc'])
    assert.equal(ask(files, { path }).allow, false, path)
})
test('files are counted, sizes compared, types known', () => {
  assert.equal(ask({ ...BOTH, maxFiles: 3 }, { path: '/x', count: 3 }).allow, true)
  assert.equal(ask({ ...BOTH, maxFiles: 3 }, { path: '/x', count: 4 }).allow, false)
  const types = { ...BOTH, types: ['file', 'directory'] }
  assert.equal(ask(types, { path: '/x', type: 'file' }).allow, true)
  for (const type of ['symlink', 'hardlink'] as const) assert.equal(ask(types, { path: '/x', op: 'link', type }).allow, false)
})
test('a folder may not carry denied paths out of their name', () => {
  const move = (deny: string[], path: string, to: string, type: 'file' | 'directory' = 'directory'): boolean =>
    ask({ ...BOTH, paths: { deny } }, { op: 'rename', path, to, type }).allow
  assert.equal(move(['/srv/secret/*'], '/srv', '/old'), false)
  assert.equal(move(['/srv/secret/*'], '/srv', '/old', 'file'), true)
  assert.equal(move(['/srv/secret/*'], '/srv/other', '/old'), true)
  assert.equal(move(['/home/*/keys/*'], '/home/bob', '/tmp/bob'), false)
  assert.equal(move(['/home/*/keys/*'], '/home/bob', '/home/eve'), true)
  assert.equal(move(['*/.ssh/*'], '/root/x', '/tmp/x'), true)
  assert.equal(move(['*/.ssh/*'], '/root/.ssh', '/tmp/x'), false)
})
test('what a pattern may still match decides about every ending', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab/*?['), maxLength: 8 })
  fc.assert(
    fc.property(text, text, text, text, (pattern, one, other, ending) => {
      const rests = compileRests([pattern])
      const [a, b] = [rests(one), rests(other)]
      const matches = compileGlob(pattern)
      if (a.size === 0) assert.equal(matches(one + ending), false)
      if ([...a].every((rest) => b.has(rest)) && matches(one + ending)) assert.equal(matches(other + ending), true)
    }),
    { numRuns: 5000 },
  )
})

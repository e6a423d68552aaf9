import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createDirectory, parseUsers, userSchema } from '../../src/identity/directory.js'
import { hashPassword } from '../../src/identity/password.js'
import { ed25519 } from './keys.js'

test('directory holds what the users file says, with its defaults', async () => {
  const key = ed25519()
  const password = await hashPassword('pw', { memoryKib: 64, passes: 1 })
  const users = parseUsers([{ name: 'alice', groups: ['sre'], password, keys: [key.line], roles: ['auditor'] }, { name: 'bob' }])
  const directory = createDirectory(users)
  assert.deepEqual(directory.find('alice'), {
    name: 'alice',
    groups: ['sre'],
    password,
    keys: [{ type: 'ssh-ed25519', blob: key.blob.toString('base64'), comment: 'test@here' }],
    roles: ['user', 'auditor'],
  })
  assert.deepEqual(directory.find('bob'), { name: 'bob', groups: [], keys: [], roles: ['user'] })
  assert.deepEqual(directory.costClasses, ['$argon2id$v=19$m=64,t=1,p=1'])
})

test('directory finds exact names only', () => {
  const directory = createDirectory(parseUsers([{ name: 'alice' }]))
  for (const name of ['Alice', 'alice ', '', '__proto__', 'constructor', 'bob']) assert.equal(directory.find(name), undefined, name)
})

test('users file mistakes name the account and the number of the key', () => {
  const result = userSchema.safeParse({ name: 'a+b', password: 'hunter2', keys: [ed25519().line, 'ssh-dss AAAA'], roles: ['root'], shell: '/bin/sh' })
  const lines = result.error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`) ?? []
  assert.equal(lines.length, 5)
  for (const pattern of [/^name: must be 1 to 64/, /^password: is not an argon2id/, /^keys\.1: ssh-dss/, /^roles\.0: /, /^: Unrecognized key: "shell"/]) {
    assert.ok(
      lines.some((line) => pattern.test(line)),
      String(pattern),
    )
  }
  assert.ok(!lines.join().includes('hunter2'))
})

test('user names that an address or a path would misread are refused', () => {
  for (const name of ['', 'a+b', 'a/b', 'a:b', 'a@b', 'a b', '.a', '-a', 'é', 'a\n', 'x'.repeat(65)]) {
    assert.ok(!userSchema.safeParse({ name }).success, JSON.stringify(name))
  }
  for (const name of ['a', 'Alice', 'a.b-c_d', '_svc', '1st']) assert.ok(userSchema.safeParse({ name }).success, name)
})

test('user schema answers for any value without throwing', () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (a, b) => {
      userSchema.safeParse(a)
      userSchema.safeParse({ name: 'a', groups: a, password: b, keys: [a], roles: b })
    }),
  )
})

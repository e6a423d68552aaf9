import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadHostKeys } from '../../src/ssh/host-keys.js'
import { newPrivateKey } from '../../src/ssh/private-key.js'
import { selfCheck } from '../../src/ssh/self-check.js'
import { needs } from '../support/need.js'
import { tempDir } from '../support/temp-dir.js'
import { clientKey, library } from './gateway.js'

const skip = needs.program('ssh-keygen')

test('host keys are made when absent, private to their owner, and stay the same', async (t) => {
  const dir = await tempDir(t)
  const paths = [join(dir, 'keys', 'ssh_host_ed25519_key'), join(dir, 'keys', 'ssh_host_ecdsa_key')]
  const made = await loadHostKeys(paths)
  assert.deepEqual(
    made.map(({ type, created }) => [type, created]),
    [
      ['ssh-ed25519', true],
      ['ecdsa-sha2-nistp256', true],
    ],
  )
  assert.equal(statSync(join(dir, 'keys')).mode & 0o777, 0o700)
  for (const path of paths) assert.equal(statSync(path).mode & 0o777, 0o600)
  const again = await loadHostKeys(paths, library)
  assert.deepEqual(
    again.map(({ fingerprint, created }) => [fingerprint, created]),
    made.map(({ fingerprint }) => [fingerprint, false]),
  )
})

test('host keys and fingerprints are those that ssh-keygen reads', { skip }, async (t) => {
  const dir = await tempDir(t)
  for (const key of await loadHostKeys([join(dir, 'a'), join(dir, 'ecdsa')], library)) {
    assert.equal(execFileSync('ssh-keygen', ['-y', '-f', key.path], { encoding: 'utf8' }).trim(), key.publicKey)
    assert.match(execFileSync('ssh-keygen', ['-l', '-f', key.path], { encoding: 'utf8' }), new RegExp(` ${key.fingerprint.replaceAll('+', '\\+')} `))
  }
})

test('gateways that start at once agree on one key', async (t) => {
  const path = join(await tempDir(t), 'keys', 'host')
  const all = await Promise.all(Array.from({ length: 8 }, () => loadHostKeys([path], library)))
  assert.equal(new Set(all.map(([key]) => key?.fingerprint)).size, 1)
  assert.equal(all.filter(([key]) => key?.created).length, 1)
})

test('every new key can be read back', () => {
  for (let round = 0; round < 300; round++) {
    for (const type of ['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const) {
      const key = library.parseKey(newPrivateKey(type))
      assert.equal(key instanceof Error ? key.message : Array.isArray(key) ? 'array' : key.type, type)
    }
  }
})

test('a host key that others can read is refused with its file and mode', async (t) => {
  const path = join(await tempDir(t), 'host')
  await loadHostKeys([path], library)
  chmodSync(path, 0o640)
  await assert.rejects(loadHostKeys([path], library), {
    code: 'CONFIG_INVALID',
    message: `Cannot use host key "${path}": its mode 0640 lets others read it, make it 0600`,
  })
})

test('RSA keys, two of one type, encrypted keys, public keys, garbage, folders and no key at all are refused by name', { skip }, async (t) => {
  const dir = await tempDir(t)
  const rsa = clientKey(dir, 'rsa', 2048)
  await assert.rejects(loadHostKeys([rsa], library), /is of type ssh-rsa, use ssh-ed25519 or ecdsa-sha2-nistp256/)
  const twins = [join(dir, 'one'), join(dir, 'two')]
  await assert.rejects(loadHostKeys(twins, library), /is also of type ssh-ed25519/)
  const locked = join(dir, 'locked')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', locked])
  await assert.rejects(loadHostKeys([locked], library), { message: new RegExp(`Cannot use host key "${locked}": Encrypted`) })
  chmodSync(`${locked}.pub`, 0o600)
  await assert.rejects(loadHostKeys([`${locked}.pub`], library), /not a private key/)
  writeFileSync(join(dir, 'noise'), 'noise', { mode: 0o600 })
  await assert.rejects(loadHostKeys([join(dir, 'noise')], library), { code: 'CONFIG_INVALID' })
  mkdirSync(join(dir, 'folder'))
  await assert.rejects(loadHostKeys([join(dir, 'folder')], library), /not a plain file/)
  await assert.rejects(loadHostKeys([], library), /no host key is configured/)
})

test('the self-check says when the native binding is missing', () => {
  assert.equal(selfCheck({ ...library, bindingAvailable: true }).warnings.length, 0)
  const [warning] = selfCheck({ ...library, bindingAvailable: false }).warnings
  assert.match(warning ?? '', /no native binding for Node v.*npm rebuild ssh2/)
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { fingerprint, isSignatureOf, parseAuthorizedKey } from '../../src/identity/public-key.js'
import { needs } from '../support/need.js'
import { ecdsa, ed25519, rsa, sshFields } from './keys.js'

test('authorized key line is read for every supported type', () => {
  for (const key of [ed25519(), ecdsa(256), ecdsa(384), ecdsa(521), rsa(2048)]) {
    assert.deepEqual(parseAuthorizedKey(key.line), { type: key.type, blob: key.blob.toString('base64'), comment: 'test@here' })
  }
})

test('authorized key line may lack a comment or hold spaces in it', () => {
  const key = ed25519()
  const bare = `${key.type} ${key.blob.toString('base64')}`
  assert.equal(parseAuthorizedKey(bare).comment, '')
  assert.equal(parseAuthorizedKey(`  ${bare}\tbob  on his laptop \n`).comment, 'bob on his laptop')
})

test('authorized key line is refused with its reason', () => {
  const key = ed25519()
  const base64 = key.blob.toString('base64')
  const table: readonly [line: string, reason: RegExp][] = [
    ['', /must start with the key's type/],
    [base64, /must start with the key's type/],
    [`from="10.0.0.0/8" ${key.line}`, /options before it are not supported/],
    [`ssh-dss ${base64}`, /too weak/],
    [`sk-ssh-ed25519@openssh.com ${base64}`, /not supported yet/],
    [`ssh-ed25519-cert-v01@openssh.com ${base64}`, /certificates are not supported yet/],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', /private key does not belong here/],
    ['ssh-ed25519', /not base64/],
    ['ssh-ed25519 %%%', /not base64/],
    [`ssh-rsa ${base64}`, /not of type ssh-rsa/],
    [`ssh-ed25519 ${base64.slice(0, 40)}`, /cut short/],
    [`ssh-ed25519 ${sshFields('ssh-ed25519', Buffer.alloc(31)).toString('base64')}`, /not an ed25519 key/],
    [`ssh-ed25519 ${Buffer.concat([key.blob, sshFields('x')]).toString('base64')}`, /not an ed25519 key/],
    [`ecdsa-sha2-nistp256 ${sshFields('ecdsa-sha2-nistp256', 'nistp384', Buffer.alloc(65, 4)).toString('base64')}`, /not a point on nistp256/],
    [`ssh-rsa ${rsa(1024).blob.toString('base64')}`, /RSA key of 1024 bits is too weak/],
    [`ssh-rsa ${sshFields('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.alloc(4000, 0xff)).toString('base64')}`, /too long/],
    [`ssh-rsa ${sshFields('ssh-rsa', Buffer.from([2]), Buffer.alloc(256, 0xff)).toString('base64')}`, /exponent/],
    [`ssh-rsa ${sshFields('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.alloc(512)).toString('base64')}`, /0 bits is too weak/],
    ['__proto__ AAAA', /must start with the key's type/],
  ]
  for (const [line, reason] of table) assert.throws(() => parseAuthorizedKey(line), reason, line.slice(0, 60))
})

test('only signature algorithms that fit the key and are not SHA-1 are accepted', () => {
  assert.ok(isSignatureOf('ssh-ed25519', 'ssh-ed25519'))
  assert.ok(isSignatureOf('rsa-sha2-512', 'ssh-rsa'))
  assert.ok(!isSignatureOf('ssh-rsa', 'ssh-rsa'))
  assert.ok(!isSignatureOf('rsa-sha2-512', 'ssh-ed25519'))
  assert.ok(!isSignatureOf('toString', '__proto__'))
})

test('authorized key parser answers or throws a RangeError for any line', () => {
  const start = fc.constantFrom('', 'ssh-ed25519 ', 'ssh-rsa ', 'ecdsa-sha2-nistp521 ', 'ssh-rsa AAAAB3NzaC1yc2E')
  const rest = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  )
  fc.assert(
    fc.property(start, rest, (a, b) => {
      try {
        parseAuthorizedKey(a + b)
      } catch (error) {
        assert.ok(error instanceof RangeError)
      }
    }),
    { numRuns: 1000 },
  )
})

test('keys and fingerprints agree with ssh-keygen', { skip: needs.program('ssh-keygen') }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [type, bits] of [
    ['ed25519', '256'],
    ['ecdsa', '384'],
    ['rsa', '2048'],
  ] as const) {
    const file = join(folder, type)
    execFileSync('ssh-keygen', ['-q', '-t', type, '-b', bits, '-N', '', '-C', `${type} key`, '-f', file])
    const key = parseAuthorizedKey(readFileSync(`${file}.pub`, 'utf8'))
    assert.equal(key.comment, `${type} key`)
    const printed = execFileSync('ssh-keygen', ['-l', '-f', `${file}.pub`], { encoding: 'utf8' })
    assert.equal(fingerprint(Buffer.from(key.blob, 'base64')), printed.split(' ')[1])
  }
})

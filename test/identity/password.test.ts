import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { costClass, DEFAULT_COST_CLASS, dummyHash, hashMistake, hashPassword, verifyPassword } from '../../src/identity/password.js'

const CHEAP = { memoryKib: 64, passes: 1 }
const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')

test('argon2id hash opens to its password and no other', async () => {
  const hash = await hashPassword('correct horse', CHEAP)
  assert.match(hash, /^\$argon2id\$v=19\$m=64,t=1,p=1\$/)
  assert.equal(hashMistake(hash), undefined)
  assert.equal(await verifyPassword(hash, 'correct horse'), true)
  assert.equal(await verifyPassword(hash, 'correct horse '), false)
  assert.equal(await verifyPassword(hash, ''), false)
  assert.notEqual(await hashPassword('correct horse', CHEAP), hash)
})

test('default hash has the documented cost', async () => {
  const hash = await hashPassword('x')
  assert.equal(costClass(hash), DEFAULT_COST_CLASS)
  assert.equal(await verifyPassword(hash, 'x'), true)
})

test('scrypt hash of RFC 7914 section 12 is verified', async () => {
  // scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1, 64 bytes), the third vector
  const expected = '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'
  const phc = `$scrypt$ln=14,r=8,p=1$${base64(Buffer.from('SodiumChloride'))}$${base64(Buffer.from(expected, 'hex'))}`
  assert.equal(hashMistake(phc), undefined)
  assert.equal(await verifyPassword(phc, 'pleaseletmein'), true)
  assert.equal(await verifyPassword(phc, 'pleaseletmeout'), false)
})

test('scrypt hash is verified in the spelling of passlib too', async () => {
  const salt = Buffer.from('fbfbfbfbfbfbfbfbfbfbfbfbfbfbfbfb', 'hex')
  const hash = scryptSync('pw', salt, 32, { N: 2, r: 1, p: 1 })
  const phc = `$scrypt$ln=1,r=1,p=1$${base64(salt)}$${base64(hash)}`.replaceAll('+', '.')
  assert.match(phc, /\./)
  assert.equal(await verifyPassword(phc, 'pw'), true)
})

test('hash of another kind or of too high a cost is a mistake that repeats nothing of it', async () => {
  const tail = '$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo'
  const wrong = [
    '',
    'hunter2',
    '$2b$10$abcdefghijklmnopqrstuv',
    `$argon2i$v=19$m=64,t=1,p=1${tail}`,
    `$argon2id$v=19$m=9999999,t=1,p=1${tail}`,
    `$argon2id$v=19$m=64,t=99,p=1${tail}`,
    `$argon2id$v=19$m=64,t=1,p=0${tail}`,
    `$argon2id$v=19$m=1,t=1,p=1${tail}`,
    `$scrypt$ln=30,r=8,p=1${tail}`,
    `$scrypt$ln=0,r=8,p=1${tail}`,
    `$scrypt$ln=14,r=8,p=99${tail}`,
  ]
  for (const phc of wrong) {
    const mistake = hashMistake(phc)
    assert.ok(mistake, phc)
    assert.ok(phc === '' || !mistake.includes(phc))
    assert.equal(await verifyPassword(phc, 'hunter2'), false, phc)
  }
})

test('dummy hash costs what its class costs and opens to nothing', async () => {
  for (const cost of ['$argon2id$v=19$m=64,t=1,p=1', '$scrypt$ln=4,r=8,p=1']) {
    const dummy = dummyHash(cost)
    assert.equal(costClass(dummy), cost)
    assert.equal(hashMistake(dummy), undefined) // so it is really computed
    assert.equal(await verifyPassword(dummy, ''), false)
    assert.notEqual(dummyHash(cost), dummy)
  }
})

test('hash parser answers for any text', () => {
  fc.assert(
    fc.property(fc.constantFrom('', '$argon2id$v=19$', '$scrypt$ln=1,r=1,p=1$'), fc.string({ unit: 'binary' }), (a, b) => {
      const mistake = hashMistake(a + b)
      assert.ok(mistake === undefined || mistake.length > 0)
    }),
  )
})

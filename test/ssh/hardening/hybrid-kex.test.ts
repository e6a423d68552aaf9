import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { answerHybrid, startHybrid } from '../../../src/ssh/hardening/hybrid-kex.js'

test('both sides come to the same secret, and to another one each time', () => {
  const secrets = Array.from({ length: 5 }, () => {
    const client = startHybrid()
    assert.equal(client.share.length, 1184 + 32)
    const { share, secret } = answerHybrid(client.share)
    assert.equal(share.length, 1088 + 32)
    assert.deepEqual(client.finish(share), secret)
    assert.equal(secret.length, 32)
    return secret.toString('hex')
  })
  assert.equal(new Set(secrets).size, 5)
})

test('shares of a wrong size, keys out of range and points of low order are refused', () => {
  const { share, finish } = startHybrid()
  for (const wrong of [Buffer.alloc(0), share.subarray(1), Buffer.concat([share, Buffer.alloc(1)]), randomBytes(1184)])
    assert.throws(() => answerHybrid(wrong), /bytes/)
  const outOfRange = Buffer.from(share)
  outOfRange.fill(0xff, 0, 300)
  assert.throws(() => answerHybrid(outOfRange))
  const lowOrder = Buffer.from(share)
  lowOrder.fill(0, 1184)
  assert.throws(() => answerHybrid(lowOrder))
  assert.throws(() => finish(randomBytes(100)), /server share has 100 bytes/)
})

test('a changed ciphertext gives another secret', () => {
  const client = startHybrid()
  const { share, secret } = answerHybrid(client.share)
  share[5] = (share[5] as number) ^ 1
  assert.notDeepEqual(client.finish(share), secret)
})

test('ML-KEM-768 has the sizes of FIPS 203', () => {
  const { publicKey, secretKey } = ml_kem768.keygen()
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey)
  assert.deepEqual([publicKey.length, secretKey.length, cipherText.length, sharedSecret.length], [1184, 2400, 1088, 32])
})

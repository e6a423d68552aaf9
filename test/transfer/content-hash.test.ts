import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { ContentHash } from '../../src/transfer/content-hash.js'

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** A content in pieces, in any order. */
const shuffled = fc
  .tuple(fc.uint8Array({ maxLength: 400 }), fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }))
  .chain(([content, sizes]) => {
    const pieces: { offset: number; data: Buffer }[] = []
    for (let at = 0, i = 0; at < content.length; i++) {
      const size = sizes[i % sizes.length] as number
      pieces.push({ offset: at, data: Buffer.from(content.subarray(at, at + size)) })
      at += size
    }
    return fc.tuple(fc.constant(content), fc.shuffledSubarray(pieces, { minLength: pieces.length }))
  })

test('pieces in any order hash to the content', () => {
  fc.assert(
    fc.property(shuffled, ([content, pieces]) => {
      const hash = new ContentHash({ again: 'breaks' })
      for (const { offset, data } of pieces) hash.add(offset, data)
      assert.deepEqual(hash.digest(), { sha256: sha256(content) })
    }),
  )
})
test('a hash is right or absent, whatever is written where', () => {
  const writes = fc.array(fc.tuple(fc.nat(100), fc.uint8Array({ minLength: 1, maxLength: 50 })), { maxLength: 12 })
  fc.assert(
    fc.property(writes, (all) => {
      const hash = new ContentHash({ again: 'breaks' })
      const file = Buffer.alloc(200)
      let end = 0
      for (const [offset, data] of all) {
        hash.add(offset, Buffer.from(data))
        file.set(data, offset)
        end = Math.max(end, offset + data.length)
      }
      const digest = hash.digest()
      if ('sha256' in digest) assert.equal(digest.sha256, sha256(file.subarray(0, end)))
      else assert.notEqual(digest.unhashed, '')
    }),
    { numRuns: 2000 },
  )
})
test('a reader that asks again gets the hash of the content it has had', () => {
  const content = Buffer.from('0123456789')
  const hash = new ContentHash({ again: 'same' })
  for (const [from, to] of [
    [0, 4],
    [2, 6],
    [0, 3],
    [8, 10],
    [8, 10],
    [6, 8],
  ] as const)
    hash.add(from, content.subarray(from, to))
  assert.deepEqual(hash.digest(), { sha256: sha256(content) })
})
test('pieces far ahead of a gap are not kept without bound', () => {
  const hash = new ContentHash({ again: 'same' })
  for (let i = 1; i < 100; i++) hash.add(i * 100_000, Buffer.alloc(100_000))
  assert.deepEqual(hash.digest(), { unhashed: 'the bytes did not pass from first to last' })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boolean, elements, explicit, implicit, integer, namedBits, octetString, oid, sequence, setOf, time, utf8String } from '../../src/wire/der.js'

const hex = (bytes: Buffer) => bytes.toString('hex')

test('numbers take as few bytes as they can, and one more where the first bit would be a sign', () => {
  assert.equal(hex(integer(0)), '020100')
  assert.equal(hex(integer(127)), '02017f')
  assert.equal(hex(integer(128)), '02020080')
  assert.equal(hex(integer(0x1_0000n)), '0203010000')
  assert.throws(() => integer(-1), RangeError)
})
test('lengths over 127 say how many bytes they have', () => {
  assert.equal(hex(octetString(Buffer.alloc(127))).slice(0, 4), '047f')
  assert.equal(hex(octetString(Buffer.alloc(128))).slice(0, 6), '048180')
  assert.equal(hex(octetString(Buffer.alloc(300))).slice(0, 8), '0482012c')
})
test('object ids, flags, sets, tags and booleans are written as X.690 has them', () => {
  assert.equal(hex(oid('1.2.840.10045.4.3.2')), '06082a8648ce3d040302')
  assert.equal(hex(namedBits(5, 6)), '03020106')
  assert.equal(hex(namedBits(0)), '03020780')
  assert.equal(hex(namedBits()), '030100')
  assert.equal(hex(namedBits(8)), '0303070080')
  assert.equal(hex(setOf(integer(2), integer(1))), '3106020101020102')
  assert.equal(hex(explicit(3, boolean(true))), 'a3030101ff')
  assert.equal(hex(implicit(2, Buffer.from('a'))), '820161')
  assert.equal(hex(utf8String('é')), '0c02c3a9')
})
test('times have two-digit years until 2049', () => {
  assert.equal(time(new Date('2049-12-31T23:59:59Z')).toString('latin1').slice(2), '491231235959Z')
  assert.equal(time(new Date('2050-01-01T00:00:00Z')).toString('latin1').slice(2), '20500101000000Z')
  assert.throws(() => time(new Date(Number.NaN)), RangeError)
  assert.throws(() => time(new Date('1900-01-01')), RangeError)
})
test('what was written is taken apart again', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 6 }), (contents) => {
      const [whole] = elements(sequence(...contents.map(octetString)))
      assert.deepEqual(
        elements(whole?.content ?? Buffer.of()).map(({ content }) => hex(content)),
        contents.map((content) => hex(Buffer.from(content))),
      )
    }),
  )
})
test('bytes of any kind are elements or an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        assert.equal(Buffer.concat(elements(Buffer.from(bytes)).map((one) => one.bytes)).length, bytes.length)
      } catch (error) {
        assert.ok(error instanceof RangeError)
      }
    }),
    { numRuns: 2000 },
  )
  for (const text of ['30', '3005', '3080', '30850000000001', '308400000005']) assert.throws(() => elements(Buffer.from(text, 'hex')), RangeError)
})

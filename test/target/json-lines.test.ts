import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { JsonLines } from '../../src/target/json-lines.js'

function readAll(reader: JsonLines, chunks: readonly Buffer[]): unknown[] {
  return chunks.flatMap((chunk) => [...reader.push(chunk)])
}
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let from = 0
  for (const size of sizes) {
    chunks.push(bytes.subarray(from, from + size))
    from += size
  }
  chunks.push(bytes.subarray(from))
  return chunks
}

test('reader gives the same values however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 }), fc.array(fc.nat(40), { maxLength: 30 }), (values, sizes) => {
      const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
      assert.deepEqual(
        readAll(new JsonLines(), cut(bytes, sizes)),
        values.map((value) => JSON.parse(JSON.stringify(value))),
      )
    }),
    { numRuns: 300 },
  )
})

test('reader answers any bytes with objects or a protocol error, and never holds more than its limit', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
      const reader = new JsonLines(256)
      try {
        for (const chunk of chunks) {
          for (const value of reader.push(Buffer.from(chunk))) assert.equal(typeof value, 'object')
          assert.ok(reader.pendingBytes <= 256)
        }
      } catch (error) {
        assert.ok(error instanceof OpsError && error.code === 'PROTOCOL_ERROR', String(error))
      }
    }),
    { numRuns: 1000 },
  )
})

test('reader survives mutated event streams with an error or the events before it', () => {
  const good = Buffer.from('{"type":"ADDED","object":{"a":"ü"}}\n{"type":"BOOKMARK","object":{}}\n')
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, split) => {
      const bytes = Buffer.from(good)
      bytes[at] = byte
      try {
        const values = readAll(new JsonLines(), cut(bytes, [split]))
        assert.ok(values.length <= 3)
      } catch (error) {
        assert.ok(error instanceof OpsError && error.code === 'PROTOCOL_ERROR')
      }
    }),
    { numRuns: 1000 },
  )
})

test('reader refuses a line above its limit, in one chunk or in many', () => {
  const long = Buffer.from(`{"a":"${'x'.repeat(100)}"}\n`)
  assert.throws(() => readAll(new JsonLines(64), [long]), { code: 'PROTOCOL_ERROR' })
  assert.throws(
    () =>
      readAll(
        new JsonLines(64),
        [...long].map((byte) => Buffer.from([byte])),
      ),
    { code: 'PROTOCOL_ERROR' },
  )
  assert.equal(readAll(new JsonLines(long.length), [long]).length, 1)
})

test('reader takes CRLF and blank lines, and refuses arrays and scalars', () => {
  assert.deepEqual(readAll(new JsonLines(), [Buffer.from('\r\n{"a":1}\r\n\n')]), [{ a: 1 }])
  for (const text of ['[]\n', '1\n', 'null\n', '"a"\n', '{"a":\n'])
    assert.throws(() => readAll(new JsonLines(), [Buffer.from(text)]), { code: 'PROTOCOL_ERROR' })
})

test('reader takes a megabyte that comes byte by byte without quadratic cost', () => {
  const reader = new JsonLines()
  const started = performance.now()
  for (const byte of Buffer.from(`{"a":"${'y'.repeat(2 ** 18)}"}`)) readAll(reader, [Buffer.from([byte])])
  assert.equal(readAll(reader, [Buffer.from('\n')]).length, 1)
  assert.ok(performance.now() - started < 5000)
})

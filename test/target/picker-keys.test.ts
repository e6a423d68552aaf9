import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Key, readKey } from '../../src/target/picker-keys.js'

function readAll(bytes: Uint8Array): Key[] {
  const keys: Key[] = []
  for (let rest = bytes; rest.length > 0; ) {
    const read = readKey(rest, true)
    if (!read) break
    keys.push(read.key)
    rest = rest.subarray(read.bytes)
  }
  return keys
}

const TABLE: readonly (readonly [string, string])[] = [
  ['\r', 'enter'],
  ['\n', 'enter'],
  ['\x03', 'leave'],
  ['\x04', 'leave'],
  ['\x1b', 'back'],
  ['\x1b[A', 'up'],
  ['\x1bOA', 'up'],
  ['\x1b[1;5A', 'up'],
  ['\x1b[B', 'down'],
  ['\x1bOB', 'down'],
  ['\x10', 'up'],
  ['\x0e', 'down'],
  ['\x1b[5~', 'pageUp'],
  ['\x1b[6~', 'pageDown'],
  ['\x1b[H', 'home'],
  ['\x1b[F', 'end'],
  ['\x1bOH', 'home'],
  ['\x1bOF', 'end'],
  ['\x1b[1~', 'home'],
  ['\x1b[4~', 'end'],
  ['\x1b[7~', 'home'],
  ['\x1b[8~', 'end'],
  ['\x7f', 'erase'],
  ['\b', 'erase'],
  ['\x17', 'eraseWord'],
  ['\x15', 'eraseAll'],
  ['\x0c', 'redraw'],
  ['\t', 'ignored'],
  ['\x1b[200~', 'ignored'],
  ['\x1b[C', 'ignored'],
  ['\x1bb', 'ignored'],
  ['\x1b[M', 'ignored'],
  ['\u0085', 'ignored'],
  ['\u202e', 'ignored'],
  ['a', 'text'],
  ['ü', 'text'],
  ['界', 'text'],
  ['😀', 'text'],
]
for (const [bytes, name] of TABLE) {
  test(`key ${JSON.stringify(bytes)} is ${name}`, () => {
    assert.deepEqual(
      readAll(Buffer.from(bytes)).map((key) => key.name),
      [name],
    )
  })
}

test('key waits for the rest of a sequence and of a character', () => {
  for (const text of ['\x1b[1;5A', '\x1bOA', '界', '😀']) {
    const bytes = Buffer.from(text)
    for (let i = 1; i < bytes.length; i++) assert.equal(readKey(bytes.subarray(0, i), false), undefined, `${text} at ${i}`)
    assert.equal(readKey(bytes, false)?.bytes, bytes.length)
  }
})

test('key takes no byte of what follows it', () => {
  assert.deepEqual(readKey(Buffer.from('\rls -l\r'), false), { key: { name: 'enter' }, bytes: 1 })
  assert.deepEqual(readKey(Buffer.from('\x1b[Bx'), false), { key: { name: 'down' }, bytes: 3 })
  assert.deepEqual(
    readAll(Buffer.from('\x1b\x1b[A')).map((key) => key.name),
    ['back', 'up'],
  )
})

test('key reads any bytes to their end, in steps of at least one, and gives no control as text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      let used = 0
      while (used < bytes.length) {
        const read = readKey(bytes.subarray(used), true)
        assert.ok(read && read.bytes >= 1 && used + read.bytes <= bytes.length)
        if (read.key.name === 'text') assert.doesNotMatch(read.key.text, /[\p{Cc}\p{Cf}]/u)
        used += read.bytes
      }
    }),
    { numRuns: 2000 },
  )
})

test('key never waits for more than a sequence may be long', () => {
  assert.ok(readKey(Buffer.from(`\x1b[${'1'.repeat(40)}`), false))
})

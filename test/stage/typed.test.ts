import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TypedLines } from '../../src/stage/typed.js'

/** Keys as `>text`, output as text, in the order in which a gateway sees them. */
function told(...steps: readonly string[]): string[] {
  const lines = new TypedLines()
  return steps.flatMap((step) => [...(step.startsWith('>') ? lines.typed(Buffer.from(step.slice(1))) : lines.shown(Buffer.from(step)))])
}

test('a line that the terminal echoes is told with its end', () => {
  assert.deepEqual(told('# ', '>l', 'l', '>s', 's', '>\r', '\r\nkeep\r\n# '), ['ls\r'])
})

test('a line that is pasted, or typed ahead of its echo, is told', () => {
  assert.deepEqual(told('>echo é 名\r', 'echo é 名\r\né 名\r\n# '), ['echo é 名\r'])
  assert.deepEqual(told('>ls', '>\r', 'l', 's', '\r\n'), ['ls\r'])
  assert.deepEqual(told('>ls', '\u001b[1ml\u001b[0m\u001b[1ms\u001b[0m', '>\r'), ['ls\r'])
})

test('of a password at a prompt that does not echo only its end is told', () => {
  assert.deepEqual(told('>sudo id\r', 'sudo id\r\n', 'Password: ', '>hunter2\r', '\r\n', 'uid=0\r\n'), ['sudo id\r', '\r'])
  assert.deepEqual(told('Password: ', ...'>h >u >n >t >e >r >2 >\r'.split(' '), '\r\nhello, hunter\r\n# '), ['\r'])
})

test('a password is not told where stars stand for it, and not where output comes in between', () => {
  assert.deepEqual(told('Password: ', '>a', '*', '>b', '*', '>\r', '\r\n'), ['\r'])
  assert.deepEqual(told('Password: ', '>s', 'starting the backup\r\n', '>x', '>\r', '\r\n'), ['\r'])
  assert.deepEqual(told('Password: ', '>s', 's', '>e', '>c\r', '\r\n'), ['\r'], 'one echo by chance makes no line')
})

test('keys that are no characters are told, and what they draw is no secret', () => {
  assert.deepEqual(told('>l', 'l', '>x', 'x', '>\u007f', '\b \b', '>s', 's', '>\r', '\r\n'), ['lx\u007fs\r'])
  assert.deepEqual(told('>\u001b[A', 'ls -la', '>\r', '\r\n'), ['\u001b[A\r'])
  assert.deepEqual(told('>cat /et', 'cat /et', '>\t', 'c/', '>\r', '\r\n'), ['cat /et\t\r'])
  assert.deepEqual(told('>sleep 9\r', 'sleep 9\r\n', '>\u0003', '^C\r\n# '), ['sleep 9\r', '\u0003'])
})

test('the line behind a password is told again', () => {
  assert.deepEqual(told('>secret\r', '\r\n# ', '>id\r', 'id\r\n'), ['\r', 'id\r'])
})

test('whatever is typed where nothing is echoed, none of its characters is told', () => {
  const secret = fc.string({ unit: fc.constantFrom(...'abcXYZ019!$%é名 '), minLength: 1, maxLength: 40 })
  fc.assert(
    fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), fc.boolean(), (secrets, atOnce) => {
      const steps = secrets.flatMap((each) => (atOnce ? [`>${each}\r`, '\r\n? '] : [...[...each].map((one) => `>${one}`), '>\r', '\r\n? ']))
      assert.deepEqual(
        told(...steps),
        secrets.map(() => '\r'),
      )
    }),
  )
})

test('no bytes of anybody make it throw or grow', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.uint8Array({ maxLength: 300 })), { maxLength: 40 }), (steps) => {
      const lines = new TypedLines()
      for (const [isKey, bytes] of steps)
        for (const line of isKey ? lines.typed(Buffer.from(bytes)) : lines.shown(Buffer.from(bytes))) assert.ok(line.length <= 4096 + 8)
    }),
  )
  const lines = new TypedLines()
  for (let i = 0; i < 100; i++) assert.deepEqual(lines.typed(Buffer.from('x'.repeat(1000))), [])
})

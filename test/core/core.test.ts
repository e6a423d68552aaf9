import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLogger, escapePeerText } from '../../src/core/log.js'
import { splitLoginName } from '../../src/core/login-name.js'
import { Scope } from '../../src/core/scope.js'
import { parseDuration, parseSize, sizeText } from '../../src/core/units.js'

test('a scope closes in reverse order, once, and goes on when one closer fails', async () => {
  const order: number[] = []
  const scope = new Scope()
  scope.defer(() => void order.push(1))
  scope.defer(() => Promise.reject(new Error('two')))
  scope.add({ close: async () => void order.push(3) })
  const first = scope.close()
  await assert.rejects(first, /two/)
  await assert.rejects(scope.close(), /two/)
  assert.deepEqual(order, [3, 1])
})
test('what is deferred on a closed scope is closed too', async () => {
  const scope = new Scope()
  await scope.close()
  let closed = false
  scope.defer(() => void (closed = true))
  await scope.close()
  assert.ok(closed)
})
test('durations and sizes are read with their units and refused without', () => {
  assert.deepEqual([parseDuration('15m'), parseDuration('1.5s'), parseSize('4MiB'), parseSize('1kB')], [900_000, 1500, 4_194_304, 1000])
  for (const bad of ['', '15', '15 m', '-1s', '1w', '1e3s']) assert.throws(() => parseDuration(bad), /is not a duration/)
  for (const bad of ['', '4', '4mb', '4 MiB', '-1B']) assert.throws(() => parseSize(bad), /is not a size/)
  assert.deepEqual([sizeText(0), sizeText(1536), sizeText(4_194_304)], ['0 B', '1.5 KiB', '4 MiB'])
})
test('a login name splits at its first plus', () => {
  assert.deepEqual(splitLoginName('alice'), { user: 'alice', address: '' })
  assert.deepEqual(splitLoginName('alice+web-0.shop+side'), { user: 'alice', address: 'web-0.shop+side' })
})
test('peer text never carries a control or bidi character, and is bounded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
      const escaped = escapePeerText(text, 100)
      assert.doesNotMatch(escaped, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    }),
  )
  assert.equal(escapePeerText('a\x1b[31m\u202e'), 'a\\x1b[31m\\u{202e}')
})
test('a log line holds its fields and no secret', () => {
  let line = ''
  const log = createLogger('info', { write: (text: string) => void (line += text) })
  log.child({ session: 's1' }).info({ user: 'alice', password: 'hunter2', nested: { token: 'abc' } }, 'login')
  const parsed = JSON.parse(line) as Record<string, unknown>
  assert.deepEqual([parsed.msg, parsed.session, parsed.level, parsed.password], ['login', 's1', 'info', '[redacted]'])
  assert.doesNotMatch(line, /hunter2|abc"/)
})

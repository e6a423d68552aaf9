import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { formatAddress, parseAddress } from '../../src/target/address.js'

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?$/)
const podName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))

test('address gives every reading of dotted text, the longest pod name first', () => {
  assert.deepEqual(parseAddress('web-0').readings, [{ pod: 'web-0' }])
  assert.deepEqual(parseAddress('web-0.shop').readings, [{ pod: 'web-0.shop' }, { pod: 'web-0', namespace: 'shop' }])
  assert.deepEqual(parseAddress('a.b.c.d+x').readings, [
    { pod: 'a.b.c.d' },
    { pod: 'a.b.c', namespace: 'd' },
    { pod: 'a.b', namespace: 'c', cluster: 'd' },
    { pod: 'a', namespace: 'b', cluster: 'c.d' },
  ])
})

test('address keeps an IP whole as its first reading', () => {
  assert.deepEqual(parseAddress('172.17.0.4').readings[0], { pod: '172.17.0.4' })
  assert.ok(parseAddress('172.17.0.4.shop.a').readings.some((r) => r.pod === '172.17.0.4' && r.namespace === 'shop' && r.cluster === 'a'))
})

test('address splits the container at the first plus', () => {
  const address = parseAddress('web-0.shop+side.car')
  assert.equal(address.container, 'side.car')
  assert.equal(address.text, 'web-0.shop')
})

const REFUSED = [
  '/',
  'a/b',
  'a:b',
  'a@b',
  '.',
  'a.',
  '.a',
  'a..b',
  'a+',
  '+a',
  'a+b+c',
  'a+b/c',
  'a b',
  'a\u001b[31m',
  'a\n',
  '-a',
  'a.-b',
  'ä',
  'x'.repeat(513),
]
for (const text of REFUSED) {
  test(`address refuses ${JSON.stringify(text.slice(0, 20))} and says what is right`, () => {
    assert.throws(
      () => parseAddress(text),
      (error) => error instanceof OpsError && error.code === 'TARGET_SYNTAX' && /write POD/.test(error.userText) && !/[\x00-\x1f]/.test(error.userText),
    )
  })
}

test('address asks for a target when it is empty', () => {
  assert.throws(() => parseAddress(''), { code: 'TARGET_REQUIRED' })
})

test('address prints so that it is read back, container and all', () => {
  fc.assert(
    fc.property(
      podName,
      fc.option(label, { nil: undefined }),
      fc.option(podName, { nil: undefined }),
      fc.option(podName, { nil: undefined }),
      (pod, namespace, cluster, container) => {
        const reading = { pod, ...(namespace === undefined ? {} : { namespace, ...(cluster === undefined ? {} : { cluster }) }) }
        const parsed = parseAddress(formatAddress({ ...reading, ...(container === undefined ? {} : { container }) }))
        assert.equal(parsed.container, container)
        assert.ok(parsed.readings.some((r) => r.pod === pod && r.namespace === reading.namespace && r.cluster === (reading as { cluster?: string }).cluster))
        // Every reading prints to the very same text.
        for (const r of parsed.readings) assert.equal(formatAddress(r), parsed.text)
      },
    ),
  )
})

test('address of any text is read or refused with an address error, nothing else', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
      try {
        assert.ok(parseAddress(text).readings.length >= 1)
        assert.match(text, /^[A-Za-z0-9_.+-]+$/)
      } catch (error) {
        assert.ok(error instanceof OpsError && ['TARGET_SYNTAX', 'TARGET_REQUIRED'].includes(error.code), String(error))
      }
    }),
    { numRuns: 500 },
  )
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { addressKey, DEFAULT_THROTTLE_LIMITS, processClock, Throttle } from '../../src/identity/throttle.js'
import { TestClock } from './clock.js'

function setUp(limits: Partial<typeof DEFAULT_THROTTLE_LIMITS> = {}) {
  const clock = new TestClock()
  return { clock, throttle: new Throttle({ ...DEFAULT_THROTTLE_LIMITS, ...limits }, clock) }
}
const HOST = '192.0.2.1'
function fail(throttle: Throttle, count: number, user = 'alice', host = HOST): void {
  for (let i = 0; i < count; i++) throttle.failed(host, user, 'user and address')
}

describe('throttle', () => {
  test('makes each failure of a name wait twice as long, up to the longest wait, then locks it', () => {
    const { throttle } = setUp()
    const delays = Array.from({ length: 10 }, () => {
      const { delayMs, locked } = throttle.standing(HOST, 'alice')
      assert.equal(locked, false)
      fail(throttle, 1)
      return delayMs
    })
    assert.deepEqual(delays, [0, 0, 0, 0, 1000, 2000, 4000, 8000, 8000, 8000])
    assert.deepEqual(throttle.standing(HOST, 'alice'), { delayMs: 8000, locked: true })
    assert.deepEqual(throttle.standing(HOST, 'bob'), { delayMs: 0, locked: false })
  })

  test('shuts a name at the address that guesses, and nowhere else', () => {
    const { throttle } = setUp()
    fail(throttle, 10)
    assert.ok(throttle.standing(HOST, 'alice').locked)
    assert.deepEqual(throttle.standing('198.51.100.9', 'alice'), { delayMs: 0, locked: false })
  })

  test('shuts a name everywhere once many addresses guess, but not where its owner has come in before', () => {
    const { throttle, clock } = setUp()
    throttle.succeeded('198.51.100.9', 'alice', true)
    throttle.succeeded('198.51.100.8', 'alice', false)
    for (let i = 0; i < 100; i++) {
      if (i === 60) assert.ok(throttle.standing('203.0.113.1', 'alice').delayMs > 0, 'slow before it is shut')
      fail(throttle, 1, 'alice', `192.0.2.${i}`)
    }
    assert.ok(throttle.standing('203.0.113.1', 'alice').locked)
    for (const host of ['198.51.100.9', '198.51.100.8']) assert.deepEqual(throttle.standing(host, 'alice'), { delayMs: 0, locked: false }, host)
    assert.ok(!throttle.standing('203.0.113.1', 'bob').locked)
    // guesses from the owner's own desk are guesses
    fail(throttle, 10, 'alice', '198.51.100.9')
    assert.ok(throttle.standing('198.51.100.9', 'alice').locked)
    clock.pass(31 * 24 * 3_600_000)
    for (let i = 0; i < 100; i++) fail(throttle, 1, 'alice', `192.0.2.${i}`)
    assert.ok(throttle.standing('198.51.100.8', 'alice').locked, 'an address is not known for ever')
  })

  test('keeps the guesses of others at a name when its owner gets in by password', () => {
    const { throttle } = setUp()
    for (let i = 0; i < 99; i++) fail(throttle, 1, 'alice', `192.0.2.${i}`)
    fail(throttle, 1, 'alice', '198.51.100.9')
    throttle.succeeded('198.51.100.9', 'alice', true)
    fail(throttle, 1, 'alice', '203.0.113.7')
    assert.ok(throttle.standing('203.0.113.1', 'alice').locked)
  })

  test('opens again when the lock has lasted, with nothing remembered', () => {
    const { throttle, clock } = setUp()
    fail(throttle, 10)
    clock.pass(15 * 60_000 - 1)
    assert.ok(throttle.standing(HOST, 'alice').locked)
    clock.pass(1)
    assert.deepEqual(throttle.standing(HOST, 'alice'), { delayMs: 0, locked: false })
  })

  test('forgets failures that none followed', () => {
    const { throttle, clock } = setUp()
    fail(throttle, 9)
    clock.pass(15 * 60_000 + 1)
    fail(throttle, 1)
    assert.deepEqual(throttle.standing(HOST, 'alice'), { delayMs: 0, locked: false })
  })

  test('locks an address for every name once it failed under many', () => {
    const { throttle } = setUp()
    for (let i = 0; i < 100; i++) fail(throttle, 1, `user${i}`)
    assert.ok(throttle.standing(HOST, 'someone').locked)
    assert.ok(throttle.standing(HOST).locked)
    assert.ok(!throttle.standing('192.0.2.2', 'someone').locked)
  })

  test('does not shut a name for methods that cannot be guessed', () => {
    const { throttle } = setUp()
    for (let i = 0; i < 100; i++) fail(throttle, 1, 'alice', `192.0.2.${i}`)
    assert.ok(throttle.standing('198.51.100.9', 'alice').locked)
    assert.deepEqual(throttle.standing('198.51.100.9'), { delayMs: 0, locked: false })
  })

  test('forgives what a user did wrong just before getting in, and nothing done under other names', () => {
    const { throttle } = setUp({ addressFreeFailures: 0 })
    fail(throttle, 2, 'alice')
    throttle.succeeded(HOST, 'alice', true)
    assert.deepEqual(throttle.standing(HOST, 'alice'), { delayMs: 0, locked: false })
    fail(throttle, 2, 'victim')
    fail(throttle, 1, 'mallory')
    throttle.succeeded(HOST, 'mallory', true)
    assert.equal(throttle.standing(HOST).delayMs, 2000)
  })

  test('keeps the guesses at a name when its owner gets in by key', () => {
    const { throttle } = setUp()
    fail(throttle, 5, 'alice')
    throttle.succeeded(HOST, 'alice', false)
    assert.equal(throttle.standing(HOST, 'alice').delayMs, 2000)
    throttle.succeeded(HOST, 'alice', true)
    assert.equal(throttle.standing(HOST, 'alice').delayMs, 0)
  })

  test('remembers no more names and addresses than it was told', () => {
    const { throttle } = setUp({ maxTracked: 50 })
    fail(throttle, 4, 'first', '10.0.0.1')
    for (let i = 0; i < 500; i++) fail(throttle, 1, `user${i}`, `10.1.${i >> 8}.${i & 255}`)
    for (let i = 0; i < 100; i++) throttle.succeeded(`10.4.0.${i}`, 'alice', true)
    assert.deepEqual(throttle.tracked, { users: 50, addresses: 50, pairs: 50, familiar: 50 })
    assert.equal(throttle.standing('10.0.0.1', 'first').delayMs, 0)
    // the one that keeps failing is kept
    fail(throttle, 5, 'busy', '10.2.0.1')
    for (let i = 0; i < 49; i++) fail(throttle, 1, `other${i}`, '10.3.0.1')
    assert.equal(throttle.standing('10.2.0.1', 'busy').delayMs, 2000)
  })
})

test('address key joins what one peer may choose among', () => {
  const table: readonly [host: string, key: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4::/64'],
    ['1::', '1:0:0:0::/64'],
    ['not an address', 'not an address'],
  ]
  for (const [host, key] of table) assert.equal(addressKey(host), key, host)
})

test('address key is the same for any two addresses of a /64', () => {
  const groups = (n: number) => fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: n, maxLength: n })
  fc.assert(
    fc.property(groups(4), groups(4), groups(4), (net, a, b) => {
      const write = (host: number[]) => [...net, ...host].map((group) => group.toString(16)).join(':')
      assert.equal(addressKey(write(a)), addressKey(write(b)))
    }),
  )
})

test('process clock ends a wait with the reason of the abort', async () => {
  const controller = new AbortController()
  const wait = processClock.wait(60_000, controller.signal)
  controller.abort(new OpsError('CLIENT_GONE', 'gone'))
  await assert.rejects(wait, { code: 'CLIENT_GONE' })
  await processClock.wait(1, new AbortController().signal)
})

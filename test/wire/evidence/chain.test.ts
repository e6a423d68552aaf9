import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AuditEvent, StoredEvent } from '../../../src/core/types.js'
import { canonicalJson } from '../../../src/wire/evidence/canonical-json.js'
import { eventHash, GENESIS, link, verifyChain } from '../../../src/wire/evidence/chain.js'
import { someEvents } from '../../contract/audit-store.js'

test('canonical JSON sorts keys at every depth and has no white space', () => {
  const value = { b: [1, { z: null, a: 'x y' }], a: { é: 1, e: true }, c: undefined, '"': 0.5 }
  assert.equal(canonicalJson(value), '{"\\"":0.5,"a":{"e":true,"é":1},"b":[1,{"a":"x y","z":null}]}')
  assert.equal(canonicalJson({ hash: 1, a: { hash: 2 } }, 'hash'), '{"a":{"hash":2}}')
  assert.equal(canonicalJson([undefined, Number.NaN, -0, new Date(0)]), '[null,null,0,"1970-01-01T00:00:00.000Z"]')
})

test('canonical JSON of the numbers and strings of RFC 8785 s3.2.2 is the one printed there', () => {
  const input = {
    numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
    string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
    literals: [null, true, false],
  }
  const wanted = '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
  assert.equal(canonicalJson(input), wanted)
})

test('canonical JSON parses back to the same value, whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 4, withNullPrototype: false, withDate: true }), (value) => {
      const text = canonicalJson(value)
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
      assert.equal(canonicalJson(JSON.parse(JSON.stringify(value))), text)
      assert.equal(canonicalJson(Object.fromEntries(Object.entries(value).reverse())), text)
    }),
    { numRuns: 500 },
  )
})

test('canonical JSON refuses what is nested without end', () => {
  assert.throws(() => canonicalJson(JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)), RangeError)
})

test('link keeps six fields of a target and no reserved name', () => {
  const target = { cluster: 'a', namespace: 'n', pod: 'p', container: 'c', uid: 'u', node: 'k', containerId: 'docker://1', labels: { secret: 'x' } }
  const event = { type: 'login', method: 'password', target, seq: 99, hash: 'x', prev: 'y', time: 'z' } as AuditEvent
  const stored = link(event, GENESIS, '2026-11-23T00:00:00.000Z')
  assert.deepEqual(Object.keys(stored.target ?? {}), ['cluster', 'namespace', 'pod', 'container', 'uid', 'node'])
  assert.deepEqual([stored.seq, stored.time, stored.prev], [1, '2026-11-23T00:00:00.000Z', '0'.repeat(64)])
  assert.equal(stored.hash, eventHash(JSON.parse(JSON.stringify(stored)) as StoredEvent))
})

test('link keeps a copy of what an admin event tells', () => {
  const rules = { n: 1 }
  const stored = link({ type: 'admin', action: 'a', object: 'o', after: rules }, GENESIS, '2026-11-23T00:00:00.000Z')
  rules.n = 2
  assert.equal(stored.hash, eventHash(stored))
})

test('hash is what another language computes from the line', () => {
  // python3: sha256(('0'*64 + '{"method":"password","prev":"000…","seq":1,"time":"…","type":"login","user":"älice"}').encode()).hexdigest()
  const stored = link({ type: 'login', user: 'älice', method: 'password' }, GENESIS, '2026-11-23T10:00:00.000Z')
  assert.equal(stored.hash, '12cd7cae86f7c8b77481c48c10e6d4cec9a89e258e4741aa56aa95a59542d821')
})

test('verifier accepts a whole chain, and a part of one', async () => {
  const events = someEvents(50)
  assert.deepEqual(await verifyChain(events, { after: GENESIS }), {
    ok: true,
    count: 50,
    first: 1,
    last: { seq: 50, hash: events[49]?.hash },
    checkpoints: 0,
    lastCheckpoint: 0,
  })
  const part = await verifyChain(events.slice(20, 30))
  assert.ok(part.ok && part.first === 21 && part.count === 10)
})

async function fault(events: readonly unknown[]): Promise<readonly [string, number]> {
  const report = await verifyChain(events, { after: GENESIS })
  assert.ok(!report.ok)
  assert.match(report.message, new RegExp(`^event ${report.seq} (was changed|is missing|was moved)`))
  return [report.fault, report.seq]
}

test('verifier names the first event that was changed, is missing or was moved', async () => {
  const events = someEvents(10)
  const changed = events.map((e) => (e.seq === 4 ? { ...e, user: 'mallory' } : e))
  assert.deepEqual(await fault(changed), ['changed', 4])
  const rehashed = events.map((e) => (e.seq === 4 ? withHash({ ...e, user: 'mallory' }) : e))
  assert.deepEqual(await fault(rehashed), ['changed', 4])
  assert.deepEqual(await fault(events.filter((e) => e.seq !== 6)), ['missing', 6])
  assert.deepEqual(await fault(events.slice(2)), ['missing', 1])
  const swapped = [...events]
  swapped.splice(4, 2, events[5] as StoredEvent, events[4] as StoredEvent)
  assert.deepEqual(await fault(swapped), ['reordered', 5])
  assert.deepEqual(await fault([...events, events[2]]), ['reordered', 3])
  assert.deepEqual(await fault([...events.slice(0, 3), 'not an event', ...events.slice(3)]), ['changed', 4])
})

function withHash(event: StoredEvent): StoredEvent {
  return { ...event, hash: eventHash(event) }
}

test('verifier finds any single edit of any event', async () => {
  const events = someEvents(12)
  await fc.assert(
    fc.asyncProperty(fc.nat(11), fc.constantFrom('user', 'time', 'seq', 'prev', 'hash', 'type', 'added'), fc.jsonValue(), async (index, key, value) => {
      const before = events[index] as StoredEvent
      const edited = { ...before, [key]: value }
      fc.pre(JSON.stringify(edited) !== JSON.stringify(before))
      const report = await verifyChain(events.with(index, edited as StoredEvent), { after: GENESIS })
      assert.ok(!report.ok)
    }),
    { numRuns: 300 },
  )
})

test('verifier survives lines that were made to break it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 5 }), async (values) => {
      const report = await verifyChain(values, { after: GENESIS })
      assert.equal(report.ok, values.length === 0)
    }),
    { numRuns: 200 },
  )
  const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`)
  const report = await verifyChain([{ ...someEvents(1)[0], deep }], { after: GENESIS })
  assert.ok(!report.ok && report.fault === 'changed')
})

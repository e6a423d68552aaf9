/** What every AuditStore must do. Call inside a test file, once for each implementation. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { AuditEvent, AuditFilter, AuditStore, StoredEvent } from '../../src/core/types.js'
import { type ChainHead, GENESIS, link, verifyChain } from '../../src/wire/evidence/chain.js'

export interface AuditStoreUnderTest {
  readonly store: AuditStore
  /** Closes the store and opens another on the same data. */
  reopen(): Promise<AuditStore>
}

/** `count` linked events after `head`, one a second from `start`, of two users and a few types. */
export function someEvents(count: number, head: ChainHead = GENESIS, start = '2026-11-23T10:00:00.000Z'): StoredEvent[] {
  const events: StoredEvent[] = []
  let at = head
  for (let i = 0; i < count; i++) {
    const event = link(SAMPLES[(at.seq + 1) % SAMPLES.length] as AuditEvent, at, new Date(Date.parse(start) + i * 1000).toISOString())
    events.push(event)
    at = event
  }
  return events
}

const TARGET = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u-1', node: 'node-a' }
const SAMPLES: readonly AuditEvent[] = [
  { type: 'login', user: 'alice', from: '10.0.0.1', method: 'publickey' },
  { type: 'session.open', user: 'alice', session: 's-1', door: 'shell', target: TARGET, rule: 'sre', via: 'agent node-a' },
  {
    type: 'command',
    user: 'alice',
    session: 's-1',
    line: 'cat "Ünïcode" | grep \u2028x',
    verdict: 'allow',
    confidence: 'exact',
    commands: [['cat', 'Ünïcode']],
  },
  { type: 'command', user: 'bob', session: 's-2', line: 'rm -rf /', verdict: 'deny', rule: 'dev', confidence: 'exact' },
  { type: 'file', user: 'bob', session: 's-2', op: 'upload', path: '/tmp/Report.txt', bytes: 12, verdict: 'allow', target: { ...TARGET, pod: 'db-0' } },
  { type: 'admin', action: 'rules.reload', object: 'rules.yaml', before: { n: 1, ratio: 0.1 }, after: [null, true, 'x'] },
]

export async function gather(store: AuditStore, filter: AuditFilter = {}): Promise<StoredEvent[]> {
  const events: StoredEvent[] = []
  for await (const event of store.query(filter)) events.push(event)
  return events
}

export function auditStoreContract(name: string, open: (t: TestContext) => Promise<AuditStoreUnderTest>, skip: false | string = false): void {
  describe(`${name} as AuditStore`, { skip }, () => {
    test('empty store has no last event and answers queries with nothing', async (t) => {
      const { store } = await open(t)
      assert.equal(await store.last(), undefined)
      assert.deepEqual(await gather(store), [])
    })

    test('store gives back what was appended, in order and unchanged', async (t) => {
      const { store } = await open(t)
      const events = someEvents(40)
      await store.append(events.slice(0, 1))
      await store.append(events.slice(1))
      assert.deepEqual(await gather(store), events)
      assert.deepEqual(await store.last(), events[39])
      const report = await verifyChain(store.query({}), { after: GENESIS })
      assert.ok(report.ok)
    })

    test('store goes on from its last event after it was opened again', async (t) => {
      const { store, reopen } = await open(t)
      const events = someEvents(30)
      await store.append(events.slice(0, 20))
      const again = await reopen()
      assert.deepEqual(await again.last(), events[19])
      await again.append(events.slice(20))
      assert.deepEqual(await gather(again), events)
    })

    test('store keeps days apart or together but always in order', async (t) => {
      const { store } = await open(t)
      const first = someEvents(20, GENESIS, '2026-11-23T23:59:50.000Z')
      await store.append(first)
      const second = someEvents(5, first.at(-1), '2026-12-01T00:00:00.000Z')
      await store.append(second)
      assert.deepEqual(await gather(store), [...first, ...second])
      assert.deepEqual(await store.last(), second.at(-1))
    })

    test('filters choose by user, session, type, target, text, time, number and count', async (t) => {
      const { store } = await open(t)
      const events = someEvents(300)
      await store.append(events)
      const filters: readonly (readonly [AuditFilter, (event: StoredEvent) => boolean])[] = [
        [{ user: 'bob' }, (e) => e.user === 'bob'],
        [{ session: 's-1', type: 'command' }, (e) => e.session === 's-1' && e.type === 'command'],
        [{ target: 'shop/db-0' }, (e) => e.target?.pod === 'db-0'],
        [{ text: 'report' }, (e) => e.type === 'file'],
        [{ text: 'ÜNÏCODE' }, (e) => e.type === 'command' && e.user === 'alice'],
        [{ after: 250 }, (e) => e.seq > 250],
        [{ from: new Date(events[100]?.time ?? ''), to: new Date(events[199]?.time ?? '') }, (e) => e.seq >= 101 && e.seq <= 200],
        [{ user: 'nobody' }, () => false],
      ]
      for (const [filter, wanted] of filters) assert.deepEqual(await gather(store, filter), events.filter(wanted), JSON.stringify(filter))
      assert.deepEqual(await gather(store, { user: 'bob', limit: 7 }), events.filter((e) => e.user === 'bob').slice(0, 7))
      assert.deepEqual(await gather(store, { limit: 0 }), [])
    })

    test('query finds its place among many events', async (t) => {
      const { store } = await open(t)
      const events = someEvents(5000)
      for (let i = 0; i < events.length; i += 1000) await store.append(events.slice(i, i + 1000))
      for (const after of [0, 1, 999, 1000, 2777, 4998, 4999, 5000]) {
        assert.deepEqual(await gather(store, { after, limit: 3 }), events.slice(after, after + 3), `after ${after}`)
      }
    })

    test('query ends with the reason of an aborted signal', async (t) => {
      const { store } = await open(t)
      await store.append(someEvents(10))
      const reason = new Error('enough')
      await assert.rejects(async () => {
        for await (const _ of store.query({}, AbortSignal.abort(reason))) assert.fail('nothing may come')
      }, reason)
    })

    test('close may be called twice, and an append after it fails', async (t) => {
      const { store } = await open(t)
      await store.append(someEvents(1))
      await store.close()
      await store.close()
      await assert.rejects(store.append(someEvents(1)), { code: 'AUDIT_UNAVAILABLE' })
    })
  })
}

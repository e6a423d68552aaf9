import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { KeyedTurns, Turns } from '../../src/identity/turns.js'

const never = new AbortController().signal

test('turns let in as many as they were told, in order of arrival', async () => {
  const turns = new Turns(2)
  const order: number[] = []
  const releases = [await turns.take(never), await turns.take(never)]
  const waiting = [1, 2, 3].map(async (n) => {
    const release = await turns.take(never)
    order.push(n)
    return release
  })
  assert.deepEqual(order, [])
  releases[0]?.()
  releases[0]?.() // giving back twice must not let two in
  ;(await waiting[0])?.()
  ;(await waiting[1])?.()
  ;(await waiting[2])?.()
  assert.deepEqual(order, [1, 2, 3])
  assert.ok(!turns.isIdle)
  releases[1]?.()
  assert.ok(turns.isIdle)
})

test('turns let one leave the line, with the reason of the abort', async () => {
  const turns = new Turns(1)
  const release = await turns.take(never)
  const controller = new AbortController()
  const leaver = turns.take(controller.signal)
  const next = turns.take(never)
  controller.abort(new OpsError('CLIENT_GONE', 'gone'))
  await assert.rejects(leaver, { code: 'CLIENT_GONE' })
  await assert.rejects(turns.take(controller.signal), { code: 'CLIENT_GONE' })
  release()
  ;(await next)()
  assert.ok(turns.isIdle)
})

test('keyed turns hold back equal keys only, and forget keys that nobody uses', async () => {
  const turns = new KeyedTurns()
  const a = await turns.take('a', never)
  const b = await turns.take('b', never)
  let entered = false
  const second = turns.take('a', never).then((release) => {
    entered = true
    return release
  })
  const controller = new AbortController()
  const third = turns.take('a', controller.signal)
  b()
  assert.equal(entered, false)
  assert.equal(turns.size, 1)
  controller.abort(new OpsError('CLIENT_GONE', 'gone'))
  await assert.rejects(third, { code: 'CLIENT_GONE' })
  a()
  ;(await second)()
  assert.equal(turns.size, 0)
})

test('turns never let in more than their limit, and end idle', async () => {
  const step = fc.record({ hops: fc.nat(3), leaves: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 20 }), async (limit, steps) => {
      const turns = new Turns(limit)
      let inside = 0
      const visit = async ({ hops, leaves }: { hops: number; leaves: boolean }) => {
        const controller = new AbortController()
        const turn = turns.take(controller.signal)
        if (leaves) controller.abort(new OpsError('CLIENT_GONE', 'gone'))
        const release = await turn.catch(() => undefined)
        if (!release) return
        assert.ok(++inside <= limit)
        for (let i = 0; i < hops; i++) await Promise.resolve()
        inside--
        release()
      }
      await Promise.all(steps.map(visit))
      assert.ok(turns.isIdle)
    }),
    { numRuns: 200 },
  )
})

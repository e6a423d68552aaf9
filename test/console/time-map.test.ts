import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TimeMap } from '../../src/console/player/time-map.js'

test('silence longer than the limit plays for the limit', () => {
  const map = new TimeMap([1, 2, 62, 63], 2)
  assert.deepEqual(
    [0, 1, 2, 62, 63].map((at) => map.toPlayed(at)),
    [0, 1, 2, 4, 5],
  )
  assert.equal(map.toRecorded(3), 32)
})

test('without a limit both times are one', () => {
  const map = new TimeMap([1, 500, 3600], Number.POSITIVE_INFINITY)
  for (const at of [0, 0.5, 499, 3600, 4000]) assert.deepEqual([map.toPlayed(at), map.toRecorded(at)], [at, at])
})

test('the way there and back ends where it began, and neither time ever runs backwards', () => {
  const gaps = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 50 })
  fc.assert(
    fc.property(gaps, fc.double({ min: 0.5, max: 5, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (steps, limit, part) => {
      let at = 0
      const times = steps.map((step) => (at += step))
      const map = new TimeMap(times, limit)
      const [early, late] = [at * part * 0.9, at * part]
      assert.ok(Math.abs(map.toRecorded(map.toPlayed(late)) - late) < 1e-6 * Math.max(1, at))
      assert.ok(map.toPlayed(early) <= map.toPlayed(late) + 1e-9)
      assert.ok(map.toPlayed(at) <= at + 1e-9)
    }),
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CastEvent } from '../../src/console/player/cast.js'
import { IDLE_LIMIT, passed } from '../../src/console/player/time.js'

const at = (...seconds: readonly number[]): CastEvent[] => seconds.map((each) => [each, 'o', 'x'])
/** Where the clock stands after watching in frames of `step` seconds; the last place it reached when the events end. */
function watch(events: readonly CastEvent[], from: number, seconds: number, step: number, skips: boolean): number {
  let shown = from
  for (let left = seconds; left > 1e-9; left -= step) {
    const next = events.findIndex(([each]) => each > shown)
    const to = passed(events, next < 0 ? events.length : next, from, shown, Math.min(step, left), skips)
    if (to === undefined) return shown
    shown = to
  }
  return shown
}

test('without skipping the clock passes as one watches', () => {
  assert.equal(passed(at(1, 500, 3600), 1, 0, 10, 3, false), 13)
  assert.equal(passed(at(1, 500, 3600), 0, 0, 0, 600, false), 600)
})

test('silence longer than the limit passes within the limit, evenly', () => {
  const events = at(1, 2, 62, 63, 64)
  assert.equal(passed(events, 2, 0, 2, IDLE_LIMIT / 2, true), 32)
  assert.equal(passed(events, 2, 0, 2, IDLE_LIMIT + 1, true), 63)
})

test('the clock waits where the events end', () => {
  assert.equal(passed(at(1, 2), 2, 0, 2, 0.1, true), undefined)
  assert.equal(passed([], 0, 0, 0, 0.1, true), undefined)
})

test('however the watching is cut into frames, the clock comes to the same place and never runs back', () => {
  const gaps = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), { minLength: 2, maxLength: 30 })
  fc.assert(
    fc.property(gaps, fc.double({ min: 0.05, max: 0.3, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (steps, step, part) => {
      let total = 0
      const events = at(...steps.map((each) => (total += each)))
      const length = steps.slice(0, -1).reduce((sum, each) => sum + Math.min(each, IDLE_LIMIT), 0) * part
      const once = passed(events, 0, 0, 0, length, true) ?? Number.NaN
      const inFrames = watch(events, 0, length, step, true)
      assert.ok(Math.abs(once - inFrames) < 1e-6 * Math.max(1, total), `${once} and ${inFrames}`)
    }),
  )
})

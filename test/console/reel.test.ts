import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CastEvent, CastPart } from '../../src/console/player/cast.js'
import { Reel } from '../../src/console/player/reel.js'

function aPart(seconds: readonly number[], facts: Partial<CastPart> = {}): CastPart {
  const events: CastEvent[] = seconds.map((each) => [each, 'o', 'x'])
  return { columns: 80, rows: 24, hasTerminal: true, seconds: seconds[0] ?? 0, total: 3600, next: 9, events, characters: 100, ...facts }
}

test('reel holds the seconds between its screen and its last event, and those behind it only at the end', () => {
  const reel = new Reel(aPart([100, 101, 110]))
  assert.deepEqual(
    [99, 100, 105, 110, 200].map((at) => reel.holds(at)),
    [false, true, true, false, false],
  )
  assert.equal(reel.leadsTo(105, 101), true)
  assert.equal(reel.leadsTo(105, 106), false, 'no screen leads backwards')
  const { next: _next, ...last } = aPart([100, 110])
  assert.equal(new Reel(last).holds(3600), true)
})

test('reel grows at its end and knows where the rest begins', () => {
  const reel = new Reel(aPart([100, 110]))
  assert.equal(reel.append(aPart([120, 130], { next: 12, total: 3700 }), 1), 0)
  assert.deepEqual([reel.last, reel.next, reel.total, reel.events.length], [130, 12, 3700, 4])
  assert.equal(reel.holds(125), true)
})

test('reel lets go of what was played before it outgrows its memory, and then leads forwards only', () => {
  const reel = new Reel(aPart([100, 110, 120]))
  assert.equal(reel.append(aPart([130, 140], { characters: 9 * 2 ** 20 }), 2), 1)
  assert.deepEqual(
    reel.events.map(([at]) => at),
    [110, 120, 130, 140],
  )
  assert.equal(reel.holds(125), false)
  assert.equal(reel.leadsTo(135, 115), true)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NearNames } from '../../src/target/near-names.js'

/** The textbook recursion, without bounds. */
function plain(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)))
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      let cost = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, at(i - 2, j - 2) + 1)
      ;(rows[i] ?? [])[j] = cost
    }
  }
  return at(a.length, b.length)
}

test('distance equals the unbounded one up to its bound, and is one above it beyond', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '-', '0'), maxLength: 9 })
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 4 }), (a, b, max) => assert.equal(new NearNames(b, max).distance(a), Math.min(plain(a, b), max + 1))),
    { numRuns: 2000 },
  )
})

for (const [text, name, distance] of [
  ['wbe-0', 'web-0', 1],
  ['web', 'web-0', 1],
  ['web-0', 'web-0', 0],
  ['w', 'web-0', undefined],
  ['x', 'y', 1],
  ['core', 'web-0', undefined],
] as const) {
  test(`nearness of ${text} and ${name} is ${distance}`, () => assert.equal(new NearNames(text).nearness(name), distance))
}

test('distance of one comparison leaves nothing behind for the next', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '-', '0'), maxLength: 9 })
  fc.assert(
    fc.property(word, fc.array(word, { maxLength: 10 }), (text, names) => {
      const near = new NearNames(text, 3)
      for (const name of names) assert.equal(near.distance(name), Math.min(plain(name, text), 4))
    }),
    { numRuns: 500 },
  )
})

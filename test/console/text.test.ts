import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesLine, bytesText, clockText, durationText, timeText, visiblePieces } from '../../src/console/parts/text.js'
import { rangeOf } from '../../src/console/state/range.js'

test('lengths, sizes and places read as people say them', () => {
  assert.deepEqual([400, 12_000, 185_000, 3_725_000].map(durationText), ['0.4 s', '12 s', '3 m 05 s', '1 h 02 m'])
  assert.deepEqual([7.9, 754, 3723].map(clockText), ['0:07', '12:34', '1:02:03'])
  assert.deepEqual([0, 999, 1000, 12_345, 999_600, 5e9].map(bytesText), ['0 B', '999 B', '1.0 kB', '12.3 kB', '1.0 MB', '5.0 GB'])
})

test('times say as much as is needed to tell them apart', () => {
  const now = new Date(2026, 10, 23, 15, 0, 0)
  assert.equal(timeText(new Date(2026, 10, 23, 9, 5, 7), now), '09:05:07')
  assert.equal(timeText(new Date(2026, 10, 2, 9, 5, 7), now), '2 Nov 09:05')
  assert.equal(timeText(new Date(2025, 10, 2), now), '2 Nov 2025')
})

test('what a terminal or a browser would obey is shown by name', () => {
  const shown = visiblePieces('rm\u202e txt.\u001b[2J\u200b\n<b>')
  assert.deepEqual(
    shown.filter(({ isEscape }) => isEscape).map(({ text }) => text),
    ['\\u{202e}', '␛', '\\u{200b}', '⏎'],
  )
  assert.equal(shown.map(({ text }) => text).join(''), 'rm\\u{202e} txt.␛[2J\\u{200b}⏎<b>')
})

test('no text of anybody’s leaves a control character behind', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const shown = visiblePieces(text)
        .map((piece) => piece.text)
        .join('')
      assert.doesNotMatch(shown, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b-\u200f]/)
    }),
  )
})

test('a line that is no UTF-8 is shown byte by byte', () => {
  assert.equal(bytesLine(Buffer.from('ls \xff\x1b', 'latin1').toString('base64')), 'ls \\xff\\x1b')
})

test('spans of time end now, and moments of one’s own are taken as they are', () => {
  const now = new Date('2026-11-23T12:00:00.000Z')
  assert.deepEqual(rangeOf({ since: '24h' }, now), { from: '2026-11-22T12:00:00.000Z' })
  assert.deepEqual(rangeOf({ from: '2026-11-01T00:00:00Z', to: 'nonsense' }, now), { from: '2026-11-01T00:00:00.000Z' })
  assert.deepEqual(rangeOf({ since: '3 weeks' }, now), {})
})

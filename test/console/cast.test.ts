import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseCast, parseCastEvent, parseCastHead, parseSize, shownText } from '../../src/console/player/cast.js'
import { castEventLine, castHeaderLine } from '../../src/wire/asciicast.js'

const HEAD = castHeaderLine({ version: 2, width: 80, height: 24, env: { TERM: 'xterm' } })

test('a recording as the gateway writes it is read with its events and the marks of its commands', () => {
  const text = HEAD + castEventLine(0.5, 'o', 'hi\r\n') + castEventLine(1, 'm', '17 denied: rm -rf /') + castEventLine(2.25, 'r', '100x30')
  const cast = parseCast(text)
  assert.deepEqual([cast.columns, cast.rows, cast.hasTerminal, cast.seconds], [80, 24, true, 2.25])
  assert.deepEqual(cast.events[0], [0.5, 'o', 'hi\r\n'])
  assert.deepEqual([...cast.marks], [[17, 1]])
})

test('a torn last line is left out', () => {
  const whole = HEAD + castEventLine(1, 'o', 'kept')
  assert.deepEqual(parseCast(`${whole}[2,"o","to`).events, parseCast(whole).events)
})

test('what is no recording is refused in words', () => {
  for (const text of [
    '',
    'x',
    '{}',
    '[1,"o","x"]',
    '{"version":1,"width":80,"height":24}',
    '{"version":2,"width":0,"height":24}',
    '{"version":2,"width":80,"height":99999}',
  ])
    assert.throws(() => parseCast(text), /not a recording/)
})

test('output of pipes gets the carriage returns that a terminal needs, output of a terminal stays as it is', () => {
  assert.equal(shownText([0, 'e', 'a\nb\r\nc'], false), 'a\r\nb\r\nc')
  assert.equal(shownText([0, 'o', 'a\nb'], true), 'a\nb')
  assert.equal(shownText([0, 'm', 'a'], true), undefined)
})

test('sizes are read where they are sizes', () => {
  assert.deepEqual(parseSize('100x30'), { columns: 100, rows: 30 })
  for (const text of ['', '0x0', '100', '1e3x2', '99999x1']) assert.equal(parseSize(text), undefined)
})

test('no line of anybody’s makes the readers throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      parseCastHead(line)
      parseCastEvent(line)
      parseCast(HEAD + line)
    }),
  )
})

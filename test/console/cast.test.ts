import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseCastEvent, parseCastHead, parsePart, parseSize, shownText } from '../../src/console/player/cast.js'
import { castEventLine, castHeaderLine } from '../../src/wire/asciicast.js'

const HEAD = castHeaderLine({ version: 2, width: 80, height: 24, env: { TERM: 'xterm' }, dockin: { part: { seconds: 0.5, total: 60, next: 3 } } })

test('a part as the gateway writes it is read with its events and where it stands in the whole', () => {
  const part = parsePart(HEAD + castEventLine(0.5, 'o', 'hi\r\n') + castEventLine(1, 'm', '17 denied: rm -rf /') + castEventLine(2.25, 'r', '100x30'))
  assert.deepEqual([part.columns, part.rows, part.hasTerminal], [80, 24, true])
  assert.deepEqual([part.seconds, part.total, part.next], [0.5, 60, 3])
  assert.deepEqual(part.events[0], [0.5, 'o', 'hi\r\n'])
  assert.equal(part.events.length, 3)
})

test('a torn last line is left out', () => {
  const whole = HEAD + castEventLine(1, 'o', 'kept')
  assert.deepEqual(parsePart(`${whole}[2,"o","to`).events, parsePart(whole).events)
})

test('what is no part of a recording is refused in words', () => {
  for (const text of [
    '',
    'x',
    '{}',
    '[1,"o","x"]',
    '{"version":1,"width":80,"height":24}',
    '{"version":2,"width":0,"height":24}',
    '{"version":2,"width":80,"height":99999}',
    '{"version":2,"width":80,"height":24}',
    '{"version":2,"width":80,"height":24,"dockin":{"part":{"seconds":"0","total":1}}}',
  ])
    assert.throws(() => parsePart(text), /not a recording/)
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
      parsePart(HEAD + line)
    }),
  )
})

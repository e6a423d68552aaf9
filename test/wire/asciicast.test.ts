import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CastEvent,
  type CastHeader,
  CastParser,
  castEventBytes,
  castEventLine,
  castHeaderLine,
  castSize,
  parseCastSize,
  readCast,
  TextDecoding,
  WholeCharacters,
} from '../../src/wire/asciicast.js'

const HEADER: CastHeader = { version: 2, width: 80, height: 24, timestamp: 1700000000, title: 'alice', env: { TERM: 'xterm' } }

/** Cuts bytes at arbitrary places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const edges = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge))
}

test('recording reads back as it was written, wherever its bytes are cut', () => {
  const event = fc.record(
    { seconds: fc.nat(10_000_000).map((ms) => ms / 1000), code: fc.constantFrom('o', 'i', 'r', 'm', 'e'), data: fc.string({ unit: 'grapheme' }) },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), fc.array(fc.nat(5000), { maxLength: 10 }), (events, places) => {
      const bytes = Buffer.from(castHeaderLine(HEADER) + events.map((e) => castEventLine(e.seconds, e.code, e.data)).join(''))
      const parser = new CastParser()
      const read = cut(bytes, places).flatMap((chunk) => parser.push(chunk))
      parser.end()
      assert.deepEqual(parser.header, HEADER)
      assert.deepEqual(read, events)
      assert.equal(parser.torn, false)
    }),
    { numRuns: 300 },
  )
})

test('parser of hostile bytes throws BAD_REQUEST or reads events, and nothing else', () => {
  const line = fc.oneof(fc.json(), fc.string(), fc.constant('{"version":2,"width":1,"height":1}'), fc.constant('[1,"o","x"]'))
  const bytes = fc.oneof(
    fc.array(line).map((lines) => Buffer.from(lines.join('\n'))),
    fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  )
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(300), { maxLength: 4 }), (input, places) => {
      const parser = new CastParser()
      try {
        const events = cut(input, places).flatMap((chunk) => parser.push(chunk))
        parser.end()
        for (const event of events) assert.deepEqual([typeof event.seconds, typeof event.code, typeof event.data], ['number', 'string', 'string'])
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'BAD_REQUEST', String(error))
      }
    }),
    { numRuns: 1000 },
  )
})

test('recording that a crash cut is read up to its last whole line', async () => {
  const text = castHeaderLine(HEADER) + castEventLine(1, 'o', 'whole') + castEventLine(2, 'o', 'cut').slice(0, -4)
  const parser = new CastParser()
  assert.deepEqual(parser.push(Buffer.from(text)), [{ seconds: 1, code: 'o', data: 'whole' }])
  parser.end()
  assert.equal(parser.torn, true)
  const events: CastEvent[] = []
  let header: CastHeader | undefined
  for await (const event of readCast(Readable.from([Buffer.from(text)]), (read) => (header = read))) events.push(event)
  assert.equal(events.length, 1)
  assert.equal(header?.title, 'alice')
})

test('parser names the line that is not asciicast', () => {
  const first = new CastParser()
  assert.throws(() => first.push(Buffer.from('{"version":1,"width":80,"height":24}\n')), { code: 'BAD_REQUEST', message: /line 1: not the header/ })
  const third = new CastParser()
  assert.throws(() => third.push(Buffer.from(`${castHeaderLine(HEADER)}[1,"o","x"]\n[1,"o"]\n`)), { message: /line 3: not an event/ })
  assert.throws(() => new CastParser().end(), { message: /no header/ })
  const long = new CastParser()
  const block = Buffer.alloc(8 * 1024 * 1024, 'x')
  for (let i = 0; i < 4; i++) long.push(block)
  assert.throws(() => long.push(block), { code: 'BAD_REQUEST', message: /longer than/ })
})

test('text that is cut inside characters is put together again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), fc.array(fc.nat(400), { maxLength: 12 }), (text, places) => {
      const decoding = new TextDecoding()
      const pieces = cut(Buffer.from(text), places).map((chunk) => decoding.push(chunk))
      assert.equal(pieces.join('') + decoding.end(), text)
    }),
    { numRuns: 500 },
  )
})

test('whole characters are the same text, cut anywhere, and always UTF-8', () => {
  const through = (bytes: Buffer, places: readonly number[]) => {
    const whole = new WholeCharacters()
    const pieces = cut(bytes, places).map((chunk) => whole.push(chunk))
    return [...pieces, whole.end()]
  }
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), fc.array(fc.nat(400), { maxLength: 12 }), (text, places) => {
      const bytes = Buffer.from(text)
      assert.ok(Buffer.concat(through(bytes, places)).equals(bytes))
    }),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat(60), { maxLength: 6 }), (array, places) => {
      for (const piece of through(Buffer.from(array), places)) assert.ok(isUtf8(piece))
    }),
    { numRuns: 500 },
  )
})

test('event of bytes is the line that the event of text would be', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.equal(castEventBytes(1.5, 'o', Buffer.from(text)).toString(), castEventLine(1.5, 'o', text))
    }),
    { numRuns: 500 },
  )
  const all = Buffer.from(Array.from({ length: 0xd800 }, (_, i) => String.fromCharCode(i)).join(''))
  assert.equal(castEventBytes(0, 'o', all).toString(), castEventLine(0, 'o', all.toString()))
})

test('bytes that are not UTF-8 become replacement characters, and what is whole around them stays', () => {
  const decoding = new TextDecoding()
  assert.equal(decoding.push(Buffer.from([0x61, 0xff, 0x62])), 'a\ufffdb')
  assert.equal(decoding.push(Buffer.from([0xe2, 0x82])), '')
  assert.equal(decoding.end(), '\ufffd')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat(60), { maxLength: 6 }), (array, places) => {
      const decoded = new TextDecoding()
      const text =
        cut(Buffer.from(array), places)
          .map((chunk) => decoded.push(chunk))
          .join('') + decoded.end()
      assert.equal(Buffer.from(text).toString(), text, 'no half of a surrogate pair')
      assert.ok(text.length <= array.length)
    }),
  )
})

test('sizes print and parse', () => {
  assert.deepEqual(parseCastSize(castSize(132, 43)), { columns: 132, rows: 43 })
  for (const bad of ['', '80', '80x', 'x24', '80x24x1', '-1x2', '999999x1']) assert.equal(parseCastSize(bad), undefined, bad)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../../src/core/errors.js'
import { type ControlFrame, controlFrame, dataHeader, FrameParser } from '../../../src/wire/spdy/frames.js'
import { SPDY_LIMITS } from '../../../src/wire/spdy/limits.js'

type Seen = ControlFrame | { readonly type: 'data'; readonly id: number; readonly payload: string; readonly fin: boolean }

/** What a parser makes of these chunks; pieces of one data frame are joined. */
function parse(chunks: readonly Buffer[]): { seen: Seen[]; isIdle: boolean } {
  const seen: Seen[] = []
  let joined = ''
  let joinedId = 0
  const parser = new FrameParser({
    control: (frame) => {
      flush()
      // a view of the chunk, compared later
      seen.push('block' in frame ? { ...frame, block: Buffer.from(frame.block) } : frame)
    },
    data: (id, payload, fin) => {
      if (id !== joinedId) flush()
      joinedId = id
      joined += payload.toString('hex')
      if (fin) flush(true)
    },
  })
  const flush = (fin = false) => {
    if (joinedId > 0) seen.push({ type: 'data', id: joinedId, payload: joined, fin })
    joined = ''
    joinedId = 0
  }
  for (const chunk of chunks) parser.push(chunk)
  flush()
  return { seen, isIdle: parser.isIdle }
}

const FRAMES: Exclude<ControlFrame, { type: 'unknown' }>[] = [
  { type: 'synStream', id: 1, fin: false, unidirectional: false, block: Buffer.from('block of a stream') },
  { type: 'synReply', id: 1, fin: true, block: Buffer.from('x') },
  { type: 'headers', id: 0x7fffffff, fin: true, block: Buffer.alloc(0) },
  { type: 'rstStream', id: 3, status: 5 },
  {
    type: 'settings',
    entries: [
      { id: 7, value: 1 << 20 },
      { id: 4, value: 0xffffffff },
    ],
  },
  { type: 'ping', id: 0xffffffff },
  { type: 'goaway', lastId: 9, status: 0 },
  { type: 'windowUpdate', id: 5, delta: 0x7fffffff },
]

function wire(): Buffer {
  const data = [dataHeader(1, false, 5), Buffer.from('hello'), dataHeader(3, true, 0), dataHeader(5, true, 3), Buffer.from('end')]
  return Buffer.concat([...FRAMES.map(controlFrame), ...data])
}

test('frames come out as they went in, wherever the bytes are cut', () => {
  const bytes = wire()
  const whole = parse([bytes])
  assert.deepEqual(whole.seen.slice(0, FRAMES.length), FRAMES)
  assert.deepEqual(whole.seen.slice(FRAMES.length), [
    { type: 'data', id: 1, payload: Buffer.from('hello').toString('hex'), fin: false },
    { type: 'data', id: 3, payload: '', fin: true },
    { type: 'data', id: 5, payload: Buffer.from('end').toString('hex'), fin: true },
  ])
  for (let cut = 1; cut < bytes.length; cut++) assert.deepEqual(parse([bytes.subarray(0, cut), bytes.subarray(cut)]), whole, `cut at ${cut}`)
  assert.deepEqual(parse([...bytes].map((byte) => Buffer.from([byte]))), whole)
})

test('a parser that stopped inside a frame says so', () => {
  assert.equal(parse([wire()]).isIdle, true)
  assert.equal(parse([dataHeader(1, false, 5)]).isIdle, false)
  assert.equal(parse([dataHeader(1, false, 5).subarray(0, 3)]).isIdle, false)
})

test('a payload passes through without being copied', () => {
  const chunk = Buffer.concat([dataHeader(1, false, 70_000), Buffer.alloc(70_000, 1)])
  let payload: Buffer | undefined
  new FrameParser({ control: () => {}, data: (_id, piece) => (payload = piece) }).push(chunk)
  assert.equal(payload?.buffer, chunk.buffer)
})

const refusals: readonly [string, Buffer][] = [
  ['a control frame over the limit', header(0x80030001, SPDY_LIMITS.controlBytes + 1)],
  ['another version', header(0x80020001, 10)],
  ['data for stream 0', header(0, 1)],
  ['a SYN_STREAM too short', Buffer.concat([header(0x80030001, 4), Buffer.alloc(4)])],
  ['a PING too short', header(0x80030006, 0)],
  ['a SETTINGS that lies about its entries', Buffer.concat([header(0x80030004, 12), word(2), Buffer.alloc(8)])],
  ['a SETTINGS with too many entries', Buffer.concat([header(0x80030004, 4), word(0xffffffff)])],
]
for (const [name, bytes] of refusals) {
  test(`the parser refuses ${name}`, () => {
    assert.throws(() => parse([bytes]), { code: 'PROTOCOL_ERROR' })
  })
}

test('random and mutated bytes give frames or an OpsError, nothing else', () => {
  const bytes = wire()
  const mutated = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
    const copy = Buffer.from(bytes)
    for (const [at, value] of changes) copy[at] = value
    return copy
  })
  const random = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.oneof(mutated, random), fc.nat(bytes.length), (input, cut) => {
      const outcome = outcomeOf([input])
      assert.deepEqual(outcomeOf([input.subarray(0, cut), input.subarray(cut)]), outcome)
    }),
    { numRuns: 3000 },
  )
})

function outcomeOf(chunks: readonly Buffer[]): unknown {
  try {
    return parse(chunks)
  } catch (error) {
    assert.ok(error instanceof OpsError, String(error))
    return error.message
  }
}

function header(first: number, length: number): Buffer {
  return Buffer.concat([word(first), word(length)])
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

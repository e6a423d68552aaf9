import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { constants, createDeflate, createInflate } from 'node:zlib'
import fc from 'fast-check'
import { OpsError } from '../../../src/core/errors.js'
import { SPDY_DICTIONARY } from '../../../src/wire/spdy/dictionary.js'
import { HeaderReader, HeaderWriter } from '../../../src/wire/spdy/header-block.js'
import { SPDY_LIMITS } from '../../../src/wire/spdy/limits.js'

/** Blocks as zlib writes them, each ended by a sync flush: what Go sends. */
async function zlibBlocks(blocks: readonly Buffer[]): Promise<Buffer[]> {
  const deflate = createDeflate({ dictionary: SPDY_DICTIONARY })
  const out: Buffer[] = []
  let parts: Buffer[] = []
  deflate.on('data', (part: Buffer) => parts.push(part))
  for (const block of blocks) {
    deflate.write(block)
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve))
    await new Promise((resolve) => setImmediate(resolve)) // 'data' follows the callback
    out.push(Buffer.concat(parts))
    parts = []
  }
  deflate.destroy()
  return out
}

function pairs(headers: Record<string, string>): Buffer {
  const words = Object.entries(headers).flatMap(([name, value]) => [text(name), text(value)])
  return Buffer.concat([word(words.length / 2), ...words])
}

test('the dictionary is the one of the draft', () => {
  const dictionary = SPDY_DICTIONARY
  assert.equal(dictionary.length, 1423)
  assert.equal(createHash('sha256').update(dictionary).digest('hex'), '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02')
})

test('blocks of a real zlib are read one after the other', async () => {
  const headers = [{ streamtype: 'stdin' }, { streamtype: 'stdout', port: '80' }, {}, { streamtype: 'stdin', long: 'x'.repeat(5000) }]
  const blocks = await zlibBlocks(headers.map(pairs))
  const reader = new HeaderReader()
  assert.deepEqual(
    blocks.map((block) => reader.read(block)),
    headers,
  )
})

test('our blocks are read by a real zlib, and by ourselves', async () => {
  const headers = [{ Streamtype: 'error' }, {}, { a: 'x'.repeat(70_000), b: '' }]
  const writer = new HeaderWriter()
  const blocks = headers.map((record) => writer.write(record))
  const inflate = createInflate({ dictionary: SPDY_DICTIONARY })
  inflate.end(Buffer.concat(blocks))
  const seen: Buffer[] = []
  inflate.on('data', (chunk: Buffer) => seen.push(chunk))
  await new Promise((resolve) => inflate.once('error', resolve)) // no end of stream: the connection just goes on
  assert.deepEqual(Buffer.concat(seen), Buffer.concat([pairs({ streamtype: 'error' }), pairs({}), pairs({ a: 'x'.repeat(70_000), b: '' })]))
  const reader = new HeaderReader({ ...SPDY_LIMITS, headerBytes: 100_000 })
  assert.deepEqual(
    blocks.map((block) => reader.read(block)),
    [{ streamtype: 'error' }, {}, { a: 'x'.repeat(70_000), b: '' }],
  )
})

test('a block that inflates beyond the limit is refused after a little work', async () => {
  const [bomb] = await zlibBlocks([pairs({ a: 'x'.repeat(40_000_000) })])
  assert.ok(bomb && bomb.length < 64 * 1024)
  const before = process.memoryUsage().arrayBuffers
  assert.throws(() => new HeaderReader().read(bomb), { code: 'PROTOCOL_ERROR', message: /over 65536 bytes/ })
  assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000)
})

const broken: readonly [string, Buffer][] = [
  ['more pairs than the limit', word(65)],
  ['more pairs than it holds', Buffer.concat([word(2), text('a'), text('b')])],
  ['a name twice', Buffer.concat([word(2), text('a'), text('b'), text('A'), text('c')])],
  ['an empty name', Buffer.concat([word(1), text(''), text('b')])],
  ['a length beyond its end', Buffer.concat([word(1), word(0xffffffff)])],
  ['bytes after its end', Buffer.concat([pairs({ a: 'b' }), Buffer.from('x')])],
]
for (const [name, block] of broken) {
  test(`a block with ${name} is refused`, async () => {
    const [bytes] = await zlibBlocks([block])
    assert.ok(bytes)
    assert.throws(() => new HeaderReader().read(bytes), { code: 'PROTOCOL_ERROR' })
  })
}

test('a name of an object’s own stays a name', async () => {
  const [bytes] = await zlibBlocks([Buffer.concat([word(1), text('__proto__'), text('x')])])
  assert.ok(bytes)
  const headers = new HeaderReader().read(bytes)
  assert.deepEqual(Object.entries(headers), [['__proto__', 'x']])
})

test('random and mutated blocks give headers or an OpsError, nothing else', async () => {
  const [first] = await zlibBlocks([pairs({ streamtype: 'stdin', 'content-type': 'text/plain', x: 'y'.repeat(300) })])
  assert.ok(first)
  const mutated = fc.array(fc.tuple(fc.nat(first.length - 1), fc.nat(255)), { maxLength: 4 }).map((changes) => {
    const copy = Buffer.from(first)
    for (const [at, value] of changes) copy[at] = value
    return copy
  })
  const random = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.concat([first.subarray(0, 6), array]))
  fc.assert(
    fc.property(fc.array(fc.oneof(mutated, random), { minLength: 1, maxLength: 3 }), (blocks) => {
      const reader = new HeaderReader()
      try {
        for (const block of blocks) reader.read(block)
      } catch (error) {
        assert.ok(error instanceof OpsError && error.code === 'PROTOCOL_ERROR', String(error))
      }
    }),
    { numRuns: 1500 },
  )
})

function text(value: string): Buffer {
  return Buffer.concat([word(Buffer.byteLength(value)), Buffer.from(value)])
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex, Readable } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Stage } from '../../src/core/types.js'
import { Audience, type AudienceOptions } from '../../src/stage/audience.js'
import { Backlog } from '../../src/stage/backlog.js'
import { type CastEvent, CastParser } from '../../src/wire/asciicast.js'
import { aSession } from '../support/sessions.js'

const DONE = { kind: 'exited', code: 0 } as const

async function open(
  options: AudienceOptions = {},
): Promise<{ audience: Audience; stage: Stage; down: Duplex; show: (text: string | Buffer) => Promise<void> }> {
  const audience = new Audience(options)
  const stage = await audience.intercept(aSession().session)
  assert.ok(stage?.down)
  const down = stage.down
  down.resume()
  const show = (text: string | Buffer) => new Promise<void>((resolve) => void down.write(text, () => resolve()))
  return { audience, stage, down, show }
}

async function all(watcher: Readable): Promise<{ events: readonly CastEvent[]; parser: CastParser; text: string }> {
  const parser = new CastParser()
  const events: CastEvent[] = []
  for await (const chunk of watcher) events.push(...parser.push(chunk as Buffer))
  parser.end()
  return { events, parser, text: events.map((event) => (event.code === 'o' ? event.data : '')).join('') }
}

test('watcher gets what was shown before it came and everything after, once', async () => {
  const { audience, stage, show } = await open()
  await show('before ')
  const first = all(audience.join('s-1'))
  await show('between ')
  const second = all(audience.join('s-1'))
  stage.resize?.({ columns: 100, rows: 30, widthPx: 0, heightPx: 0 })
  await show('after')
  assert.equal(audience.watchers('s-1'), 2)
  await stage.finish?.(DONE)
  const [one, two] = [await first, await second]
  assert.equal(one.text, 'before between after')
  assert.equal(two.text, 'before between after')
  assert.ok(two.events.some((event) => event.code === 'r' && event.data === '100x30'))
  assert.equal(one.parser.header?.width, 80)
  assert.throws(() => audience.join('s-1'), { code: 'NOT_FOUND' })
  assert.equal(audience.watchers('s-1'), 0)
})

test('watchers that join inside a character see it whole', async () => {
  const { audience, stage, show } = await open()
  const bytes = Buffer.from('a€b')
  await show(bytes.subarray(0, 2))
  const first = all(audience.join('s-1'))
  await show(bytes.subarray(2, 3))
  const second = all(audience.join('s-1'))
  await show(bytes.subarray(3))
  await stage.finish?.(DONE)
  assert.equal((await first).text, 'a€b')
  assert.equal((await second).text, 'a€b')
})

test('watcher joins long output at a line end, and is told how much came before', async () => {
  const { audience, stage, show } = await open({ backlogBytes: 10_000 })
  const lines = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`)
  for (const line of lines) await show(line)
  const watcher = all(audience.join('s-1'))
  await stage.finish?.(DONE)
  const { text, parser } = await watcher
  const whole = lines.join('')
  assert.ok(whole.endsWith(text) && text.startsWith('line ') && text.length >= 9000 && text.length < 20_000, `${text.length}`)
  assert.deepEqual(parser.header?.dockin, { session: 's-1', user: 'alice', target: 'a/shop/web-0/web', offset: whole.length - text.length })
})

test('watcher that does not read is dropped with a note and nobody waits for it', async () => {
  const { audience, stage, show } = await open({ maxWaitingBytes: 100_000 })
  const lazy = audience.join('s-1')
  const keen = all(audience.join('s-1'))
  for (let i = 0; i < 100; i++) await show(Buffer.alloc(10_000, 'x'))
  assert.ok(lazy.readableLength < 110_000, `${lazy.readableLength} bytes wait`)
  assert.equal(audience.watchers('s-1'), 1)
  const { events } = await all(lazy)
  assert.match(events.at(-1)?.data ?? '', /fell behind/)
  await stage.finish?.(DONE)
  assert.equal((await keen).text.length, 1_000_000)
})

test('watcher that leaves is forgotten, and too many are refused', async () => {
  const { audience, show } = await open({ maxWatchers: 2 })
  const watcher = audience.join('s-1')
  audience.join('s-1').resume()
  assert.throws(() => audience.join('s-1'), { code: 'LIMIT_EXCEEDED' })
  watcher.destroy()
  watcher.destroy()
  await once(watcher, 'close')
  assert.equal(audience.watchers('s-1'), 1)
  await show('x')
  audience.join('s-1').resume()
})

test('session that nobody watches passes its bytes unchanged', async () => {
  const audience = new Audience()
  const stage = await audience.intercept(aSession().session)
  assert.ok(stage?.down)
  const bytes = Buffer.from([0, 255, 0xe2, 0x82, 10])
  stage.down.end(bytes)
  const [chunk] = (await once(stage.down, 'data')) as [Buffer]
  assert.deepEqual(chunk, bytes)
})

test('backlog holds the last bytes, whatever the sizes of chunks', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 6000 }), { maxLength: 40 }), fc.integer({ min: 1, max: 20_000 }), (sizes, maxBytes) => {
      const backlog = new Backlog(maxBytes)
      const chunks = sizes.map((size, i) => Buffer.alloc(size, i + 1))
      for (const chunk of chunks) backlog.push(chunk)
      const whole = Buffer.concat(chunks)
      const held = backlog.bytes()
      assert.equal(backlog.passed, whole.length)
      assert.equal(backlog.offset, whole.length - held.length)
      assert.ok(held.equals(whole.subarray(whole.length - held.length)))
      assert.ok(held.length >= Math.min(maxBytes, whole.length))
      assert.ok(held.length < maxBytes + 6001)
    }),
    { numRuns: 200 },
  )
})

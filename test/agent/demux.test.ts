import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { DockerDemux, LANE_BUFFER_BYTES } from '../../agent/demux.js'

function frame(lane: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8)
  header[0] = lane
  header.writeUInt32BE(payload.length, 4)
  return Buffer.concat([header, payload])
}
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

test('the demultiplexer gives each lane its bytes however the frames are cut', async () => {
  const anyFrame = fc.record({ lane: fc.constantFrom(0, 1, 2), payload: fc.uint8Array({ maxLength: 300 }) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyFrame, { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 9 }),
      async (frames, sizes) => {
        const demux = new DockerDemux(Readable.from(cut(Buffer.concat(frames.map((f) => frame(f.lane, f.payload))), sizes)))
        const [out, err] = await Promise.all([buffer(demux.stdout), buffer(demux.stderr)])
        const of = (isErr: boolean) => Buffer.concat(frames.filter((f) => (f.lane === 2) === isErr).map((f) => f.payload))
        assert.deepEqual([out, err], [of(false), of(true)])
      },
    ),
    { numRuns: 200 },
  )
})

test('the demultiplexer ends both lanes whatever bytes come', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 64 }), { maxLength: 8 }), async (chunks) => {
      const demux = new DockerDemux(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))
      const over = Promise.all([demux.stdout, demux.stderr].map((lane) => new Promise((resolve) => lane.once('close', resolve).resume())))
      await over
    }),
    { numRuns: 300 },
  )
})

test('a lane that nobody reads holds the source and loses nothing', async () => {
  const source = new PassThrough()
  const demux = new DockerDemux(source)
  const chunk = frame(2, Buffer.alloc(60_000, 1))
  let sent = 0
  while (source.write(chunk)) {
    sent++
    await turn()
    assert.ok(sent < 100, 'the source is never held')
  }
  sent++
  assert.ok(demux.stderr.readableLength <= LANE_BUFFER_BYTES + 64 * 1024)
  source.end(frame(1, Buffer.from('last')))
  const [out, err] = await Promise.all([buffer(demux.stdout), buffer(demux.stderr)])
  assert.equal(err.length, sent * 60_000)
  assert.equal(out.toString(), 'last')
})

test('a lane whose reader has left does not hold the other', async () => {
  const source = new PassThrough()
  const demux = new DockerDemux(source)
  const first = frame(2, Buffer.alloc(LANE_BUFFER_BYTES + 1))
  source.write(first)
  await turn()
  assert.ok(source.isPaused())
  demux.stderr.destroy()
  source.write(first)
  source.end(frame(1, Buffer.from('on')))
  assert.equal((await buffer(demux.stdout)).toString(), 'on')
})

for (const [what, bytes] of [
  ['a lane that does not exist', Buffer.from('0700000000000000', 'hex')],
  ['a report of the daemon itself', Buffer.from('0300000000000000', 'hex')],
  ['bytes that are no header', Buffer.from('hello, world')],
  ['an end inside a frame', Buffer.from('010000000000000561', 'hex')],
  ['an end inside a header', Buffer.from('0100', 'hex')],
] as const) {
  test(`${what} fails both lanes`, async () => {
    const demux = new DockerDemux(Readable.from([bytes]))
    const failures = [demux.stdout, demux.stderr].map((lane) => once(lane.resume(), 'error'))
    for (const [error] of await Promise.all(failures)) assert.equal(error.code, 'PROTOCOL_ERROR')
  })
}

test('a source that breaks fails both lanes with its reason', async () => {
  const source = new PassThrough()
  const demux = new DockerDemux(source)
  const failures = [demux.stdout, demux.stderr].map((lane) => once(lane.resume(), 'error'))
  source.destroy(new Error('read ECONNRESET'))
  for (const [error] of await Promise.all(failures)) assert.match(error.message, /ECONNRESET/)
})

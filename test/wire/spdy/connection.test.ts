import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { OpsError } from '../../../src/core/errors.js'
import { SpdyConnection, type SpdyOptions } from '../../../src/wire/spdy/connection.js'
import { controlFrame, dataHeader } from '../../../src/wire/spdy/frames.js'
import { HeaderWriter } from '../../../src/wire/spdy/header-block.js'
import type { SpdyStream } from '../../../src/wire/spdy/stream.js'
import { socketPair } from '../support/socket-pair.js'

const MIB = 1024 * 1024
const STALL = Symbol('stall')

async function connected(t: TestContext, options: Omit<SpdyOptions, 'side'> = {}): Promise<{ client: SpdyConnection; server: SpdyConnection }> {
  const pair = await socketPair()
  t.after(pair.close)
  return { client: new SpdyConnection(pair.client, { side: 'client', ...options }), server: new SpdyConnection(pair.server, { side: 'server', ...options }) }
}

/** A server connection whose peer is a bare socket, for what a well-behaved client would not send. */
async function attacked(t: TestContext, options: Omit<SpdyOptions, 'side'> = {}): Promise<{ peer: Socket; server: SpdyConnection; syn(id: number): Buffer }> {
  const pair = await socketPair()
  t.after(pair.close)
  const writer = new HeaderWriter()
  const syn = (id: number) => controlFrame({ type: 'synStream', id, fin: false, unidirectional: false, block: writer.write({ streamtype: `s${id}` }) })
  return { peer: pair.client, server: new SpdyConnection(pair.server, { side: 'server', ...options }), syn }
}

function nextStream(connection: SpdyConnection): Promise<SpdyStream> {
  return new Promise((resolve) => connection.onStream(resolve))
}

/** Writes until the stream takes no more for a whole turn of the loop after turn; answers how much that was. */
async function fill(stream: SpdyStream, maxBytes: number): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let bytes = 0
  while (bytes < maxBytes) {
    bytes += chunk.length
    if (stream.write(chunk)) continue
    const drained = await Promise.race([once(stream, 'drain'), new Promise((resolve) => setTimeout(resolve, 100, STALL))])
    if (drained === STALL) return bytes
  }
  return bytes
}

for (const windowBytes of [0, MIB]) {
  const name = windowBytes > 0 ? 'with windows' : 'without windows'

  test(`a stream carries both directions and half-closes, ${name}`, async (t) => {
    const { client, server } = await connected(t, { windowBytes })
    server.onStream((stream) => void stream.pipe(stream))
    const stream = await client.openStream({ Streamtype: 'stdin' })
    const input = Buffer.alloc(5 * MIB, 'abcdefg')
    stream.end(input)
    assert.ok((await buffer(stream)).equals(input))
    await client.close()
    assert.equal(await client.closed, undefined)
    assert.equal(await server.closed, undefined)
  })

  test(`an unread stream holds its writer, ${name}, and lets it go on when read`, async (t) => {
    const { client, server } = await connected(t, { windowBytes })
    const [stream, far] = await Promise.all([client.openStream({ a: '1' }), nextStream(server)])
    const sent = await fill(stream, 64 * MIB)
    assert.ok(sent < 16 * MIB, `${sent} bytes were taken`)
    assert.ok(far.readableLength <= MIB + 64 * 1024, `${far.readableLength} bytes are held`)
    stream.end()
    assert.equal((await buffer(far)).length, sent)
  })
}

test('with windows, a full stream holds neither another stream nor a ping', async (t) => {
  const { client, server } = await connected(t, { windowBytes: MIB })
  const streams: SpdyStream[] = []
  server.onStream((stream) => streams.push(stream))
  const [full, small] = await Promise.all([client.openStream({ streamtype: 'stdin' }), client.openStream({ streamtype: 'resize' })])
  await fill(full, 64 * MIB)
  assert.equal(server.isHeld, false)
  assert.ok((await client.ping()) >= 0)
  small.end('80x24')
  const far = streams.find((stream) => stream.headers.streamtype === 'resize')
  assert.ok(far)
  assert.equal(await text(far), '80x24')
})

test('without windows, a full stream pauses the socket until it is read or reset', async (t) => {
  const { client, server } = await connected(t)
  const [stream, far] = await Promise.all([client.openStream({}), nextStream(server)])
  await fill(stream, 64 * MIB)
  assert.equal(server.isHeld, true)
  far.reset()
  assert.equal(server.isHeld, false)
  assert.ok((await client.ping()) >= 0)
})

test('headers arrive in lower case, and streams opened before the handler are handed over', async (t) => {
  const { client, server } = await connected(t)
  await client.openStream({ StreamType: 'error', port: '80' })
  const stream = await nextStream(server)
  assert.deepEqual(stream.headers, { streamtype: 'error', port: '80' })
})

test('a reset ends the peer’s reading and drops what it writes', async (t) => {
  const { client, server } = await connected(t)
  const [stream, far] = await Promise.all([client.openStream({}), nextStream(server)])
  far.reset()
  await once(stream.resume(), 'end')
  await new Promise<void>((resolve, reject) => stream.write('late', (error) => (error ? reject(error) : resolve())))
})

test('what arrived before the connection broke is read, then the error comes', async (t) => {
  const pair = await socketPair()
  t.after(pair.close)
  const client = new SpdyConnection(pair.client, { side: 'client' })
  const server = new SpdyConnection(pair.server, { side: 'server' })
  const [stream, far] = await Promise.all([client.openStream({}), nextStream(server)])
  far.write('last words')
  await once(stream, 'readable')
  pair.server.resetAndDestroy()
  const error = await client.closed
  assert.equal(error?.code, 'PROTOCOL_ERROR')
  let seen = ''
  const failure = await (async () => {
    for await (const chunk of stream) seen += String(chunk)
  })().catch((thrown: unknown) => thrown)
  assert.equal(seen, 'last words')
  assert.ok(failure instanceof OpsError && failure.code === 'PROTOCOL_ERROR', String(failure))
})

test('a peer that ends the connection with a stream open broke it; with GOAWAY it did not', async (t) => {
  const cut = await attacked(t)
  cut.peer.write(cut.syn(1))
  await nextStream(cut.server)
  cut.peer.end()
  assert.equal((await cut.server.closed)?.code, 'PROTOCOL_ERROR')
  const polite = await attacked(t)
  polite.peer.write(polite.syn(1))
  const stream = await nextStream(polite.server)
  polite.peer.end(controlFrame({ type: 'goaway', lastId: 0, status: 0 }))
  assert.equal(await polite.server.closed, undefined)
  assert.equal(await text(stream), '')
})

test('openStream rejects when aborted, when refused and when the connection ends', async (t) => {
  const pair = await socketPair()
  t.after(pair.close)
  const client = new SpdyConnection(pair.client, { side: 'client' })
  const abort = new AbortController()
  const aborted = client.openStream({}, abort.signal)
  abort.abort(new OpsError('IDLE_TIMEOUT', 'test'))
  await assert.rejects(aborted, { code: 'IDLE_TIMEOUT' })
  const refused = client.openStream({})
  pair.server.write(controlFrame({ type: 'rstStream', id: 3, status: 3 }))
  await assert.rejects(refused, { code: 'PROTOCOL_ERROR', message: /refused/ })
  const cut = client.openStream({})
  pair.server.destroy()
  await assert.rejects(cut, { code: 'PROTOCOL_ERROR' })
  await assert.rejects(client.openStream({}), { code: 'PROTOCOL_ERROR' })
  await assert.rejects(client.ping(), { code: 'PROTOCOL_ERROR' })
})

test('a client does not take streams it did not ask for', async (t) => {
  const { client, server } = await connected(t)
  await assert.rejects(server.openStream({}), { code: 'PROTOCOL_ERROR', message: /refused with status 3/ })
  client.destroy()
})

test('close waits for a slow reader, then for the peer’s end', async (t) => {
  const { client, server } = await connected(t)
  const [stream, far] = await Promise.all([client.openStream({}), nextStream(server)])
  far.end(Buffer.alloc(2 * MIB, 'x'))
  const closed = once(far, 'finish').then(() => server.close())
  await once(stream, 'readable')
  assert.equal((await buffer(stream)).length, 2 * MIB)
  await closed
  assert.equal(await client.closed, undefined)
  await server.close()
})

test('destroy settles everything at once, and may be called twice', async (t) => {
  const { client, server } = await connected(t)
  server.onStream(() => {})
  const stream = await client.openStream({})
  const failed = once(stream, 'error')
  client.destroy(new OpsError('SESSION_ENDED', 'test'))
  client.destroy()
  assert.equal((await client.closed)?.code, 'SESSION_ENDED')
  const [error] = (await failed) as [OpsError]
  assert.equal(error.code, 'SESSION_ENDED')
  await client.close()
})

const attacks: readonly [string, RegExp, (syn: (id: number) => Buffer) => Buffer[]][] = [
  ['a flood of pings', /control frames a second/, () => Array.from({ length: 300 }, (_, i) => controlFrame({ type: 'ping', id: 2 * i + 1 }))],
  ['a flood of settings', /control frames a second/, () => Array.from({ length: 300 }, () => controlFrame({ type: 'settings', entries: [] }))],
  ['too many streams', /over 32 streams open/, (syn) => Array.from({ length: 33 }, (_, i) => syn(2 * i + 1))],
  [
    'streams opened and reset in a loop',
    /over 64 streams opened/,
    (syn) => Array.from({ length: 65 }, (_, i) => Buffer.concat([syn(2 * i + 1), controlFrame({ type: 'rstStream', id: 2 * i + 1, status: 5 })])),
  ],
  ['a stream id that goes back', /SYN_STREAM with id 1 after 3/, (syn) => [syn(3), syn(1)]],
  ['a stream id that is ours', /SYN_STREAM with id 2/, (syn) => [syn(2)]],
  ['data for a stream never opened', /never opened/, () => [dataHeader(99, false, 1), Buffer.from('x')]],
  ['a version that is not 3', /version 2/, () => [Buffer.from('8002000100000000', 'hex')]],
]
for (const [name, message, frames] of attacks) {
  test(`a server ends the connection at ${name}`, async (t) => {
    const { peer, server, syn } = await attacked(t, { limits: { streamsTotal: 64 } })
    peer.resume()
    const ended = once(peer, 'close')
    peer.on('error', () => {}) // a reset is as good an end
    peer.on('end', () => peer.end())
    for (const frame of frames(syn)) peer.write(frame)
    const error = await server.closed
    assert.equal(error?.code, 'PROTOCOL_ERROR')
    assert.match(error.message, message)
    await ended
  })
}

test('a peer that sends over its window ends the connection', async (t) => {
  const { peer, server, syn } = await attacked(t, { windowBytes: 64 * 1024 })
  peer.resume()
  peer.on('error', () => {})
  peer.write(syn(1))
  peer.write(Buffer.concat([dataHeader(1, false, 70_000), Buffer.alloc(70_000)]))
  assert.match((await server.closed)?.message ?? '', /more than its window/)
})

test('a window that overflows ends the connection', async (t) => {
  const { peer, server, syn } = await attacked(t, { windowBytes: 64 * 1024 })
  peer.resume()
  peer.on('error', () => {})
  peer.write(controlFrame({ type: 'settings', entries: [{ id: 7, value: 0x7fffffff }] }))
  peer.write(syn(1))
  peer.write(controlFrame({ type: 'windowUpdate', id: 1, delta: 1 }))
  assert.match((await server.closed)?.message ?? '', /window over 2 GiB/)
})

test('a peer that pings and never reads is cut off', async (t) => {
  const { peer, server } = await attacked(t, { limits: { controlPerSecond: 1e9, backlogBytes: 64 * 1024 } })
  peer.pause()
  peer.on('error', () => {})
  const pings = Buffer.concat(Array.from({ length: 5000 }, (_, i) => controlFrame({ type: 'ping', id: 2 * i + 1 })))
  let isOver = false
  void server.closed.then(() => {
    isOver = true
  })
  while (!isOver) if (!peer.write(pings)) await Promise.race([once(peer, 'drain'), server.closed])
  assert.match((await server.closed)?.message ?? '', /does not read/)
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { OpsError } from '../../src/core/errors.js'
import { WebSocketDuplex, type WebSocketDuplexOptions } from '../../src/wire/ws-duplex.js'

const MIB = 1024 * 1024

async function pair(t: TestContext, options: WebSocketDuplexOptions = {}): Promise<{ near: WebSocketDuplex; far: WebSocket }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await once(socket, 'open')
  const [far] = (await accepted) as [WebSocket]
  t.after(() => {
    socket.terminate()
    far.terminate()
    server.close()
  })
  return { near: new WebSocketDuplex(socket, options), far }
}

test('bytes go both ways, and each side’s end is the other’s', async (t) => {
  const { near, far } = await pair(t)
  far.on('message', (data) => far.send(data))
  const input = Buffer.alloc(3 * MIB, 'abc')
  for (let at = 0; at < input.length; at += 50_000) if (!near.write(input.subarray(at, at + 50_000))) await once(near, 'drain')
  let bytes = 0
  for await (const chunk of near.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes === input.length) break
  }
  const closed = once(far, 'close')
  near.end()
  assert.equal((await closed)[0], 1000)
})

test('the peer’s close is the end of the stream', async (t) => {
  const { near, far } = await pair(t)
  far.send('hello ')
  far.send(Buffer.from('world'))
  far.close(1000)
  assert.equal(await text(near), 'hello world')
})

test('in message mode each chunk is one message', async (t) => {
  const { near, far } = await pair(t, { messages: true })
  far.send(Buffer.alloc(0))
  far.send(Buffer.from('one'))
  far.send(Buffer.from('two'))
  far.close(1001)
  const seen: string[] = []
  for await (const message of near as AsyncIterable<Buffer>) seen.push(message.toString())
  assert.deepEqual(seen, ['', 'one', 'two'])
})

test('a reader that does not read holds the sender', async (t) => {
  const { near, far } = await pair(t)
  const chunk = Buffer.alloc(64 * 1024)
  for (let i = 0; i < 512; i++) far.send(chunk)
  far.close(1000)
  await once(near, 'readable')
  await new Promise((resolve) => setTimeout(resolve, 100)) // whatever would come, has come
  assert.ok(near.readableLength < MIB, `${near.readableLength} bytes are held`)
  assert.ok(far.bufferedAmount > 8 * MIB)
  assert.equal((await buffer(near)).length, 512 * chunk.length)
})

test('a peer that does not read holds the writer', async (t) => {
  const { near, far } = await pair(t)
  far.pause()
  let bytes = 0
  for (;;) {
    bytes += 64 * 1024
    if (near.write(Buffer.alloc(64 * 1024))) continue
    const stalled = new Promise((resolve) => setTimeout(resolve, 100, 'stalled'))
    if ((await Promise.race([once(near, 'drain'), stalled])) === 'stalled') break
  }
  assert.ok(bytes < 32 * MIB, `${bytes} bytes were taken`)
  near.destroy()
})

test('a connection that breaks is an error, after what had arrived', async (t) => {
  const { near, far } = await pair(t)
  far.send('last words')
  await once(near, 'readable')
  const broken = new Promise((resolve) => near.once('error', resolve))
  far.terminate()
  near.on('readable', () => near.read())
  const error = await broken
  assert.ok(error instanceof OpsError && error.code === 'PROTOCOL_ERROR')
})

test('a peer that answers no ping is cut off', async (t) => {
  const { near, far } = await pair(t, { pingMs: 20 })
  near.resume()
  far.pause() // reads nothing, so answers nothing
  const hold = setTimeout(() => {}, 5000) // the pings keep no process alive
  const [error] = (await once(near, 'error')) as [OpsError]
  clearTimeout(hold)
  assert.match(error.message, /stopped answering/)
})

test('destroy may be called twice and ends the WebSocket', async (t) => {
  const { near, far } = await pair(t)
  const closed = once(far, 'close')
  near.destroy()
  near.destroy()
  assert.equal((await closed)[0], 1006)
})

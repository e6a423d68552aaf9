import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { HijackSocket } from '../../agent/hijack-socket.js'

let dir: string
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hijack-'))
})
after(() => rm(dir, { recursive: true }))

/** A daemon that sends `bytes`, reads nothing of what it is sent, and closes; the client writes on until it has noticed. */
async function outliveThePeer(client: Socket, bytes: number): Promise<number> {
  const path = join(dir, `${Math.random()}.sock`)
  const server = createServer((peer) => {
    peer.pause()
    peer.on('error', () => {})
    peer.write(Buffer.alloc(bytes), () => peer.once('close', () => server.emit('dropped')) && setTimeout(() => peer.destroy(), 20))
  })
  server.listen(path)
  await once(server, 'listening')
  client.pause()
  client.connect({ path })
  await once(client, 'connect')
  const dropped = once(server, 'dropped')
  client.write(Buffer.alloc(50_000))
  await dropped
  for (let i = 0; i < 50 && !client.destroyed; i++) {
    client.write(Buffer.alloc(100))
    await turn()
  }
  let read = 0
  client.on('data', (chunk) => {
    read += chunk.length
  })
  const over = client.destroyed ? undefined : once(client, 'end')
  client.resume()
  await over
  client.destroy()
  server.close()
  return read
}

test('a hijacked socket gives what it received after its peer has stopped reading', async () => {
  const socket = new HijackSocket()
  socket.hijack()
  assert.equal(await outliveThePeer(socket, 60_000), 60_000)
})

test('a plain socket loses it, which is why there is another', async () => {
  const socket = new Socket()
  socket.on('error', () => {})
  assert.ok((await outliveThePeer(socket, 60_000)) < 60_000)
})

test('a hijacked socket that cannot connect says so', async () => {
  const socket = new HijackSocket()
  const failed = once(socket, 'error')
  socket.connect({ path: join(dir, 'none.sock') })
  const [error] = await failed
  assert.equal(error.code, 'ENOENT')
})

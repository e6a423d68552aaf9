import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ClientEnd } from '../../src/core/types.js'
import { needs } from '../support/need.js'
import { type Gateway, gateway, type Open, ssh, untilGone } from './gateway.js'
import { exec, login, remoteNumber } from './scripted-client.js'

const MIB = 1 << 20
const GIB = 1 << 30

/** What this process still holds after a collection, objects and buffers. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Writes zeros as fast as it may; counts what was taken. */
function flood(counter: { bytes: number }): Open {
  const chunk = Buffer.alloc(64 * 1024)
  return async (_request, client) => {
    for (let open = true; open; ) {
      open = await new Promise<boolean>((resolve) => client.stdout.write(chunk, (error) => resolve(!error)))
      if (open) counter.bytes += chunk.length
    }
  }
}

/** Resolves once `value` has stood still for `ms`. */
async function still(value: () => number, ms = 400): Promise<void> {
  for (let last = value(), since = performance.now(); performance.now() - since < ms; ) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (value() === last) continue
    last = value()
    since = performance.now()
  }
}

test('a client that grants 1 GiB on many channels and stops reading makes the gateway grow by less than 8 MiB', { timeout: 30_000 }, async (t) => {
  const taken = { bytes: 0 }
  const at = await gateway(t, { open: flood(taken) })
  const { client, protocol, socket } = await login(at)
  const channels = await Promise.all(Array.from({ length: 16 }, () => exec(client, 'x')))
  // Bytes between the two kernels are not the process's; what it holds is packets, in ArrayBuffers.
  socket.pause()
  const before = heldBytes()
  for (const channel of channels) protocol.channelWindowAdjust(remoteNumber(channel), GIB)
  await still(() => taken.bytes)
  const grownMiB = (heldBytes() - before) / MIB
  assert.ok(taken.bytes < 32 * MIB, `${taken.bytes} bytes were taken from the programs`)
  assert.ok(grownMiB < 8, `grew by ${grownMiB.toFixed(1)} MiB`)
  t.diagnostic(`grew by ${grownMiB.toFixed(2)} MiB; ${(taken.bytes / MIB).toFixed(1)} MiB went to the kernel and the first windows`)
  socket.destroy()
})

test('channels of one connection take turns', { timeout: 20_000 }, async (t) => {
  const at = await gateway(t, { open: flood({ bytes: 0 }) })
  const { client } = await login(at)
  const counts = [0, 0, 0, 0]
  const all = new Promise<void>((resolve) => {
    counts.forEach(async (_, index) => {
      const channel = await exec(client, 'x')
      channel.on('data', (data: Buffer) => {
        counts[index] = (counts[index] ?? 0) + data.length
        if (counts.every((count) => count > 4 * MIB)) resolve()
      })
    })
  })
  await all
  assert.ok(Math.max(...counts) < 6 * Math.min(...counts), counts.join(' '))
  client.end()
})

test('output nobody reads ends the connection after its time, and the session learns it', { timeout: 20_000 }, async (t) => {
  let end: ClientEnd | undefined
  const taken = { bytes: 0 }
  const at = await gateway(t, {
    timeouts: { unreadMs: 300 },
    open: (request, client) => {
      end = client
      return flood(taken)(request, client)
    },
  })
  const { client, protocol, socket } = await login(at)
  const channel = await exec(client, 'x')
  socket.pause()
  protocol.channelWindowAdjust(remoteNumber(channel), GIB)
  await once(end?.gone as AbortSignal, 'abort')
  await until(() => at.server.stats().connections === 0)
  await until(() => at.lines.some(({ fields }) => fields.reason === 'output was not read for too long'))
  socket.destroy()
})

test('a window that stays closed ends its channel after its time, and no other', { timeout: 20_000 }, async (t) => {
  const ends: ClientEnd[] = []
  const at = await gateway(t, {
    timeouts: { unreadChannelMs: 300 },
    open: async (request, client) => {
      ends.push(client)
      await (request.command === 'flood' ? flood({ bytes: 0 })(request, client) : untilGone(client))
    },
  })
  const { client } = await login(at)
  const idle = await exec(client, 'idle')
  // Never read: ssh2's client opens no window then.
  await exec(client, 'flood')
  await once(ends[1]?.gone as AbortSignal, 'abort')
  assert.equal(ends[1]?.gone.reason.code, 'LIMIT_EXCEEDED')
  assert.equal(ends[0]?.gone.aborted, false)
  idle.end()
  client.end()
})

test('data beyond the window ends the connection', { timeout: 20_000 }, async (t) => {
  const at = await gateway(t)
  const { client, protocol } = await login(at)
  const channel = await exec(client, 'hold')
  const closed = closeOf(client)
  for (let sent = 0; sent < 16 * MIB; sent += 32_000) protocol.channelData(remoteNumber(channel), Buffer.alloc(32_000))
  await closed
  await until(() => at.lines.some(({ fields }) => fields.reason === 'more data than the window allowed'))
})

test('data, end and close for channels that do not exist, or came to their end, do no harm', { timeout: 20_000 }, async (t) => {
  const at = await gateway(t)
  const { client, protocol } = await login(at)
  protocol.channelData(77, Buffer.from('x'))
  protocol.channelClose(77)
  const channel = await exec(client, 'cat')
  channel.end()
  protocol.channelData(remoteNumber(channel), Buffer.from('after the end'))
  await once(channel.resume(), 'close')
  assert.equal((await sizeOf(client, 'zeros 1000')).length, 1000)
  client.end()
})

test('a packet size of 0 is refused, and does not turn the gateway in circles', { timeout: 20_000 }, async (t) => {
  const at = await gateway(t)
  const { client, protocol } = await login(at)
  protocol.session(99, MIB, 0)
  assert.equal((await sizeOf(client, 'zeros 10')).length, 10)
  await until(() => at.lines.some(({ event }) => event === 'ssh.channel.refused'))
  client.end()
})

test('a client that asks without end and never reads the answers is not read any more', { timeout: 30_000 }, async (t) => {
  const at = await gateway(t)
  const { protocol, socket } = await login(at)
  socket.pause()
  const before = heldBytes()
  let sentBytes = 0
  for (let stuck = false; !stuck && sentBytes < 512 * MIB; ) {
    const start = socket.bytesWritten
    for (let asked = 0; asked < 2000; asked++) protocol.ping()
    sentBytes += socket.bytesWritten - start
    if (socket.writableNeedDrain)
      stuck = await Promise.race([once(socket, 'drain').then(() => false), new Promise<boolean>((resolve) => setTimeout(resolve, 1000, true))])
  }
  const grownMiB = (heldBytes() - before) / MIB
  assert.ok(sentBytes < 512 * MIB, 'the gateway went on reading')
  assert.ok(grownMiB < 8, `grew by ${grownMiB.toFixed(1)} MiB`)
  t.diagnostic(`stuck after ${(sentBytes / MIB).toFixed(0)} MiB; grew by ${grownMiB.toFixed(2)} MiB`)
  socket.destroy()
})

async function sizeOf(client: Parameters<typeof exec>[0], command: string): Promise<Buffer> {
  const parts: Buffer[] = []
  const channel = await exec(client, command)
  channel.on('data', (part: Buffer) => parts.push(part))
  await once(channel, 'close')
  return Buffer.concat(parts)
}

/** Unlike events.once it does not take an 'error' before it for its own. */
function closeOf(client: EventEmitter): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()))
}

async function until(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setTimeout(resolve, 5))
}

function knock(at: Gateway, from = '127.0.0.1'): Socket {
  const socket = connect({ host: '127.0.0.1', port: at.port, localAddress: from })
  // How it ends is the gateway's to say.
  socket.on('error', () => undefined)
  return socket.resume()
}

const GARBAGE: Readonly<Record<string, readonly (string | Buffer)[]>> = {
  nothing: [],
  'an HTTP request': ['GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  'a line without end': ['SSH-2.0-', 'x'.repeat(20_000)],
  'random bytes': [randomBytes(4096)],
  'a name and then random bytes': ['SSH-2.0-x\r\n', randomBytes(4096)],
  'a name and then nothing': ['SSH-2.0-x\r\n'],
  'another version': ['SSH-1.5-x\r\n'],
  'a packet of 4 GiB': ['SSH-2.0-x\r\n', Buffer.alloc(64, 0xff)],
}
for (const [what, pieces] of Object.entries(GARBAGE)) {
  test(`a client that sends ${what} ends with a log line and leaves nothing`, { timeout: 10_000 }, async (t) => {
    const at = await gateway(t, { timeouts: { loginMs: 300 } })
    const socket = knock(at)
    for (const piece of pieces) socket.write(piece)
    await once(socket, 'close')
    await until(() => at.server.stats().connections === 0)
    const line = at.lines.find(({ event }) => event === 'ssh.disconnected')
    assert.equal(line?.fields.loggedIn, false)
    assert.match(String(line?.fields.reason), /.{5}/)
  })
}

test('random bytes after each stage of a login never stop the gateway', { timeout: 20_000 }, async (t) => {
  const at = await gateway(t, { timeouts: { loginMs: 500 } })
  for (let round = 0; round < 20; round++) {
    const { client, socket } = await login(at)
    const closed = closeOf(client)
    socket.write(randomBytes(1 + round * 37))
    if (round % 2) socket.write(randomBytes(40_000))
    else socket.end()
    await closed
  }
  const { client } = await login(at)
  assert.equal((await sizeOf(client, 'zeros 10')).length, 10)
  client.end()
})

test('an identification line that arrives byte by byte is read', { timeout: 10_000 }, async (t) => {
  const at = await gateway(t)
  const socket = connect({ host: '127.0.0.1', port: at.port, noDelay: true })
  let text = ''
  socket.on('data', (data) => {
    text += data.toString('latin1')
  })
  for (const letter of 'SSH-2.0-slow\r\n') {
    await new Promise<void>((resolve) => socket.write(letter, () => resolve()))
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await until(() => text.includes('mlkem768x25519-sha256,curve25519-sha256'))
  assert.match(text, /^SSH-2\.0-DockinOps\r\n/)
  socket.destroy()
})

test('200 half-open connections from one address keep nobody else out, and are freed', { skip: needs.program('ssh'), timeout: 30_000 }, async (t) => {
  const at = await gateway(t, { limits: { logins: 40, loginsPerAddress: 30 }, timeouts: { loginMs: 4000 } })
  const crowd = Array.from({ length: 200 }, (_, index) => knock(at, `127.0.0.${2 + (index % 2)}`))
  t.after(() => {
    for (const socket of crowd) socket.destroy()
  })
  const closed = crowd.map((socket) => once(socket, 'close'))
  await until(() => at.lines.length >= 160)
  const ran = await ssh(at, ['exit', '5'])
  assert.equal(ran.code, 5)
  await Promise.all(closed)
  await until(() => at.server.stats().connections === 0)
})

test('connections beyond the limit are told why', { skip: needs.program('ssh'), timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { limits: { connectionsPerAddress: 2 } })
  const { client: first } = await login(at)
  const { client: second } = await login(at)
  const third = await ssh(at, ['exit', '0'], { settings: ['LogLevel=INFO'] })
  assert.equal(third.code, 255)
  assert.match(third.stderr, /too many connections from your address/)
  first.end()
  await until(() => at.server.stats().connections === 1)
  assert.equal((await ssh(at, ['exit', '0'])).code, 0)
  second.end()
})

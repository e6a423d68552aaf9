/** The SFTP server at clients that ask too much, read too little or leave. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { NodeFiles } from '../../../agent/files/node-files.js'
import { OpsError } from '../../../src/core/errors.js'
import { type FileAccess, FileError, type FileErrorCode, type FileHandle } from '../../../src/core/files.js'
import { SftpClient } from '../../../src/wire/sftp/client.js'
import { SftpExchange as Exchange, type SftpExchange } from '../../../src/wire/sftp/exchange.js'
import type { SftpLimits } from '../../../src/wire/sftp/limits.js'
import { PacketSplitter } from '../../../src/wire/sftp/packet-splitter.js'
import { readResponse, type SftpRequest, type SftpResponse, writeHello, writeRequest } from '../../../src/wire/sftp/packets.js'
import { serveSftp } from '../../../src/wire/sftp/server.js'
import { READ, WRITE } from '../../contract/file-access.js'

const never = new AbortController().signal
const FLAGS = { read: 1, write: 2 | 8 | 16 }

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sftp-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
function nodeFiles(folder: string): NodeFiles {
  return new NodeFiles({ via: 'test', home: Buffer.from(folder) })
}

interface Served {
  readonly up: PassThrough
  readonly down: PassThrough
  readonly served: Promise<void>
  readonly stop: AbortController
}
function serve(files: FileAccess, limits: Partial<SftpLimits> = {}): Served {
  const [up, down, stop] = [new PassThrough(), new PassThrough(), new AbortController()]
  const served = serveSftp({ readable: up, writable: down }, files, { limits }, stop.signal)
  served.catch(() => {}) // each test says whether it wants to hear it
  return { up, down, served, stop }
}
async function ask(t: TestContext, files: FileAccess, limits?: Partial<SftpLimits>): Promise<SftpExchange> {
  const { up, down } = serve(files, limits)
  const exchange = new Exchange({ readable: down, writable: up })
  t.after(() => exchange.end('the test is over'))
  await exchange.hello(never)
  return exchange
}
/** A client that knows nothing of ours, by hand. */
function greet({ up }: Served): void {
  for (const part of writeHello({ type: 'init', version: 3, extensions: new Map() })) up.write(part)
}
function send({ up }: Served, request: SftpRequest): void {
  for (const part of writeRequest(request)) up.write(part)
}
async function answers({ down }: Served, count: number): Promise<SftpResponse[]> {
  const splitter = new PacketSplitter()
  const all: SftpResponse[] = []
  let greetings = 1
  for await (const chunk of down.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    splitter.push(chunk)
    for (let packet = splitter.next(); packet; packet = splitter.next()) {
      if (greetings-- > 0) continue
      all.push(readResponse(Buffer.from(packet)))
    }
    if (all.length >= count) break
  }
  return all
}
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown): FileErrorCode => {
      assert.ok(error instanceof FileError, String(error))
      return error.code
    },
  )
function handleOf(response: SftpResponse): Buffer {
  assert.ok(response.type === 'handle', response.type)
  return Buffer.from(response.handle)
}

test('a client that opens 10,000 handles has 1,024 and hears why it has no more', async (t) => {
  const folder = folderOf(t)
  writeFileSync(join(folder, 'f'), 'x')
  const exchange = await ask(t, nodeFiles(folder))
  const opened = await Promise.allSettled(
    Array.from({ length: 10_000 }, () => exchange.ask({ type: 'open', path: Buffer.from('f'), flags: FLAGS.read, attributes: {} })),
  )
  const [good, bad] = [opened.filter((one) => one.status === 'fulfilled'), opened.filter((one) => one.status === 'rejected')]
  assert.equal(good.length, 1024)
  for (const { reason } of bad) assert.deepEqual([reason.code, /Too many open files: 1024/.test(reason.message)], ['FAILURE', true])
  await exchange.ask({ type: 'close', handle: handleOf((good[0] as PromiseFulfilledResult<SftpResponse>).value) })
  await exchange.ask({ type: 'open', path: Buffer.from('f'), flags: FLAGS.read, attributes: {} })
  exchange.end('done')
  for (let tries = 0; openFiles(folder) > 0; tries++) {
    assert.ok(tries < 1000, 'handles stay open')
    await turn()
  }
})

function openFiles(folder: string): number {
  const fds = readdirSync('/proc/self/fd', { withFileTypes: true }).filter((entry) => entry.isSymbolicLink())
  return fds.filter(({ name }) => {
    try {
      return statSync(`/proc/self/fd/${name}`).ino === statSync(join(folder, 'f')).ino
    } catch {
      return false
    }
  }).length
}

test('a read of 2 GiB is answered with what one packet may hold', async (t) => {
  const folder = folderOf(t)
  writeFileSync(join(folder, 'f'), Buffer.alloc(1_000_000))
  const exchange = await ask(t, nodeFiles(folder))
  const handle = handleOf(await exchange.ask({ type: 'open', path: Buffer.from('f'), flags: FLAGS.read, attributes: {} }))
  const answer = await exchange.ask({ type: 'read', handle, offset: 0, length: 2 ** 31 })
  assert.ok(answer.type === 'data' && answer.data.length === 255 * 1024)
  assert.equal((await exchange.ask({ type: 'read', handle, offset: 2 ** 53, length: 1 })).type, 'status')
  assert.equal(await codeOf(exchange.ask({ type: 'write', handle, offset: Number.MAX_SAFE_INTEGER, data: Buffer.from('x') })), 'INVALID')
})

test('a client that stops reading is not read from, and memory stays bounded', async (t) => {
  const folder = folderOf(t)
  writeFileSync(join(folder, 'f'), Buffer.alloc(1_000_000))
  let [reads, held] = [0, 0]
  const files = nodeFiles(folder)
  const open = files.open.bind(files)
  files.open = async (...words) => {
    const handle = await open(...words)
    const read = handle.read.bind(handle)
    handle.read = (...span) => {
      reads++
      return read(...span)
    }
    return handle
  }
  const up = new PassThrough()
  // a peer that takes the greeting and the handle, and then nothing more
  const pending: (() => void)[] = []
  let isStuck = false
  const down = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      if (!isStuck) return done()
      held += chunk.length
      pending.push(done)
    },
  })
  const served = serveSftp({ readable: up, writable: down }, files, {}, never)
  for (const part of writeHello({ type: 'init', version: 3, extensions: new Map() })) up.write(part)
  for (const part of writeRequest({ type: 'open', id: 1, path: Buffer.from('f'), flags: FLAGS.read, attributes: {} })) up.write(part)
  await turn()
  await turn()
  isStuck = true
  const handle = Buffer.alloc(4)
  for (let id = 2; id < 5000; id++) for (const part of writeRequest({ type: 'read', id, handle, offset: 0, length: 255 * 1024 })) up.write(part)
  for (let turns = 0; turns < 200; turns++) await turn()
  const most = Math.ceil((4 * 1024 * 1024) / (255 * 1024))
  assert.ok(reads > 1 && reads <= most, `${reads} reads`)
  assert.ok(down.writableLength < 5 * 1024 * 1024, `${down.writableLength} bytes wait`)
  assert.ok(up.readableLength + up.writableLength > 0, 'requests wait at the client')
  down.destroy()
  await assert.rejects(served, { code: 'CLIENT_GONE' })
  assert.ok(held >= 0 && pending.length > 0)
})

test('what was asked before the end is answered, and then the end comes', async (t) => {
  const folder = folderOf(t)
  const one = serve(nodeFiles(folder))
  greet(one)
  send(one, { type: 'open', id: 1, path: Buffer.from('f'), flags: FLAGS.write, attributes: {} })
  for (let id = 2; id < 50; id++) send(one, { type: 'write', id, handle: Buffer.alloc(4), offset: (id - 2) * 1000, data: Buffer.alloc(1000, id) })
  send(one, { type: 'close', id: 50, handle: Buffer.alloc(4) })
  one.up.end()
  const all = await answers(one, 50)
  assert.equal(all.length, 50)
  for await (const chunk of one.down) assert.fail(`more came: ${chunk.length}`)
  await one.served
  assert.equal(readFileSync(join(folder, 'f')).length, 48_000)
})

test('a request behind pipelined writes sees them: close, stat and rename wait', async (t) => {
  const folder = folderOf(t)
  const files = nodeFiles(folder)
  const slow: FileAccess = new Proxy(files, {
    get: (target, name) => {
      if (name !== 'open') return Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
      return async (...words: Parameters<FileAccess['open']>): Promise<FileHandle> => {
        const handle = await target.open(...words)
        const write = handle.write.bind(handle)
        handle.write = async (offset, data) => {
          for (let turns = 0; turns < 20 - offset / 100; turns++) await turn()
          await write(offset, data)
        }
        return handle
      }
    },
  })
  const exchange = await ask(t, slow)
  const handle = handleOf(await exchange.ask({ type: 'open', path: Buffer.from('f'), flags: FLAGS.write, attributes: {} }))
  const asked = [
    ...Array.from({ length: 10 }, (_, index) => exchange.ask({ type: 'write', handle, offset: index * 100, data: Buffer.alloc(100, index) })),
    exchange.ask({ type: 'write', handle, offset: 50, data: Buffer.from('over') }),
    exchange.ask({ type: 'stat', path: Buffer.from('f') }),
    exchange.ask({ type: 'close', handle }),
    exchange.ask({ type: 'posixRename', from: Buffer.from('f'), to: Buffer.from('g') }),
    exchange.ask({ type: 'setstat', path: Buffer.from('g'), attributes: { permissions: 0o600 } }),
  ]
  const all = await Promise.all(asked)
  const stat = all[11]
  assert.ok(stat?.type === 'attributes' && stat.attributes.size === 1000)
  const written = readFileSync(join(folder, 'g'))
  assert.equal(written.subarray(50, 54).toString(), 'over')
  assert.equal(statSync(join(folder, 'g')).mode & 0o777, 0o600)
})

test('an error has its status, its message on one line, and nothing of the inside', async (t) => {
  const folder = folderOf(t)
  const files = nodeFiles(folder)
  files.stat = () => Promise.reject(new FileError('REFUSED', 'rule "x" says no\n\u001b[31mask bob'))
  files.lstat = () => Promise.reject(new Error('internal path /secret'))
  const one = serve(files)
  greet(one)
  send(one, { type: 'stat', id: 1, path: Buffer.from('f') })
  send(one, { type: 'lstat', id: 2, path: Buffer.from('f') })
  send(one, { type: 'realpath', id: 3, path: Buffer.from('a\0b') })
  one.up.write(Buffer.from([0, 0, 0, 9, 17, 0, 0, 0, 4, 0, 0, 0, 99]))
  one.up.write(Buffer.from([0, 0, 0, 13, 200, 0, 0, 0, 5, 0, 0, 0, 4, 0x6e, 0x6f, 0x6e, 0x65]))
  send(one, { type: 'close', id: 6, handle: Buffer.from('what handle') })
  const all = await answers(one, 6)
  const byId = new Map(all.map((answer) => [answer.id, answer]))
  assert.deepEqual(byId.get(1), { type: 'status', id: 1, code: 3, message: 'rule "x" says no??[31mask bob', language: '' })
  assert.deepEqual(byId.get(2), { type: 'status', id: 2, code: 4, message: 'Failure', language: '' })
  const codes = [3, 4, 5, 6].map((id) => {
    const answer = byId.get(id)
    return answer?.type === 'status' ? answer.code : undefined
  })
  assert.deepEqual(codes, [5, 5, 8, 5])
  one.stop.abort(new OpsError('SESSION_ENDED', 'over'))
  await assert.rejects(one.served, { code: 'SESSION_ENDED' })
})

test('what is no SFTP ends the session', async (t) => {
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from([0, 0, 0, 0]), Buffer.from([0, 0, 0, 5, 9, 0, 0, 0, 3]), Buffer.from([0, 0, 0])]) {
    const one = serve(nodeFiles(folderOf(t)))
    one.up.end(bytes)
    await assert.rejects(one.served, { code: 'PROTOCOL_ERROR' })
  }
})

test('an abort in the middle closes the files that are open, cut where they can be', async (t) => {
  const folder = folderOf(t)
  const files = nodeFiles(folder)
  const open = files.open.bind(files)
  let cuts = 0
  files.open = async (...words) => Object.assign(await open(...words), { cut: async () => void cuts++ })
  const one = serve(files)
  const client = await SftpClient.connect({ readable: one.down, writable: one.up }, { via: 'x' }, never)
  const handle = await client.open(Buffer.from('f'), WRITE)
  await handle.write(0, Buffer.from('half'))
  one.stop.abort(new OpsError('SESSION_ENDED', 'over'))
  await assert.rejects(one.served, { code: 'SESSION_ENDED' })
  assert.equal(cuts, 1)
  assert.equal(await codeOf(handle.write(4, Buffer.from('x'))), 'CONNECTION_LOST')
})

test('a back end that streams is read as one stream by requests that follow one another', async (t) => {
  const folder = folderOf(t)
  const data = randomBytes(3_000_000)
  writeFileSync(join(folder, 'f'), data)
  const files = nodeFiles(folder)
  const open = files.open.bind(files)
  let [streams, seeks, destroyed] = [0, 0, 0]
  files.open = async (...words) => {
    const handle = await open(...words)
    const read = handle.read.bind(handle)
    const stream = (offset: number) => {
      streams++
      return createReadStream(join(folder, 'f'), { start: offset, highWaterMark: 10_000 }).once('close', () => destroyed++)
    }
    const seek = (offset: number, length: number) => {
      seeks++
      return read(offset, length)
    }
    return Object.assign(handle, { stream, read: seek })
  }
  const exchange = await ask(t, files)
  const handle = handleOf(await exchange.ask({ type: 'open', path: Buffer.from('f'), flags: FLAGS.read, attributes: {} }))
  const read = async (offset: number, length: number) => {
    const answer = await exchange.ask({ type: 'read', handle, offset, length })
    return answer.type === 'data' ? Buffer.from(answer.data) : Buffer.alloc(0)
  }
  const parts = await Promise.all(Array.from({ length: 101 }, (_, index) => read(index * 30_000, 30_000)))
  assert.ok(Buffer.concat(parts).equals(data))
  assert.deepEqual([streams, seeks], [1, 0])
  assert.deepEqual(await read(10, 10), data.subarray(10, 20))
  assert.deepEqual([streams, seeks], [1, 1])
  await exchange.ask({ type: 'close', handle })
  assert.ok(destroyed <= 1)
})

test('100,000 entries are listed in little time', async (t) => {
  const files = nodeFiles(folderOf(t))
  const attributes = { kind: 'file', mode: 0o644, uid: 0, gid: 0, size: 1, atime: 1, mtime: 1, links: 1 } as const
  files.list = async function* () {
    for (let at = 0; at < 100_000; at += 500) yield Array.from({ length: 500 }, (_, index) => ({ name: Buffer.from(`entry-${at + index}`), attributes }))
  }
  const one = serve(files)
  greet(one)
  const startedMs = performance.now()
  send(one, { type: 'opendir', id: 0, path: Buffer.from('.') })
  let id = 1
  let seen = 0
  const splitter = new PacketSplitter()
  let greetings = 2
  outer: for await (const chunk of one.down as AsyncIterable<Buffer>) {
    splitter.push(chunk)
    for (let packet = splitter.next(); packet; packet = splitter.next()) {
      assert.ok(packet.length <= 34_000, `${packet.length} bytes`)
      if (--greetings > 0) continue
      const answer = readResponse(packet)
      if (answer.type === 'status') break outer
      if (answer.type === 'name') seen += answer.names.length
      send(one, { type: 'readdir', id: id++, handle: Buffer.alloc(4) })
    }
  }
  assert.equal(seen, 100_000)
  assert.ok(performance.now() - startedMs < 10_000)
})

test('a server that breaks off is told to who waits', async (t) => {
  const folder = folderOf(t)
  writeFileSync(join(folder, 'f'), 'x')
  const one = serve(nodeFiles(folder))
  const client = await SftpClient.connect({ readable: one.down, writable: one.up }, { via: 'x' }, never)
  const handle = await client.open(Buffer.from('f'), READ)
  // what came with the handle needs no answer; what is beyond it does
  const reading = handle.read(100, 1)
  one.down.destroy()
  assert.equal(await codeOf(reading), 'CONNECTION_LOST')
  await client.close()
  await assert.rejects(one.served)
})

test('a client that is given up before the greeting says the reason', async () => {
  const stop = new AbortController()
  const connecting = SftpClient.connect({ readable: new PassThrough(), writable: new PassThrough() }, { via: 'x' }, stop.signal)
  stop.abort(new OpsError('CLIENT_GONE', 'left'))
  await assert.rejects(connecting, { code: 'CLIENT_GONE' })
})

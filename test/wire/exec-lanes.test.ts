import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { ExitStatus, WindowSize } from '../../src/core/types.js'
import { acceptExec, type ExecLanes } from '../../src/wire/exec-lanes-server.js'
import { SpdyConnection } from '../../src/wire/spdy/connection.js'
import { execServer, lanePair, openOn } from './support/lanes.js'
import { socketPair } from './support/socket-pair.js'

const SIZE: WindowSize = { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }

for (const wantsWindows of [true, false]) {
  test(`an exec carries its three lanes and its status, windows ${wantsWindows}`, async (t) => {
    const { process, lanes, client, server } = await lanePair(t, {}, wantsWindows)
    assert.ok(lanes.stdin && lanes.stdout && lanes.stderr && process.stderr)
    process.stdin.end('question')
    assert.equal(await text(lanes.stdin), 'question')
    lanes.stdout.write('answer')
    lanes.stderr.write('complaint')
    const finished = lanes.finish({ kind: 'exited', code: 3 })
    assert.deepEqual(await Promise.all([text(process.stdout), text(process.stderr)]), ['answer', 'complaint'])
    assert.deepEqual(await process.exit, { kind: 'exited', code: 3 })
    await finished
    assert.equal(await client.closed, undefined)
    assert.equal(await server.closed, undefined)
    assert.equal(lanes.gone.aborted, true)
  })
}

test('the status waits until a slow reader has the output', async (t) => {
  const { process, lanes } = await lanePair(t)
  assert.ok(lanes.stdout)
  lanes.stdout.write(Buffer.alloc(8 * 1024 * 1024, 'x'))
  let exit: ExitStatus | undefined
  void process.exit.then((status) => {
    exit = status
  })
  const finished = lanes.finish({ kind: 'exited', code: 0 })
  let bytes = 0
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes < 4 * 1024 * 1024) assert.equal(exit, undefined)
  }
  assert.equal(bytes, 8 * 1024 * 1024)
  await finished
  assert.deepEqual(exit, { kind: 'exited', code: 0 })
})

test('sizes and signals arrive, those from before the listener too', async (t) => {
  const { process, lanes, client } = await lanePair(t, { tty: true, size: SIZE })
  assert.equal(process.stderr, undefined)
  process.kill('HUP')
  process.kill('not a signal')
  process.resize({ ...SIZE, columns: 100 })
  await client.ping() // so all of this has arrived
  const seen: string[] = []
  lanes.onResize((size) => seen.push(`${size.columns}x${size.rows}`))
  lanes.onSignal((name) => seen.push(name))
  assert.deepEqual(seen, ['100x24', 'HUP'])
  process.kill('TERM')
  process.resize(SIZE)
  await client.ping()
  assert.deepEqual(seen, ['100x24', 'HUP', 'TERM', '80x24'])
})

test('without a signal stream, a terminal gets the key', async (t) => {
  const { process, lanes } = await lanePair(t, { tty: true, signals: false })
  process.kill('INT')
  assert.ok(lanes.stdin)
  const [chunk] = (await once(lanes.stdin, 'data')) as [Buffer]
  assert.equal(chunk.toString(), '\x03')
})

test('a full stdin lets signals through, with windows', async (t) => {
  const { process, lanes } = await lanePair(t)
  process.stdin.write(Buffer.alloc(16 * 1024 * 1024))
  const signalled = new Promise((resolve) => lanes.onSignal(resolve))
  process.kill('KILL')
  assert.equal(await signalled, 'KILL')
})

test('an error of the server is the rejection of exit', async (t) => {
  const { process, lanes } = await lanePair(t)
  const finished = lanes.finish(new OpsError('COMMAND_NOT_FOUND', 'no such program'))
  await assert.rejects(process.exit, { code: 'COMMAND_NOT_FOUND', message: 'no such program' })
  assert.equal(await text(process.stdout), '')
  await finished
})

test('an exec of an agent resolves once the program runs, or with why it does not', async (t) => {
  const execs = new EventEmitter()
  const port = await execServer(t, (lanes) => execs.emit('exec', lanes))
  const nextExec = async () => ((await once(execs, 'exec')) as [ExecLanes])[0]
  let isOpen = false
  const [opening, lanes] = [openOn(port), await nextExec()]
  void opening.then(() => {
    isOpen = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isOpen, false)
  lanes.started()
  await (await opening).close()
  const [failing, failed] = [openOn(port), await nextExec()]
  void failed.finish(new OpsError('COMMAND_NOT_EXECUTABLE', 'a directory'))
  await assert.rejects(failing, { code: 'COMMAND_NOT_EXECUTABLE' })
})

test('a connection that breaks before the status rejects exit', async (t) => {
  const { process, lanes, server } = await lanePair(t)
  server.destroy()
  await assert.rejects(process.exit, { code: 'PROTOCOL_ERROR', message: /before the exit status/ })
  assert.equal(lanes.gone.aborted, true)
  await process.close()
})

test('closing tells the server that the caller left, and may be done twice', async (t) => {
  const { process, lanes, server } = await lanePair(t)
  const gone = once(lanes.gone, 'abort')
  await Promise.all([process.close(), process.close()])
  await gone
  assert.equal((lanes.gone.reason as OpsError).code, 'CLIENT_GONE')
  await server.closed
  await lanes.finish({ kind: 'exited', code: 0 })
  await assert.rejects(process.exit, { code: 'PROTOCOL_ERROR' })
})

test('aborting rejects exit with the reason', async (t) => {
  const abort = new AbortController()
  const { process, lanes } = await lanePair(t, {}, true, abort.signal)
  abort.abort(new OpsError('SESSION_ENDED', 'test'))
  await assert.rejects(process.exit, { code: 'SESSION_ENDED' })
  if (!lanes.gone.aborted) await once(lanes.gone, 'abort')
})

test('a stream that was not announced, or comes twice, is reset', async (t) => {
  const pair = await socketPair()
  t.after(pair.close)
  const client = new SpdyConnection(pair.client, { side: 'client' })
  const accepting = acceptExec(
    new SpdyConnection(pair.server, { side: 'server' }),
    { stdin: false, stdout: true, stderr: false, tty: false },
    new AbortController().signal,
  )
  const first = await client.openStream({ streamtype: 'stdout' })
  for (const streamtype of ['stdin', 'stdout', '__proto__', '']) {
    const stream = await client.openStream({ streamtype })
    await once(stream.resume(), 'end')
  }
  await client.openStream({ streamtype: 'error' })
  const lanes = await accepting
  assert.equal(lanes.stdin, undefined)
  lanes.stdout?.end('right')
  assert.equal(await text(first), 'right')
})

test('acceptExec gives up after 30 s, when aborted and when the caller leaves', async (t) => {
  const wanted = { stdin: true, stdout: true, stderr: true, tty: false }
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const slow = await socketPair()
  t.after(slow.close)
  const late = acceptExec(new SpdyConnection(slow.server, { side: 'server' }), wanted, new AbortController().signal)
  t.mock.timers.tick(30_000)
  await assert.rejects(late, { code: 'PROTOCOL_ERROR', message: /error, stdin, stdout, stderr/ })
  t.mock.timers.reset()
  const other = await socketPair()
  t.after(other.close)
  const abort = new AbortController()
  const aborted = acceptExec(new SpdyConnection(other.server, { side: 'server' }), wanted, abort.signal)
  abort.abort(new OpsError('DRAINING', 'test'))
  await assert.rejects(aborted, { code: 'DRAINING' })
  const left = await socketPair()
  t.after(left.close)
  const alone = acceptExec(new SpdyConnection(left.server, { side: 'server' }), wanted, new AbortController().signal)
  left.client.end()
  await assert.rejects(alone, { code: 'CLIENT_GONE' })
})

test('endless junk on the small lanes is dropped', async (t) => {
  const pair = await socketPair()
  t.after(pair.close)
  const client = new SpdyConnection(pair.client, { side: 'client' })
  const accepting = acceptExec(
    new SpdyConnection(pair.server, { side: 'server' }),
    { stdin: false, stdout: false, stderr: false, tty: true },
    new AbortController().signal,
  )
  const [resize] = await Promise.all([client.openStream({ streamtype: 'resize' }), client.openStream({ streamtype: 'error' })])
  const lanes = await accepting
  const sizes: WindowSize[] = []
  const sized = new Promise<void>((resolve) =>
    lanes.onResize((size) => {
      sizes.push(size)
      resolve()
    }),
  )
  resize.write('x'.repeat(3_000_000))
  resize.write('}{"Width":80,"Height":24}\n')
  await sized
  assert.deepEqual(sizes, [SIZE])
})

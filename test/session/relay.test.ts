import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { ExitStatus, Stage } from '../../src/core/types.js'
import { createMeters, relay } from '../../src/session/relay.js'
import { FakeClient, FakeProcess, text } from '../support/ends.js'

const never = new AbortController().signal

test('relay moves both ways, keeps stderr apart and answers the exit status', async () => {
  const [client, remote, meters] = [new FakeClient(), new FakeProcess(), createMeters()]
  const running = relay(client, remote, [], meters, never)
  client.stdin.end('question')
  assert.equal(await text(remote.stdin), 'question')
  remote.stdout.write('answer')
  remote.stderr.write('note')
  remote.end(7)
  assert.deepEqual(await running, { status: { kind: 'exited', code: 7 } })
  client.finish({ kind: 'exited', code: 7 })
  assert.equal(await text(client.stdout), 'answer')
  assert.equal(await text(client.stderr), 'note')
  assert.deepEqual([meters.up, meters.down, meters.err], [8, 6, 4])
  assert.equal(remote.closed, 1)
})

test('relay leaves output open after the client ended its input', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const running = relay(client, remote, [], createMeters(), never)
  client.stdin.end()
  remote.stdin.resume()
  await once(remote.stdin, 'end')
  remote.stdout.write('later')
  remote.end(0)
  await running
  client.finish({ kind: 'exited', code: 0 })
  assert.equal(await text(client.stdout), 'later')
})

test('relay ends without waiting for input when the program is done', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const running = relay(client, remote, [], createMeters(), never)
  remote.end(0)
  assert.deepEqual((await running).status, { kind: 'exited', code: 0 })
})

test('a program that closed its input does not end the relay', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const running = relay(client, remote, [], createMeters(), never)
  remote.stdin.destroy()
  client.stdin.write('nobody reads this')
  remote.stdout.write('still here')
  remote.end(3)
  assert.deepEqual((await running).status, { kind: 'exited', code: 3 })
})

test('relay rejects with CLIENT_GONE and closes the process when the client leaves, even while output is blocked', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const running = relay(client, remote, [], createMeters(), never)
  while (remote.stdout.write(Buffer.alloc(65_536)));
  client.leave()
  await assert.rejects(running, (error: OpsError) => error.code === 'CLIENT_GONE')
  assert.equal(remote.closed, 1)
})

test('relay rejects with the reason of the session switch', async () => {
  const [client, remote, control] = [new FakeClient(), new FakeProcess(), new AbortController()]
  const running = relay(client, remote, [], createMeters(), control.signal)
  control.abort(new OpsError('SESSION_ENDED', 'ended by the test'))
  await assert.rejects(running, (error: OpsError) => error.code === 'SESSION_ENDED')
  assert.equal(remote.closed, 1)
})

test('relay rejects when the way to the target breaks', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const running = relay(client, remote, [], createMeters(), never)
  remote.break(new OpsError('PROTOCOL_ERROR', 'agent connection lost'))
  await assert.rejects(running, (error: OpsError) => error.code === 'PROTOCOL_ERROR')
})

test('a client that does not read holds the program', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const running = relay(client, remote, [], createMeters(), never)
  let written = 0
  for (let turns = 0; turns < 200 && !remote.stdout.writableNeedDrain; turns++) {
    remote.stdout.write(Buffer.alloc(16_384))
    written += 16_384
    await new Promise(setImmediate)
  }
  assert.ok(remote.stdout.writableNeedDrain, 'the program was never held')
  assert.ok(written < 1024 * 1024, `${written} bytes went into memory`)
  client.leave()
  await assert.rejects(running)
})

test('resizes and signals pass beside the lanes, to the process and to stages', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const seen: number[] = []
  const stage: Stage = { name: 'test', resize: (size) => seen.push(size.columns) }
  const running = relay(client, remote, [stage], createMeters(), never)
  client.resize({ columns: 100, rows: 30, widthPx: 0, heightPx: 0 })
  client.signal('INT')
  remote.end(0)
  await running
  assert.deepEqual([remote.sizes[0]?.columns, seen, remote.signals], [100, [100], ['INT']])
})

test('stages finish once with the status when all went well, and without one when not', async () => {
  for (const broken of [false, true]) {
    const [client, remote] = [new FakeClient(), new FakeProcess()]
    const finished: (ExitStatus | undefined)[] = []
    const stage: Stage = { name: 'test', down: new PassThrough(), finish: async (status) => void finished.push(status) }
    const running = relay(client, remote, [stage], createMeters(), never)
    if (broken) remote.break(new OpsError('PROTOCOL_ERROR', 'lost'))
    else remote.end(0)
    await running.catch(() => undefined)
    assert.deepEqual(finished, [broken ? undefined : { kind: 'exited', code: 0 }])
  }
})

test('a stage that cannot finish fails the session', async () => {
  const [client, remote] = [new FakeClient(), new FakeProcess()]
  const stage: Stage = { name: 'tape', finish: () => Promise.reject(new OpsError('RECORDING_FAILED', 'disk full')) }
  const running = relay(client, remote, [stage], createMeters(), never)
  remote.end(0)
  await assert.rejects(running, (error: OpsError) => error.code === 'RECORDING_FAILED')
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { Governor, type Lane, MAX_QUEUED_BYTES, type Wire } from '../../src/ssh/governor.js'
import { Backlog, FIRST_WINDOW_BYTES, InputLane, WindowPool } from '../../src/ssh/input-lane.js'
import { OutputLane, OutputWindow } from '../../src/ssh/output-lane.js'

const noCork = { cork: () => undefined, uncork: () => undefined }

function wireOf(state: { queued: number; blocked: boolean }): Wire {
  return { queuedBytes: () => state.queued, blocked: () => state.blocked, ...noCork }
}

test('governor sends nothing while the socket is full or keys are exchanged, and goes on afterwards', () => {
  const state = { queued: 0, blocked: true }
  const governor = new Governor(wireOf(state))
  let sent = 0
  const lane: Lane = {
    sendable: 1,
    send() {
      sent += 1
      state.queued += MAX_QUEUED_BYTES / 4
    },
  }
  governor.ready(lane)
  assert.equal(sent, 0)
  state.blocked = false
  governor.pump()
  assert.equal(sent, 4)
  assert.equal(typeof governor.fullSince, 'number')
  state.queued = 0
  governor.drained()
  assert.equal(sent, 8)
})

test('governor lets lanes take turns packet by packet', () => {
  const state = { queued: 0, blocked: true }
  const governor = new Governor(wireOf(state))
  const order: string[] = []
  for (const name of ['a', 'b', 'c']) {
    let left = 3
    governor.ready({
      get sendable() {
        return left
      },
      send() {
        left -= 1
        order.push(name)
      },
    })
  }
  state.blocked = false
  governor.pump()
  assert.equal(order.join(''), 'abcabcabc')
})

test('output lane sends every byte once and in order, whatever window and packet size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 64 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
      async (chunks, packet, adjusts) => {
        const governor = new Governor(wireOf({ queued: 0, blocked: false }))
        const window = new OutputWindow(5)
        const put: Buffer[] = []
        const lane = new OutputLane(governor, window, packet, (data) => put.push(Buffer.from(data)))
        for (const chunk of chunks) lane.write(chunk)
        lane.end()
        const done = once(lane, 'finish')
        for (let turn = 0; !lane.writableFinished; turn++) {
          window.open(adjusts[turn % adjusts.length] ?? 1)
          lane.wake()
          await new Promise((resolve) => setImmediate(resolve))
        }
        await done
        assert.deepEqual(Buffer.concat(put), Buffer.concat(chunks))
        assert.equal(
          put.every((data) => data.length > 0 && data.length <= packet),
          true,
        )
      },
    ),
    { numRuns: 40 },
  )
})

test('output lane tells a waiting writer when it is destroyed', async () => {
  const lane = new OutputLane(new Governor(wireOf({ queued: 0, blocked: false })), new OutputWindow(0), 100, () => undefined)
  lane.on('error', () => undefined)
  const told = new Promise<unknown>((resolve) => lane.write('x', resolve))
  lane.destroy(new Error('gone'))
  assert.equal(((await told) as Error).message, 'gone')
})

test('backlog joins single bytes, and gives back what it got', () => {
  const backlog = new Backlog()
  for (let byte = 0; byte < 100_000; byte++) backlog.add(Buffer.from([byte & 0xff]))
  assert.equal(backlog.bytes, 100_000)
  let blocks = 0
  let at = 0
  for (let block = backlog.take(); block; block = backlog.take()) {
    blocks += 1
    for (const byte of block) assert.equal(byte, at++ & 0xff)
  }
  assert.deepEqual([at, blocks, backlog.bytes], [100_000, 7, 0])
})

test('backlog keeps order for pieces of any size, taken at any time', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.uint8Array({ minLength: 4000, maxLength: 5000 }), fc.constant('take' as const)), {
        maxLength: 60,
      }),
      (steps) => {
        const backlog = new Backlog()
        const out: Buffer[] = []
        const take = (): boolean => {
          const block = backlog.take()
          if (block) out.push(Buffer.from(block))
          return block !== undefined
        }
        for (const step of steps) {
          if (step === 'take') take()
          else backlog.add(Buffer.from(step))
        }
        while (take());
        assert.deepEqual(Buffer.concat(out), Buffer.concat(steps.filter((step) => step !== 'take')))
      },
    ),
    { numRuns: 200 },
  )
})

test('input lane grants no window while nobody reads, and a wider one to a reader', async () => {
  const granted: number[] = []
  const lane = new InputLane(new WindowPool(), (bytes) => granted.push(bytes))
  for (let sent = 0; sent < FIRST_WINDOW_BYTES; sent += 16_384) assert.equal(lane.accept(Buffer.alloc(16_384)), true)
  assert.equal(lane.accept(Buffer.alloc(1)), false)
  assert.deepEqual(granted, [])
  lane.resume()
  while (granted.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const total = granted.reduce((sum, bytes) => sum + bytes, 0)
  assert.equal(total > FIRST_WINDOW_BYTES, true)
  lane.destroy()
})

test('wide windows of one connection come from one pool, and go back to it', async () => {
  const pool = new WindowPool()
  const lanes = Array.from({ length: 10 }, () => {
    const granted: number[] = []
    return { granted, lane: new InputLane(pool, (bytes) => granted.push(bytes)) }
  })
  for (const { lane } of lanes) {
    lane.accept(Buffer.alloc(FIRST_WINDOW_BYTES))
    lane.resume()
  }
  while (lanes.some(({ granted }) => granted.length === 0)) await new Promise((resolve) => setImmediate(resolve))
  const wide = lanes.filter(({ granted }) => granted.reduce((sum, bytes) => sum + bytes, 0) > FIRST_WINDOW_BYTES)
  assert.equal(wide.length, 4)
  for (const { lane } of lanes) lane.destroy()
  assert.equal(pool.take(8 << 20), true)
})

test('input lane ends after its last byte, once', async () => {
  const lane = new InputLane(new WindowPool(), () => undefined)
  lane.accept(Buffer.from('last'))
  lane.finish()
  lane.finish()
  lane.accept(Buffer.from('too late'))
  const parts: Buffer[] = []
  for await (const part of lane) parts.push(part)
  assert.equal(Buffer.concat(parts).toString(), 'last')
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import type { Session, Stage } from '../../src/core/types.js'
import { type IdleOptions, idle } from '../../src/stage/idle.js'
import { anExec, aSession } from '../support/sessions.js'

async function open(options: IdleOptions, session: Session = aSession().session): Promise<{ up: Duplex; down: Duplex; stage: Stage; shown: () => string }> {
  const stage = await idle(options)(session)
  assert.ok(stage?.up && stage.down)
  let shown = ''
  stage.up.resume()
  stage.down.on('data', (chunk: Buffer) => {
    shown += chunk
  })
  return { up: stage.up, down: stage.down, stage, shown: () => shown }
}

test('silent session is warned, then ended with IDLE_TIMEOUT', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let clock = 0
  const { down, shown } = await open({ timeoutMs: 900_000, warnMs: 60_000, now: () => clock })
  const tick = (ms: number) => {
    clock += ms
    t.mock.timers.tick(ms)
  }
  tick(839_999)
  assert.equal(shown(), '')
  tick(1)
  await new Promise(setImmediate)
  assert.equal(shown(), '\r\ndockin: this session ends in 60 s without activity\r\n')
  const ended = once(down, 'error')
  tick(60_000)
  const [error] = (await ended) as [{ code: string }]
  assert.equal(error.code, 'IDLE_TIMEOUT')
})

for (const [what, counts, lane, keeps] of [
  ['key', 'either', 'up', true],
  ['output', 'either', 'down', true],
  ['key where only input counts', 'input', 'up', true],
  ['output where only input counts', 'input', 'down', false],
] as const) {
  test(`${what} ${keeps ? 'breaks' : 'does not break'} the silence`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let clock = 0
    const session = await open({ timeoutMs: 1000, warnMs: 0, counts, now: () => clock })
    const tick = (ms: number) => {
      clock += ms
      t.mock.timers.tick(ms)
    }
    session.down.on('error', () => {})
    for (let i = 0; i < 5; i++) {
      tick(600)
      session[lane].write('x')
      await new Promise(setImmediate)
    }
    assert.equal(session.down.destroyed, !keeps)
    tick(1000)
    tick(1000)
    assert.equal(session.down.destroyed, true)
  })
}

test('activity after the warning earns another warning', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let clock = 0
  const { up, down, shown } = await open({ timeoutMs: 1000, warnMs: 400, now: () => clock })
  const tick = (ms: number) => {
    clock += ms
    t.mock.timers.tick(ms)
  }
  down.on('error', () => {})
  tick(600)
  up.write('x')
  await new Promise(setImmediate)
  tick(400)
  assert.equal(down.destroyed, false)
  tick(200)
  tick(200)
  await new Promise(setImmediate)
  assert.equal(shown().split('this session ends').length - 1, 2)
  tick(200)
  assert.equal(down.destroyed, true)
})

test('busy session sets its timer once a period, not once a key', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let clock = 0
  const set = t.mock.method(globalThis, 'setTimeout')
  const { up } = await open({ timeoutMs: 1000, warnMs: 0, now: () => clock })
  for (let i = 0; i < 1000; i++) up.write('x')
  clock += 500
  await new Promise(setImmediate)
  assert.equal(set.mock.callCount(), 1)
})

test('silence ends a real relay with its reason and leaves no timer', async () => {
  const stage = await idle({ timeoutMs: 600 })(aSession().session)
  assert.ok(stage?.down)
  const screen = new PassThrough()
  let shown = ''
  screen.on('data', (chunk: Buffer) => {
    shown += chunk
  })
  // The session's own sockets keep a gateway alive; the stage's timer does not.
  const alive = setInterval(() => {}, 1000)
  await assert.rejects(pipeline(new PassThrough(), stage.down, screen, { end: false }), { code: 'IDLE_TIMEOUT', exit: 255 })
  clearInterval(alive)
  assert.match(shown, /this session ends in 1 s/)
  await stage.finish?.(undefined)
})

test('session without a terminal has no idle limit unless asked, and is never written to', async (t) => {
  assert.equal(await idle({ timeoutMs: 1000 })(anExec()), undefined)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let clock = 0
  const { down, shown } = await open({ timeoutMs: 1000, applies: () => true, now: () => clock }, anExec())
  down.on('error', () => {})
  for (let i = 0; i < 10; i++) {
    clock += 100
    t.mock.timers.tick(100)
  }
  await new Promise(setImmediate)
  assert.equal(down.destroyed, true)
  assert.equal(shown(), '')
})

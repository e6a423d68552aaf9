/** The ways out: a connection that is lost in each state, a client that leaves, limits of time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { Clock } from '../../src/guard/clock.js'
import type { GuardParts } from '../../src/guard/parts.js'
import { openGuardedShell } from '../../src/guard/shell.js'
import { FakeProcess, FakeTarget } from './support/fake-target.js'
import { HandClock, turns } from './support/hand-clock.js'
import { decide, RULE } from './support/session.js'

function parts(target: FakeTarget, clock: Clock, more: Partial<GuardParts> = {}): GuardParts {
  let seq = 0
  return {
    exec: target.exec,
    pty: { term: 'xterm', size: { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }, modes: {} },
    user: 'alice',
    targetLabel: 'pod',
    rule: { name: 'r', commands: RULE },
    decide,
    record: async () => ({ seq: ++seq }),
    env: {},
    signal: new AbortController().signal,
    clock,
    ...more,
  }
}

/** Brings a shell into a state. */
const STATES: Readonly<Record<string, { more?: Partial<GuardParts>; keys: string }>> = {
  EDIT: { keys: 'half a li' },
  CONT: { keys: "echo 'a\r" },
  CHECK: { keys: 'ls\r', more: { record: () => new Promise(() => {}) } },
  WAIT: { keys: 'ls\r', more: { decide: () => ({ verdict: 'approve', confidence: 'exact' }), approve: () => new Promise(() => {}) } },
  RUN: { keys: 'ls\r' },
}
const LOSSES: Readonly<Record<string, { lose: (target: FakeTarget, abort: AbortController) => void; code?: string }>> = {
  'the terminal breaks': { lose: ({ terminal }) => terminal?.breaks(new OpsError('TARGET_UNREACHABLE', 'gone')), code: 'TARGET_UNREACHABLE' },
  'the pipe breaks': { lose: ({ pipe }) => pipe?.breaks(new OpsError('TARGET_UNREACHABLE', 'gone')), code: 'PROTOCOL_ERROR' },
  'the pipe ends': { lose: ({ pipe }) => pipe?.ends({ kind: 'exited', code: 0 }), code: 'PROTOCOL_ERROR' },
  'the shell is killed': { lose: ({ terminal }) => terminal?.ends({ kind: 'exited', code: 137 }) },
  'the session is aborted': { lose: (_, abort) => abort.abort(new OpsError('IDLE_TIMEOUT', 'idle')), code: 'IDLE_TIMEOUT' },
}

for (const [state, { keys, more }] of Object.entries(STATES)) {
  for (const [name, { lose, code }] of Object.entries(LOSSES)) {
    test(`in ${state}, when ${name}, everything ends and nothing waits`, async () => {
      const [target, clock, abort] = [new FakeTarget(), new HandClock(), new AbortController()]
      const shell = await openGuardedShell(parts(target, clock, { ...more, signal: abort.signal }))
      shell.stdout.resume()
      shell.stdin.write(keys)
      await turns()
      lose(target, abort)
      await turns()
      await clock.pass(3000)
      if (code === undefined) assert.deepEqual(await shell.exit, { kind: 'exited', code: 137 })
      else await assert.rejects(shell.exit, (error: unknown) => error instanceof OpsError && error.code === code)
      assert.equal(shell.stdout.readableEnded, true)
      assert.equal(clock.waiting, 0)
      assert.ok((target.pipe?.closed ?? 0) > 0)
      await shell.close()
      await shell.close()
      shell.stdin.write('more')
      await turns()
    })
  }
}

test('a shell that says nothing in 5 s is not guardable', async () => {
  const [target, clock] = [new FakeTarget(), new HandClock()]
  target.mute = true
  const opening = openGuardedShell(parts(target, clock))
  await turns()
  await Promise.all([assert.rejects(opening, (error: unknown) => error instanceof OpsError && error.code === 'NOT_GUARDABLE'), clock.pass(5000)])
  assert.ok(target.terminal?.closed && target.pipe?.closed)
})

test('each exit status of the boot script becomes a reason', async () => {
  for (const [code, reason] of [
    [81, /FIFO/],
    [82, /none of the shells/],
    [127, /lacks a program/],
  ] as const) {
    const [target, clock] = [new FakeTarget(), new HandClock()]
    target.mute = true
    const opening = openGuardedShell(parts(target, clock))
    await turns()
    target.terminal?.ends({ kind: 'exited', code })
    await assert.rejects(opening, (error: unknown) => error instanceof OpsError && error.code === 'NOT_GUARDABLE' && reason.test(error.detail ?? ''))
  }
})

test('an image without /bin/sh is not guardable, and what was started is closed', async () => {
  const started: FakeProcess[] = []
  const exec: GuardParts['exec'] = async (request) => {
    if (request.pty) throw new OpsError('COMMAND_NOT_FOUND', 'no sh')
    const process = new FakeProcess(request)
    started.push(process)
    process.ends({ kind: 'exited', code: 0 })
    return process
  }
  const opening = openGuardedShell({ ...parts(new FakeTarget(), new HandClock()), exec })
  await assert.rejects(opening, (error: unknown) => error instanceof OpsError && error.code === 'NOT_GUARDABLE')
  assert.ok(started.every((process) => process.closed > 0))
})

test('nothing is sent to the terminal before the line has begun, and the line runs only when its event is kept', async () => {
  const [target, clock] = [new FakeTarget(), new HandClock()]
  let keep: (stored: { seq: number }) => void = () => {}
  const shell = await openGuardedShell(parts(target, clock, { record: () => new Promise((resolve) => (keep = resolve)) }))
  shell.stdout.resume()
  const before = target.lines.length
  shell.stdin.write('cat\rtyped\r')
  await turns()
  assert.equal(target.lines.length, before)
  keep({ seq: 1 })
  await turns()
  assert.match(target.lines.at(-1) ?? '', /eval 'cat'/)
  assert.equal(target.typed.length, 0)
  await clock.pass(30)
  assert.equal(Buffer.concat(target.typed).toString(), 'typed\r')
  await shell.close()
})

test('a client that does not read holds the target, and one that types on holds itself', async () => {
  const [target, clock] = [new FakeTarget(), new HandClock()]
  const shell = await openGuardedShell(parts(target, clock))
  shell.stdin.write('yes\r')
  await turns()
  let written = 0
  while (target.terminal?.stdout.write(Buffer.alloc(16 * 1024, 'y')) && written < 4 * 1024 * 1024) {
    written += 16 * 1024
    await turns()
  }
  assert.ok(written < 1024 * 1024, `${written} bytes went nowhere`)
  const held = await openGuardedShell(parts(new FakeTarget(), clock, { record: () => new Promise(() => {}) }))
  held.stdout.resume()
  held.stdin.write('ls\r')
  let typed = 0
  while (held.stdin.write(Buffer.alloc(16 * 1024, 'x')) && typed < 4 * 1024 * 1024) {
    typed += 16 * 1024
    await turns()
  }
  assert.ok(typed <= 256 * 1024, `${typed} bytes were queued`)
  await Promise.all([shell.close(), held.close()])
})

test('an end of input leaves the shell, and a program keeps it until it ends', async () => {
  const [target, clock] = [new FakeTarget(), new HandClock()]
  const shell = await openGuardedShell(parts(target, clock))
  shell.stdout.resume()
  shell.stdin.end('ls\r')
  await turns()
  assert.match(target.lines.at(-1) ?? '', /eval 'ls'/)
  target.finish(3)
  await turns()
  assert.match(target.lines.at(-1) ?? '', /\(exit 3\) \|\| eval exit/)
  await shell.close()
})

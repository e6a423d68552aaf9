/** How a transfer session ends when it does not end by itself. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { OpsError } from '../../src/core/errors.js'
import { FileError } from '../../src/core/files.js'
import type { StoredEvent } from '../../src/core/types.js'
import { idle } from '../../src/stage/idle.js'
import { askPass, sshOptions } from '../ssh/gateway.js'
import { FakeClient, text } from '../support/ends.js'
import { needs } from '../support/need.js'
import { until } from '../support/world.js'
import { type Rig, rig } from './support/rig.js'

const skip = needs.program('scp')
const closeOf = (events: readonly StoredEvent[]) => events.find((event) => event.type === 'session.close')

/** An scp that a test may kill; `-l` keeps it slow. */
function slowScp({ at }: Rig, args: readonly string[]) {
  const auth = ['PreferredAuthentications=password', 'NumberOfPasswordPrompts=1']
  const options = sshOptions(at, ...auth).map((option) => (option === '-p' ? '-P' : option))
  const child = spawn('scp', [...options, ...args.map((arg) => arg.replace(/^remote:/, 'alice+web-0@127.0.0.1:'))], {
    env: askPass(at.dir),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  return { child, stderr: () => stderr, ended: once(child, 'close') as Promise<[number | null]> }
}

for (const flags of [[], ['-O']]) {
  describe(`scp ${flags.join('')}`.trim(), { skip }, () => {
    test('a client that is killed amid an upload leaves an event of a part', async (t) => {
      const made = await rig(t)
      writeFileSync(join(made.local, 'f'), '')
      truncateSync(join(made.local, 'f'), 200_000_000)
      const { child, ended } = slowScp(made, [...flags, '-l', '20000', join(made.local, 'f'), `remote:${made.home}/f`])
      await until('bytes to have come', () => existsSync(join(made.home, 'f')) && statSync(join(made.home, 'f')).size > 100_000)
      child.kill('SIGKILL')
      await ended
      await until('the session to close', () => closeOf(made.events))
      const [event] = made.told('upload')
      assert.deepEqual([event?.partial, event?.verdict], [true, 'allow'])
      assert.ok((event?.bytes ?? 0) > 0 && (event?.bytes ?? 0) < 200_000_000)
      // the event rests before the session's end does
      assert.deepEqual(
        made.events.slice(-2).map(({ type }) => type),
        ['file', 'session.close'],
      )
    })
    test('an administrator who ends it ends the client, with the reason and 255', async (t) => {
      const made = await rig(t)
      writeFileSync(join(made.home, 'f'), '')
      truncateSync(join(made.home, 'f'), 200_000_000)
      const { ended, stderr } = slowScp(made, [...flags, '-l', '20000', `remote:${made.home}/f`, made.local])
      await until('bytes to have gone', () => made.registry.list().some((live) => live.bytes().out > 100_000))
      for (const live of made.registry.list()) live.end(new OpsError('SESSION_ENDED', 'test', { detail: 'lunch' }))
      const [code] = await ended
      assert.notEqual(code, 0)
      assert.match(stderr(), /dockin: session ended by an administrator: lunch/)
      const close = await until('the session to close', () => closeOf(made.events))
      assert.ok(close.type === 'session.close' && close.exit === 255)
      assert.equal(made.told('download')[0]?.partial, true)
    })
  })
}

test('a file browser that is left open ends at the idle limit', { skip: needs.program('sftp') }, async (t) => {
  const made = await rig(t, { parts: { interceptors: [idle({ timeoutMs: 300, applies: () => true })] } })
  const client = new FakeClient()
  const opened = made.entrance.open(
    { door: 'sftp', identity: { user: 'a', groups: [], roles: [], method: 'token', from: { host: 'h', port: 1 } }, address: 'x', env: {} },
    client,
  )
  const [status, stderr] = await Promise.all([client.finished, text(client.stderr), opened])
  assert.deepEqual([status, stderr], [{ kind: 'exited', code: 255 }, 'dockin: session ended after inactivity\n'])
})
test('a client that asks and does not read is let go of, with its files', async (t) => {
  const made = await rig(t)
  writeFileSync(join(made.home, 'f'), '')
  truncateSync(join(made.home, 'f'), 50_000_000)
  const client = new FakeClient()
  const opened = made.entrance.open(
    {
      door: 'scp',
      words: ['scp', '-f', `${made.home}/f`],
      command: 'scp',
      identity: { user: 'a', groups: [], roles: [], method: 'token', from: { host: 'h', port: 1 } },
      address: 'x',
      env: {},
    },
    client,
  )
  client.stdin.write(Buffer.alloc(3))
  await until('bytes to have gone', () => client.stdout.readableLength > 1000)
  await later(50)
  client.leave()
  await opened
  assert.equal(made.told('download')[0]?.partial, true)
  assert.equal(closeOf(made.events) !== undefined, true)
})
test('files that cannot be reached are one line and 255', async (t) => {
  const made = await rig(t, {
    parts: {
      executor: () => ({
        name: 'away',
        exec: () => Promise.reject(new Error('no')),
        files: () => Promise.reject(new OpsError('TARGET_UNREACHABLE', 'agent away', { detail: 'the agent of node-a does not answer' })),
        close: async () => undefined,
      }),
    },
  })
  for (const flags of [[], ['-O']]) {
    const { code, stderr } = await made.run('scp', [...flags, 'remote:x', made.local])
    assert.notEqual(code, 0)
    assert.match(stderr, /dockin: the target cannot be reached: the agent of node-a does not answer/)
  }
})
test('a container that is lost amid a transfer is told, and nothing hangs', async (t) => {
  const lost = new FileError('CONNECTION_LOST', 'the connection to the agent was lost')
  const made = await rig(t, {
    wrap: (files) =>
      Object.assign(Object.create(files) as typeof files, {
        open: async () => {
          throw lost
        },
        realpath: (path: Buffer) => files.realpath(path),
        stat: (path: Buffer) => files.stat(path),
        lstat: (path: Buffer) => files.lstat(path),
        close: () => files.close(),
      }),
  })
  writeFileSync(join(made.home, 'f'), 'x')
  for (const flags of [[], ['-O']]) {
    const { code, stderr } = await made.run('scp', [...flags, `remote:${made.home}/f`, made.local])
    assert.notEqual(code, 0)
    assert.match(stderr, /the connection to the agent was lost|target cannot be reached|Failure/i)
  }
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { OpsError } from '../../src/core/errors.js'
import type { ClientEnd, WindowSize } from '../../src/core/types.js'
import { needs } from '../support/need.js'
import { askPass, collect, gateway, run, ssh, sshOptions, untilGone } from './gateway.js'
import { exec, login, signalled } from './scripted-client.js'

const skip = needs.program('ssh')

test('twenty channels share one ControlMaster connection, and more than the limit are refused with a text', { skip, timeout: 60_000 }, async (t) => {
  const at = await gateway(t, { limits: { channels: 21 } })
  const control = join(at.dir, 'control')
  const env = askPass(at.dir)
  const master = spawn('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), '-M', '-S', control, 'alice@127.0.0.1', 'watch'], { env })
  t.after(() => master.kill())
  await once(master.stdout, 'data')
  const viaMaster = (...command: string[]) => ['-F', 'none', '-S', control, '-o', 'ControlMaster=no', '-o', 'LogLevel=INFO', 'alice@127.0.0.1', ...command]
  const inputs = Array.from({ length: 20 }, (_, index) => `${index} `.repeat(50_000))
  const runs = await Promise.all(inputs.map((input) => run('ssh', viaMaster('cat'), { env, input })))
  assert.deepEqual(
    runs.map(({ code, stdout }, index) => [code, stdout.toString() === inputs[index]]),
    inputs.map(() => [0, true]),
  )
  assert.equal(at.server.stats().connections, 1)
  assert.equal(new Set(at.requests.map((request) => request.connectionId)).size, 1)

  const held = Array.from({ length: 20 }, () => spawn('ssh', viaMaster('watch'), { env }))
  t.after(() => {
    for (const child of held) child.kill()
  })
  await Promise.all(held.map((child) => once(child.stdout, 'data')))
  assert.deepEqual(at.server.stats(), { connections: 1, channels: 21 })
  const refused = await run('ssh', viaMaster('exit', '0'), { env })
  assert.equal(refused.code, 255)
  assert.equal(
    at.lines.some(({ event, fields }) => event === 'ssh.channel.refused' && /21 channels/.test(String(fields.reason))),
    true,
  )
})

test('a window change reaches the session at once', { skip }, async (t) => {
  const { spawn: spawnPty } = await import('node-pty')
  const at = await gateway(t, {
    open: async ({ pty }, client) => {
      assert.deepEqual([pty?.term, pty?.size.columns, pty?.size.rows], ['xterm-256color', 100, 30])
      assert.equal(pty?.modes.ECHO, 1)
      assert.ok(Object.keys(pty?.modes ?? {}).length > 10, 'terminal modes are read')
      client.stdout.write('ready')
      const size = await new Promise<WindowSize>((resolve) => client.subscribe({ resize: resolve }))
      client.finish({ kind: 'exited', code: size.columns === 45 && size.rows === 12 ? 0 : 1 })
    },
  })
  const terminal = spawnPty('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), 'alice@127.0.0.1'], {
    name: 'xterm-256color',
    cols: 100,
    rows: 30,
    env: { ...askPass(at.dir), TERM: 'xterm-256color' } as Record<string, string>,
  })
  const closed = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)))
  terminal.onData((text) => text.includes('ready') && terminal.resize(45, 12))
  assert.equal(await closed, 0)
})

test('a window change and signals that came before the session listened are not lost', async (t) => {
  const heard: string[] = []
  const at = await gateway(t, {
    open: async (_request, client) => {
      // The byte follows the changes, so they have arrived.
      await once(client.stdin, 'data')
      client.subscribe({ resize: ({ columns, rows }) => heard.push(`${columns}x${rows}`), signal: (name) => heard.push(name) })
      client.finish({ kind: 'exited', code: 0 })
    },
  })
  const { client } = await login(at)
  const channel = await exec(client, 'x')
  channel.setWindow(10, 20, 0, 0)
  channel.setWindow(12, 45, 0, 0)
  channel.signal('INT')
  channel.write('x')
  await once(channel.resume(), 'close')
  assert.deepEqual(heard, ['45x12', 'INT'])
  client.end()
})

test('a session that returns without finishing, or throws, ends with 255', { skip }, async (t) => {
  const at = await gateway(t, {
    open: async ({ command }) => {
      if (command === 'throw') throw new Error('broken')
    },
  })
  assert.equal((await ssh(at, ['return'])).code, 255)
  assert.equal((await ssh(at, ['throw'])).code, 255)
  assert.deepEqual(
    at.lines.map(({ event }) => event).filter((event) => event.startsWith('ssh.session')),
    ['ssh.session.unfinished', 'ssh.session.threw'],
  )
})

/** Starts ssh, waits until its session runs, lets it come into the state, kills it, and waits for `gone`. */
async function killedClient(t: TestContext, busy: (client: ClientEnd) => Promise<void>, feed: boolean): Promise<OpsError> {
  let started: (client: ClientEnd) => void = () => undefined
  const running = new Promise<ClientEnd>((resolve) => {
    started = resolve
  })
  const at = await gateway(t, {
    open: (_request, client) => {
      started(client)
      return untilGone(client)
    },
  })
  const child = spawn('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), 'alice@127.0.0.1', 'x'], { env: askPass(at.dir), stdio: 'pipe' })
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close')
  const client = await running
  if (feed) {
    const chunk = Buffer.alloc(1 << 20)
    while (child.stdin.write(chunk) && child.stdin.writableLength < 8 << 20);
  }
  await busy(client)
  const gone = once(client.gone, 'abort')
  child.kill('SIGKILL')
  await Promise.all([gone, ended])
  assert.equal(at.server.stats().channels, 0)
  return client.gone.reason as OpsError
}

test('a client killed while idle is noticed', { skip, timeout: 10_000 }, async (t) => {
  assert.equal((await killedClient(t, async () => undefined, false)).code, 'CLIENT_GONE')
})

test('a client killed while the session holds its input unread is noticed', { skip, timeout: 10_000 }, async (t) => {
  const full = async (client: ClientEnd): Promise<void> => {
    client.stdin.once('readable', () => undefined)
    if (client.stdin.readableLength === 0) await once(client.stdin, 'readable')
  }
  assert.equal((await killedClient(t, full, true)).code, 'CLIENT_GONE')
})

test('a client killed while its output is blocked is noticed, and the writer is told', { skip, timeout: 10_000 }, async (t) => {
  let failed: Promise<unknown> | undefined
  const block = (client: ClientEnd): Promise<void> =>
    // The child's stdout is never read: pipe, ssh and window take some 2 MiB, then nothing moves.
    new Promise((resolve) => {
      let takenBytes = 0
      const chunk = Buffer.alloc(1 << 18)
      failed = new Promise((reject) => {
        const next = (): void => {
          client.stdout.write(chunk, (error) => {
            if (error) reject(error)
            else next()
          })
          takenBytes += chunk.length
          if (takenBytes > 2 << 20) resolve()
        }
        next()
      })
    })
  assert.equal((await killedClient(t, block, false)).code, 'CLIENT_GONE')
  assert.equal(((await failed) as OpsError).code, 'CLIENT_GONE')
})

test('input cut short by a lost client is an error to its reader, not an end', { skip, timeout: 10_000 }, async (t) => {
  let outcome: Promise<unknown> = Promise.resolve()
  let started = (): void => undefined
  const running = new Promise<void>((resolve) => {
    started = resolve
  })
  const at = await gateway(t, {
    open: async (_request, client) => {
      outcome = (async () => {
        for await (const _ of client.stdin) started()
        return 'complete'
      })().catch((error: OpsError) => error.code)
      await untilGone(client)
    },
  })
  const child = spawn('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), 'alice@127.0.0.1', 'x'], { env: askPass(at.dir), stdio: 'pipe' })
  child.stdin.write('half an upload')
  await running
  child.kill('SIGKILL')
  await once(child, 'close')
  assert.equal(await outcome, 'CLIENT_GONE')
})

test('signals reach the session', async (t) => {
  const at = await gateway(t)
  // OpenSSH has no way to send one; ssh2's client has a call for it.
  assert.equal(await signalled(at, ['TERM', 'USR1']), 'watching\nsignal TERM\nsignal USR1\n')
})

test('the client that vanishes without a word is gone after its keepalives', { skip, timeout: 15_000 }, async (t) => {
  let started: (client: ClientEnd) => void = () => undefined
  const running = new Promise<ClientEnd>((resolve) => {
    started = resolve
  })
  const at = await gateway(t, {
    timeouts: { keepaliveMs: 150, keepaliveCount: 2 },
    open: (_request, client) => {
      started(client)
      return untilGone(client)
    },
  })
  const child = spawn('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), 'alice@127.0.0.1', 'x'], { env: askPass(at.dir), stdio: 'pipe' })
  t.after(() => child.kill('SIGKILL'))
  const client = await running
  // A stopped process answers nothing, and its kernel keeps the connection: what a vanished machine looks like.
  child.kill('SIGSTOP')
  await once(client.gone, 'abort')
  assert.equal(client.gone.reason.code, 'CLIENT_GONE')
})

test('drain refuses new connections and channels with a text, lets sessions finish, then resolves', { skip, timeout: 20_000 }, async (t) => {
  const at = await gateway(t)
  const control = join(at.dir, 'control')
  const env = askPass(at.dir)
  const master = spawn('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), '-M', '-S', control, 'alice@127.0.0.1', 'cat'], { env, stdio: 'pipe' })
  t.after(() => master.kill())
  master.stdin.write('first\n')
  await once(master.stdout, 'data')
  let drained = false
  const drain = at.server.drain().then(() => {
    drained = true
  })
  const other = await ssh(at, ['exit', '0'], { settings: ['LogLevel=INFO'] })
  assert.equal(other.code, 255)
  assert.match(other.stderr, /shutting down, connect again/)
  const channel = await run('ssh', ['-F', 'none', '-S', control, '-o', 'ControlMaster=no', 'alice@127.0.0.1', 'exit', '0'], { env })
  assert.notEqual(channel.code, 0)
  assert.equal(drained, false)
  const ended = collect(master, 'second\n')
  assert.equal((await ended).code, 0)
  await drain
  assert.deepEqual(at.server.stats(), { connections: 0, channels: 0 })
})

test('close ends sessions, tells their clients, and may be called twice', { skip }, async (t) => {
  let reason: OpsError | undefined
  let started = (): void => undefined
  const running = new Promise<void>((resolve) => {
    started = resolve
  })
  const at = await gateway(t, {
    open: async (_request, client) => {
      started()
      await untilGone(client)
      reason = client.gone.reason
    },
  })
  const ended = ssh(at, ['x'], { settings: ['LogLevel=INFO'] })
  await running
  await Promise.all([at.server.close(), at.server.close()])
  assert.equal(reason?.code, 'DRAINING')
  const { code, stderr } = await ended
  assert.equal(code, 255)
  assert.match(stderr, /shutting down/)
})

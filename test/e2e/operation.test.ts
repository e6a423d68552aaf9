/** A gateway in operation: health, drain, stores that fail, hostile sockets. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { constants, gunzipSync } from 'node:zlib'
import type { StoredEvent } from '../../src/core/types.js'
import { needs } from '../support/need.js'
import { stopProgram, until, World } from '../support/world.js'

const needSsh = needs.program('ssh')
/** A world without clusters: one local pod, so that these tests run on any machine. */
const LOCAL = { clusters: [], config: { clusters: [{ name: 'here', local: { pods: ['web-0'] } }] } } as const
const local = (more: Record<string, unknown> = {}): Parameters<World['start']>[0] => ({ ...LOCAL, via: 'apiserver', config: { ...LOCAL.config, ...more } })

describe('a gateway in operation', { skip: needSsh }, () => {
  let world: World
  before(async () => {
    world = await new World().start(local())
  })
  after(() => world?.stop())
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${world.httpPort}${path}`)

  test('healthz, readyz and metrics answer', async () => {
    assert.deepEqual(await (await get('/healthz')).json(), { status: 'ok' })
    const ready = await get('/readyz')
    assert.equal(ready.status, 200, await ready.text())
    await world.ssh('alice+web-0', 'true')
    const text = await until('the session to be counted', async () => {
      const metrics = await (await get('/metrics')).text()
      return metrics.includes('dockin_audit_events_total{type="session.close"}') && metrics
    })
    assert.match(text, /dockin_pods\{cluster="here"\} 1/)
    assert.match(text, /^process_resident_memory_bytes \d+/m)
  })
  test('an unknown path is a 404 in the form of every error', async () => {
    const answer = await get('/nothing')
    assert.equal(answer.status, 404)
    assert.deepEqual(Object.keys((await answer.json()) as object), ['code', 'message', 'trace'])
  })
  test('a client that sends garbage, and one that sends nothing, cost nothing and let others in', async () => {
    const silent = connect(world.sshPort, '127.0.0.1')
    const garbage = connect(world.sshPort, '127.0.0.1')
    for (const socket of [silent, garbage]) socket.on('error', () => undefined)
    await Promise.all([once(silent, 'connect'), once(garbage, 'connect')])
    garbage.resume()
    garbage.write(Buffer.alloc(300_000, 0xff))
    await once(garbage, 'close')
    assert.equal((await world.ssh('alice+web-0', 'echo fine')).stdout.toString(), 'fine\n')
    silent.destroy()
  })
  test('logs are JSON with the session’s id and no secret', async () => {
    await world.ssh('alice+web-0', 'true')
    const lines = world.gateway
      .logs()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.ok(lines.some((line) => line.msg === 'session.close' && typeof line.session === 'string'))
    assert.doesNotMatch(world.gateway.logs(), /PRIVATE KEY-----\\n\w/)
  })
})

describe('SIGTERM', { skip: needSsh }, () => {
  test('refuses new sessions with a reason, lets the running one finish and then exits 0', async () => {
    const world = await new World().start(local({ drainTimeout: '20s' }))
    try {
      const path = `${world.dir}/cm`
      const shared = ['-o', `ControlPath=${path}`]
      await world.ssh('alice+web-0', undefined, '', '-M', '-N', '-f', ...shared)
      const running = spawn(
        'ssh',
        [...world.options(), ...shared, '-p', String(world.sshPort), '-l', 'alice+web-0', '127.0.0.1', 'echo started; read line; echo "got $line"'],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      )
      let out = ''
      running.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString()
      })
      await until('the session to run', () => out.includes('started'))
      world.gateway.child.kill('SIGTERM')
      await until('readyz to say so', async () => (await fetch(`http://127.0.0.1:${world.httpPort}/readyz`)).status === 503)
      const refused = await world.ssh('alice+web-0', 'true', '', ...shared)
      assert.equal(refused.code, 255)
      assert.match(refused.stderr, /shutting down/)
      running.stdin.end('the end\n')
      assert.deepEqual(await once(running, 'close'), [0, null])
      assert.equal(out, 'started\ngot the end\n')
      await until('the gateway to exit', () => world.gateway.child.exitCode !== null)
      assert.equal(world.gateway.child.exitCode, 0)
    } finally {
      await world.stop()
    }
  })
  test('ends what is left at the limit, and says why', async () => {
    const world = await new World().start(local({ drainTimeout: '1s' }))
    try {
      const running = world.ssh('alice+web-0', 'echo started; exec sleep 1000')
      await until('the session to run', () => world.events().some((event) => event.type === 'session.start'))
      world.gateway.child.kill('SIGTERM')
      const { code, stderr } = await running
      assert.equal(code, 255)
      assert.match(stderr, /^dockin: .*shutting down/m)
      await until('the gateway to exit', () => world.gateway.child.exitCode !== null)
      assert.equal(world.events().at(-1)?.type, 'checkpoint')
      assert.equal(world.events().filter((event) => event.type === 'session.close').length, 1)
    } finally {
      await world.stop()
    }
  })
})

describe('stores that fail', { skip: needSsh || needs.program('redis-server') }, () => {
  test('with Redis down new sessions are refused with 254, with Redis back they run and it holds every event', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'dockin-redis-'))
    const socket = join(dir, 'redis.sock')
    const startRedis = async (): Promise<ReturnType<typeof spawn>> => {
      const redis = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--appendonly', 'yes'], { stdio: 'ignore' })
      await until('redis', async () => (await import('node:fs')).existsSync(socket))
      return redis
    }
    let redis = await startRedis()
    const world = await new World().start({ ...local(), stores: [{ type: 'file' }, { type: 'redis', url: `unix://${socket}` }] })
    try {
      assert.equal((await world.ssh('alice+web-0', 'echo one')).stdout.toString(), 'one\n')
      redis.kill('SIGKILL')
      await once(redis, 'exit')
      rmSync(socket, { force: true })
      const refused = await until('the refusal', async () => {
        const ran = await world.ssh('alice+web-0', 'echo two')
        return ran.code !== 0 && ran
      })
      assert.ok(refused.code === 254 || refused.code === 255, `exit ${refused.code}: ${refused.stderr}`)
      assert.equal(refused.stdout.toString(), '')
      redis = await startRedis()
      await until('sessions to run again', async () => (await world.ssh('alice+web-0', 'echo three')).code === 0, 30_000)
      const { execFileSync } = await import('node:child_process')
      await until('redis to hold every event', () => {
        const length = Number(execFileSync('redis-cli', ['-s', socket, 'XLEN', 'dockin:audit'], { encoding: 'utf8' }))
        return length === world.events().length
      })
    } finally {
      await world.stop()
      redis.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    }
  })
  test('with the disk full new sessions are refused with 254, and nothing runs unrecorded', {
    skip: process.getuid?.() !== 0 && 'needs root to mount a small disk',
  }, async () => {
    const { execFileSync } = await import('node:child_process')
    const { writeFileSync } = await import('node:fs')
    const world = new World()
    execFileSync('mkdir', ['-p', world.dataDir])
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', world.dataDir])
    try {
      await world.start(local())
      assert.equal((await world.ssh('alice+web-0', 'true')).code, 0)
      const filler = join(world.dataDir, 'filler')
      try {
        writeFileSync(filler, Buffer.alloc(4 * 1024 * 1024))
      } catch {
        // full now: that is what it was for
      }
      const refused = await until('the refusal', async () => {
        const ran = await world.ssh('alice+web-0', 'echo ran')
        return ran.code !== 0 && ran
      })
      assert.ok(refused.code === 254 || refused.code === 255)
      assert.equal(refused.stdout.toString(), '')
      rmSync(filler)
      await until('sessions to run again', async () => (await world.ssh('alice+web-0', 'true')).code === 0, 30_000)
    } finally {
      await world.stop().catch(() => undefined)
      execFileSync('umount', ['-l', world.dataDir])
      rmSync(world.dir, { recursive: true, force: true })
    }
  })
})

test('a world-readable key file in a config is named by check', () => {
  // the e2e of check lives beside the other refusals; this keeps the examples in config/ loadable
  assert.ok(readFileSync(join(import.meta.dirname, '../../config/opserver.yaml'), 'utf8').length > 0)
})

describe('a gateway that was killed', { skip: needSsh }, () => {
  test('says at its next start which sessions it lost, and what they showed until then is there', async (t) => {
    const world = await new World().start(local())
    t.after(() => world.stop())
    const client = spawn('ssh', [...world.options(), '-p', String(world.sshPort), '-tt', '-l', 'alice+web-0', '127.0.0.1', 'echo was-here; cat'])
    t.after(() => client.kill('SIGKILL'))
    const [shown] = (await once(client.stdout, 'data')) as [Buffer]
    assert.match(shown.toString(), /was-here/)
    const { session = '' } = await until('the start', () => world.events().find(({ type }) => type === 'session.start'))
    const shows = () => {
      const folder = join(world.dataDir, 'recordings')
      const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes(session) && name.includes('.cast.gz'))
      return names.some((name) => gunzipSync(readFileSync(join(folder, name)), { finishFlush: constants.Z_SYNC_FLUSH }).includes('was-here'))
    }
    await until('the recording to rest', shows)
    await stopProgram(world.gateway, 'SIGKILL')
    await world.startGateway()
    // one with a recording is told by its recording, any other by itself
    const told = (event: StoredEvent) => event.type === 'admin' && ['recording.closed', 'session.lost'].includes(event.action) && event.session === session
    await until('the lost session', () => world.events().find(told))
    assert.ok(shows())
    assert.equal((await world.ssh('alice+web-0', 'true')).code, 0)
  })
})

/** Our SPDY client against the streaming server of a real containerd, which is Go's spdystream with nothing in between. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { RemoteProcess, WindowSize } from '../../src/core/types.js'
import { openExecLanes } from '../../src/wire/exec-lanes-client.js'
import { KUBE_V4 } from '../../src/wire/kube-channel.js'
import { type Upgraded, upgradeClient } from '../../src/wire/spdy/upgrade-client.js'
import { type ContainerdServer, containerdMissing, containerdServer } from '../support/containerd.js'

const MIB = 1024 * 1024
const TTY = { columns: 100, rows: 30, widthPx: 0, heightPx: 0 }

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function until(stream: Readable, pattern: RegExp): Promise<string> {
  let seen = ''
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    seen += chunk.toString()
    if (pattern.test(seen)) return seen
  }
  throw new Error(`ended without ${pattern}: ${seen}`)
}

function upgrade(url: URL, signal: AbortSignal): Promise<Upgraded> {
  const connection = { host: url.hostname, port: url.port }
  return upgradeClient({ subject: 'containerd', secure: false, connection, path: `${url.pathname}${url.search}`, protocols: [KUBE_V4] }, signal)
}

describe('exec on containerd', { skip: containerdMissing(), timeout: 40_000 }, () => {
  let containerd: ContainerdServer

  before(async () => {
    containerd = await containerdServer()
  })
  after(() => containerd?.close())

  interface Wanted {
    readonly stdin?: boolean
    readonly size?: WindowSize
    readonly signal?: AbortSignal
  }

  async function exec(argv: readonly string[], { stdin = false, size, signal = new AbortController().signal }: Wanted = {}): Promise<RemoteProcess> {
    const tty = size !== undefined
    const { connection, isAgent } = await upgrade(await containerd.exec({ argv, stdin, tty }), signal)
    const lanes = { stdin, stdout: true, stderr: !tty, tty, signals: isAgent, via: 'containerd', ...(size ? { size } : {}) }
    return openExecLanes(connection, lanes, signal)
  }

  test('the exit code, output and error output come back apart', async () => {
    const process = await exec(['sh', '-c', 'echo out; echo err >&2; exit 7'])
    assert.ok(process.stderr)
    const [out, err, exit] = await Promise.all([text(process.stdout), text(process.stderr), process.exit])
    assert.deepEqual({ out, err, exit }, { out: 'out\n', err: 'err\n', exit: { kind: 'exited', code: 7 } })
  })

  test('8 MiB go in and are half-closed, and the answer still comes', async () => {
    const input = randomBytes(8 * MIB)
    const process = await exec(['sh', '-c', 'cat | sha256sum'], { stdin: true })
    assert.ok(process.stderr)
    const [, out, err] = await Promise.all([pipeline([input], process.stdin), text(process.stdout), text(process.stderr)])
    assert.deepEqual({ out, err }, { out: `${sha256(input)}  -\n`, err: '' })
    assert.deepEqual(await process.exit, { kind: 'exited', code: 0 })
  })

  test('32 MiB come out whole', async () => {
    const script = `head -c ${32 * MIB} /dev/urandom > /tmp/data && sha256sum < /tmp/data >&2 && cat /tmp/data; rm /tmp/data`
    const process = await exec(['sh', '-c', script])
    assert.ok(process.stderr)
    const [out, err] = await Promise.all([buffer(process.stdout), text(process.stderr)])
    assert.equal(out.length, 32 * MIB)
    assert.equal(`${sha256(out)}  -\n`, err)
    assert.deepEqual(await process.exit, { kind: 'exited', code: 0 })
  })

  test('a terminal has the size it was opened with, then each new one', async () => {
    const process = await exec(['sh'], { stdin: true, size: TTY })
    assert.equal(process.stderr, undefined)
    process.stdin.write('until [ "$(stty size)" = "30 100" ]; do sleep 0.05; done; echo fi"rst"\n')
    await until(process.stdout, /first\r\n/)
    process.resize({ ...TTY, columns: 123, rows: 45 })
    process.stdin.write('until [ "$(stty size)" = "45 123" ]; do sleep 0.05; done; stty size; exit 4\n')
    await until(process.stdout, /^45 123\r\n/m)
    process.stdout.resume()
    assert.deepEqual(await process.exit, { kind: 'exited', code: 4 })
  })

  test('INT on a terminal reaches the program as its key', async () => {
    const process = await exec(['sh', '-c', 'trap "echo caught; exit 3" INT; echo up; while :; do sleep 0.05; done'], { stdin: true, size: TTY })
    await until(process.stdout, /up/)
    process.kill('INT')
    await until(process.stdout, /caught/)
    process.stdout.resume()
    assert.deepEqual(await process.exit, { kind: 'exited', code: 3 })
  })

  test('a command that is not there is COMMAND_NOT_FOUND, one that may not run is not executable', async () => {
    for (const [program, code] of [
      ['/no/such/program', 'COMMAND_NOT_FOUND'],
      ['no-such-program', 'COMMAND_NOT_FOUND'],
      ['/etc/passwd', 'COMMAND_NOT_EXECUTABLE'],
    ] as const) {
      const process = await exec([program])
      const [out] = await Promise.all([text(process.stdout), assert.rejects(process.exit, { code })])
      assert.equal(out, '', program)
    }
  })

  test('a streaming address serves one connection', async () => {
    const { signal } = new AbortController()
    const url = await containerd.exec({ argv: ['true'], stdin: false, tty: false })
    const { connection } = await upgrade(url, signal)
    const lanes = { stdin: false, stdout: true, stderr: true, tty: false, signals: false, via: 'containerd' }
    const process = await openExecLanes(connection, lanes, signal)
    assert.deepEqual(await process.exit, { kind: 'exited', code: 0 })
    await assert.rejects(upgrade(url, signal), (error) => error instanceof OpsError && /HTTP 404/.test(error.message))
  })

  test('aborting rejects the exit with the reason and ends the streams', async () => {
    const abort = new AbortController()
    const process = await exec(['sh', '-c', 'echo up; exec sleep 30'], { signal: abort.signal })
    await until(process.stdout, /up/)
    abort.abort(new OpsError('IDLE_TIMEOUT', 'test'))
    await assert.rejects(process.exit, { code: 'IDLE_TIMEOUT' })
    await process.close()
    await process.close()
    assert.ok(process.stdout.destroyed || process.stdout.readableEnded)
  })

  test('a container that is stopped ends its execs with a status, and takes no more', async () => {
    const process = await exec(['sh', '-c', 'echo up; exec sleep 30'])
    await until(process.stdout, /up/)
    process.stdout.resume()
    await containerd.stopContainer()
    assert.deepEqual(await process.exit, { kind: 'exited', code: 137 })
    await assert.rejects(containerd.exec({ argv: ['true'], stdin: false, tty: false }), /not running|CONTAINER_EXITED|exited state/i)
  })

  test('the pod, its shims and its mounts are gone when containerd is closed', async () => {
    assert.ok(containerd.leftovers().length > 0)
    await containerd.close()
    assert.deepEqual(containerd.leftovers(), [])
    await containerd.close()
  })
})

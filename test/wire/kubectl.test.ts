/** Our SPDY server against the real kubectl. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { spawn as spawnPty } from 'node-pty'
import { needs } from '../support/need.js'
import { type FakeApi, startFakeApi } from './support/fake-api.js'

const skip = needs.program('kubectl')
let api: FakeApi
before(async () => {
  api = await startFakeApi()
})
after(() => api.close())

interface Result {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

function kubectlArgs(args: readonly string[]): string[] {
  return ['--kubeconfig=/dev/null', `--server=${api.url}`, 'exec', ...args]
}

function kubectl(
  args: readonly string[],
  input: Buffer | undefined,
  env: Record<string, string> = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' },
): Promise<Result> {
  const child = spawn('kubectl', kubectlArgs(args), { env: { ...process.env, ...env }, stdio: 'pipe' })
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  child.stdin.on('error', () => {}) // kubectl may end first
  child.stdin.end(input)
  return new Promise((resolve) => child.on('close', (code) => resolve({ code: code ?? -1, stdout: Buffer.concat(stdout), stderr })))
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test('kubectl gets output, error output and the exit code of our server', { skip }, async () => {
  const result = await kubectl(['p', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'], undefined)
  assert.equal(result.code, 7)
  assert.equal(result.stdout.toString(), 'out\n')
  assert.match(result.stderr, /^err\n/)
  assert.deepEqual(api.log.splice(0), ['POST SPDY/3.1', '{"kind":"exited","code":7}'])
})

test('kubectl half-closes stdin and still gets the answer', { skip }, async () => {
  const result = await kubectl(['-i', 'p', '--', 'sh', '-c', 'cat; echo end'], Buffer.from('hello '))
  assert.equal(result.stdout.toString(), 'hello end\n')
  assert.equal(result.code, 0)
  api.log.splice(0)
})

test('kubectl falls back from WebSocket to our SPDY', { skip }, async () => {
  const result = await kubectl(['p', '--', 'sh', '-c', 'echo fallback; exit 3'], undefined, {})
  assert.equal(result.stdout.toString(), 'fallback\n')
  assert.equal(result.code, 3)
  assert.deepEqual(api.log.splice(0), ['GET websocket', 'POST SPDY/3.1', '{"kind":"exited","code":3}'])
})

test('kubectl is told which command was not found', { skip }, async () => {
  const result = await kubectl(['p', '--', '/nonexistent/program'], undefined)
  assert.equal(result.code, 127)
  assert.deepEqual(api.log.splice(0), ['POST SPDY/3.1', 'COMMAND_NOT_FOUND'])
})

test('64 MiB reach kubectl whole', { skip }, async () => {
  const result = await kubectl(['p', '--', 'sh', '-c', 'head -c 67108864 /dev/zero | tr "\\0" x'], undefined)
  assert.equal(result.code, 0)
  assert.equal(result.stdout.length, 64 * 1024 * 1024)
  assert.equal(sha256(result.stdout), sha256(Buffer.alloc(64 * 1024 * 1024, 'x')))
})

test('64 MiB of kubectl reach the program whole', { skip }, async () => {
  const input = randomBytes(64 * 1024 * 1024)
  const result = await kubectl(['-i', 'p', '--', 'sha256sum'], input)
  assert.equal(result.stdout.toString().slice(0, 64), sha256(input))
})

test('kubectl with a terminal sends its size, then each new one', { skip }, async () => {
  const pty = spawnPty('kubectl', kubectlArgs(['-it', 'p', '--', 'sh', '-c', 'trap "stty size; exit 5" WINCH; stty size; while :; do sleep 0.05; done']), {
    cols: 100,
    rows: 30,
    env: { ...process.env, KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' },
  })
  let seen = ''
  pty.onData((text) => {
    seen += text
    if (/30 100\r?\n/.test(seen)) pty.resize(123, 45)
  })
  const { exitCode } = await new Promise<{ exitCode: number }>((resolve) => pty.onExit(resolve))
  assert.match(seen, /45 123/)
  assert.equal(exitCode, 5)
})

test('a program dies when kubectl does', { skip }, async () => {
  api.log.splice(0)
  const child = spawn('kubectl', kubectlArgs(['p', '--', 'sh', '-c', 'echo up; exec sleep 1000']), {
    env: { ...process.env, KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' },
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const ended = api.nextEnd()
  child.kill('SIGKILL')
  await ended
  assert.deepEqual(api.log.splice(0), ['POST SPDY/3.1', '{"kind":"signaled","signal":"KILL","coreDumped":false}'])
})

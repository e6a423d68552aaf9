/** Our SPDY client against the real API server and kubelet. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import { needs } from '../support/need.js'
import { clusterExec } from './support/cluster-exec.js'

const skip = needs.cluster('a')
const MIB = 1024 * 1024

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

test('the exit code, output and error output come back apart', { skip }, async () => {
  const process = await clusterExec({ argv: ['sh', '-c', 'echo out; echo err >&2; exit 7'] })
  assert.ok(process.stderr)
  const [out, err, exit] = await Promise.all([text(process.stdout), text(process.stderr), process.exit])
  assert.deepEqual({ out, err, exit }, { out: 'out\n', err: 'err\n', exit: { kind: 'exited', code: 7 } })
})

test('32 MiB go in, are half-closed, and come back whole', { skip }, async () => {
  const input = randomBytes(32 * MIB)
  const process = await clusterExec({ argv: ['sh', '-c', 'tee /dev/stderr | sha256sum'], stdin: true })
  assert.ok(process.stderr)
  const [, out, echoed] = await Promise.all([pipeline([input], process.stdin), text(process.stdout), buffer(process.stderr)])
  assert.equal(out.slice(0, 64), sha256(input))
  assert.equal(sha256(echoed), sha256(input))
  assert.deepEqual(await process.exit, { kind: 'exited', code: 0 })
})

test('a terminal has the size it was opened with, then each new one', { skip }, async () => {
  const size = { columns: 100, rows: 30, widthPx: 0, heightPx: 0 }
  const process = await clusterExec({ argv: ['bash', '--norc'], stdin: true, tty: size })
  // bounded, and not busy: kubelet leaves a program running whose client is gone
  process.stdin.write('await() { for i in $(seq 600); do [ "$(stty size)" = "$1" ] && return; sleep 0.05; done; exit 9; }; await "30 100"; echo fi"rst"\n')
  await until(process.stdout, /first/)
  process.resize({ ...size, columns: 123, rows: 45 })
  process.stdin.write('await "45 123"; echo sec"ond"; exit 4\n')
  await until(process.stdout, /second/)
  process.stdout.resume()
  assert.deepEqual(await process.exit, { kind: 'exited', code: 4 })
})

test('a slow reader holds the program, not its output', { skip }, async () => {
  const process = await clusterExec({ argv: ['sh', '-c', 'head -c 60000000 /dev/zero; echo done >&2'] })
  let peak = 0
  let bytes = 0
  const slow = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length
      peak = Math.max(peak, process.stdout.readableLength)
      setImmediate(done)
    },
  })
  await pipeline(process.stdout, slow)
  assert.equal(bytes, 60_000_000)
  assert.ok(peak > 0 && peak < MIB, `${peak} bytes were held`)
})

test('a command that is not there ends with an error', { skip }, async () => {
  const process = await clusterExec({ argv: ['/no/such/program'] })
  const [out, exit] = await Promise.all([text(process.stdout), process.exit.catch((error: unknown) => error)])
  // dockershim says it on stdout and exits with 126; containerd says it in the status
  if (exit instanceof OpsError) assert.equal(exit.code, 'COMMAND_NOT_FOUND')
  else assert.match(out, /no such file or directory/)
})

test('a pod that does not exist is gone, a container that does not exist is unknown', { skip }, async () => {
  await assert.rejects(clusterExec({ pod: 'nobody', argv: ['true'] }), { code: 'TARGET_GONE' })
  await assert.rejects(clusterExec({ container: 'nobody', argv: ['true'] }), { code: 'TARGET_UNKNOWN' })
})

test('aborting rejects the exit with the reason and ends the streams', { skip }, async () => {
  const abort = new AbortController()
  const process = await clusterExec({ argv: ['sh', '-c', 'echo up; exec sleep 2'], signal: abort.signal })
  await until(process.stdout, /up/)
  abort.abort(new OpsError('IDLE_TIMEOUT', 'test'))
  await assert.rejects(process.exit, { code: 'IDLE_TIMEOUT' })
  await process.close()
  await process.close()
})

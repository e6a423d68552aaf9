import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LocalRuntime } from '../../agent/local.js'
import { loadPty } from '../../agent/pty.js'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { ExecRequest } from '../../src/core/types.js'
import { exitOf, markMaker, processes, pty, size, untilGone, untilShown } from './support/lanes.js'

function ptyMissing(): false | string {
  try {
    loadPty()
    return false
  } catch (error) {
    return (error as Error).message
  }
}
const nextMark = markMaker(500)
const dataDir = mkdtempSync(join(tmpdir(), 'local-'))
const runtime = new LocalRuntime({ dataDir, pods: ['web-0', { name: 'db-0', uid: 'u-1' }], log: silentLogger })
const signal = new AbortController().signal
after(async () => {
  await runtime.close()
  rmSync(dataDir, { recursive: true })
})

const start = (argv: string[], more: Partial<ExecRequest> = {}) => runtime.exec('web-0', { argv, env: {}, ...more }, signal)
async function run(argv: string[], more: Partial<ExecRequest> = {}) {
  const process = await start(argv, more)
  process.stdin.end()
  const [out, err] = await Promise.all([text(process.stdout), process.stderr ? text(process.stderr) : ''])
  const code = await exitOf(process)
  await process.close()
  return { code, out, err }
}

test('each pod has a home of its own that only its user may read', async () => {
  const { out } = await run(['sh', '-c', 'pwd; echo "$HOME"; touch here'])
  assert.equal(out, `${dataDir}/web-0\n${dataDir}/web-0\n`)
  assert.equal(statSync(join(dataDir, 'web-0')).mode & 0o777, 0o700)
  assert.ok(statSync(join(dataDir, 'web-0', 'here')))
})
test('nothing of the environment of this process reaches the program', async () => {
  process.env.TEST_SECRET = 'leaked'
  try {
    const { out } = await run(['env'], { env: { MINE: 'yes' } })
    const names = out
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0])
    assert.deepEqual(names.sort(), ['HOME', 'HOSTNAME', 'LANG', 'LOGNAME', 'MINE', 'PATH', 'USER'])
  } finally {
    delete process.env.TEST_SECRET
  }
})
test('the pods are listed, and another is gone', async () => {
  assert.deepEqual(await runtime.containers(), [
    { id: 'web-0', namespace: 'default', pod: 'web-0', uid: '', container: 'shell' },
    { id: 'db-0', namespace: 'default', pod: 'db-0', uid: 'u-1', container: 'shell' },
  ])
  await assert.rejects(runtime.exec('web-9', { argv: ['true'], env: {} }, signal), { code: 'TARGET_GONE' })
  for (const pods of [['../x'], ['a', 'a']]) assert.throws(() => new LocalRuntime({ dataDir, pods, log: silentLogger }), { code: 'CONFIG_INVALID' })
})
test('stdout, stderr and the exit code come apart', async () => {
  assert.deepEqual(await run(['sh', '-c', 'echo out; echo err >&2; exit 7']), { code: 7, out: 'out\n', err: 'err\n' })
})
test('output of a program that has ended waits for its reader', async () => {
  const process = await start(['sh', '-c', 'head -c 150000 /dev/zero; echo err >&2'])
  assert.equal(await exitOf(process), 0)
  await sleep(50)
  assert.ok(process.stderr)
  assert.deepEqual(await Promise.all([buffer(process.stdout).then((all) => all.length), text(process.stderr)]), [150_000, 'err\n'])
  await process.close()
})
test('the end of stdin reaches the program and its output still comes', async () => {
  const process = await start(['sh', '-c', 'wc -c; echo done'])
  process.stdin.end(Buffer.alloc(3_000_000))
  assert.equal(await text(process.stdout), '3000000\ndone\n')
  await process.close()
})
test('input that a program does not read any more does not fail it', async () => {
  const process = await start(['sh', '-c', 'head -c 1 >/dev/null; echo bye; exit 5'])
  const out = text(process.stdout)
  for (let i = 0; i < 50; i++) await new Promise((resolve) => process.stdin.write(Buffer.alloc(10_000), resolve))
  assert.equal(await exitOf(process), 5)
  assert.equal(await out, 'bye\n')
  await process.close()
})
test('an abort ends the program and its reason is what exec throws', async () => {
  const reason = new OpsError('CLIENT_GONE', 'gone')
  const stop = new AbortController()
  stop.abort(reason)
  await assert.rejects(runtime.exec('web-0', { argv: ['true'], env: {} }, stop.signal), reason)
  const mark = nextMark()
  const late = new AbortController()
  await runtime.exec('web-0', { argv: ['sleep', mark], env: {} }, late.signal)
  late.abort(reason)
  await untilGone(`sleep ${mark}`)
})
test('closing the runtime ends what runs', async () => {
  const mark = nextMark()
  const other = new LocalRuntime({ dataDir, pods: ['x'], log: silentLogger })
  const process = await other.exec('x', { argv: ['sleep', mark], env: {} }, signal)
  await other.close()
  assert.deepEqual(await process.exit, { kind: 'signaled', signal: 'HUP', coreDumped: false })
  assert.deepEqual(processes(`sleep ${mark}`), [])
})
test('a job that was left behind by a session that ended by itself is ended when it is closed', async () => {
  const mark = nextMark()
  const { code } = await run(['sh', '-c', `sleep ${mark} >/dev/null 2>&1 </dev/null & exit 4`])
  assert.equal(code, 4)
  assert.deepEqual(processes(`sleep ${mark}`), [])
})
test('a job that holds the output of a session is ended with it', async () => {
  const mark = nextMark()
  const process = await start(['sh', '-c', `sleep ${mark} & echo up`])
  await untilShown(process.stdout, 'up')
  assert.equal(await exitOf(process), 0)
  await process.close()
  await untilGone(`sleep ${mark}`)
})

for (const tty of [false, true]) {
  suite(tty ? 'in a terminal' : 'on pipes', { skip: tty && ptyMissing() }, () => {
    const more = tty ? { pty } : {}
    test('what cannot be started is an error that says why', async () => {
      const code = (wanted: string) => (error: unknown) => error instanceof OpsError && error.code === wanted
      await assert.rejects(start(['no-such-program'], more), code('COMMAND_NOT_FOUND'))
      await assert.rejects(start(['/no/such/program'], more), code('COMMAND_NOT_FOUND'))
      await assert.rejects(start(['/etc/passwd/x'], more), code('COMMAND_NOT_FOUND'))
      await assert.rejects(start(['/etc/passwd'], more), code('COMMAND_NOT_EXECUTABLE'))
      await assert.rejects(start(['/etc'], more), code('COMMAND_NOT_EXECUTABLE'))
      await assert.rejects(start(['true'], { ...more, cwd: '/no/such/dir' }), code('BAD_REQUEST'))
      await assert.rejects(start([], more), code('BAD_REQUEST'))
      await assert.rejects(start(['a\0b'], more), code('BAD_REQUEST'))
    })
    test('close ends the program and the jobs it left in the background', async () => {
      const mark = nextMark()
      const process = await start(['sh', '-c', `sleep ${mark} & (trap "" HUP; setsid sleep ${mark} & sleep ${mark}) & echo up; sleep ${mark}`], more)
      await untilShown(process.stdout, 'up')
      await Promise.all([process.close(), process.close()])
      await untilGone(`sleep ${mark}`)
      await process.exit
      assert.ok(process.stdout.destroyed)
    })
    test('a signal reaches the program and its name comes back', async () => {
      const process = await start(['sleep', nextMark()], more)
      process.kill('NOSUCH')
      process.kill('USR1')
      assert.deepEqual(await process.exit, { kind: 'signaled', signal: 'USR1', coreDumped: false })
      await process.close()
    })
  })
}

suite('a terminal', { skip: ptyMissing() }, () => {
  test('has its size and type from the start on, and its new size after a change', async () => {
    const process = await start(['sh', '-c', 'stty size; echo $TERM; read line; stty size'], { pty })
    assert.equal(process.stderr, undefined)
    assert.match(await untilShown(process.stdout, 'xterm-256color'), /^45 123\r\n/)
    process.resize({ ...size, columns: 0, rows: 0 })
    process.resize({ ...size, columns: 91, rows: 31 })
    process.stdin.write('\n')
    assert.match(await text(process.stdout), /31 91/)
    await process.close()
    process.resize(size)
  })
  test('gives the end of input as its end-of-file character', async () => {
    assert.equal((await run(['cat'], { pty })).code, 0)
  })
  test('ends when its shell exits, although a job holds it', async () => {
    const mark = nextMark()
    const process = await start(['sh', '-c', `sleep ${mark} & echo up; sleep 0.2; echo bye`], { pty })
    assert.match(await text(process.stdout), /up\r\nbye\r\n/)
    await process.close()
    await untilGone(`sleep ${mark}`)
  })
  test('loses nothing to a reader that is slow, after the program has ended too', async () => {
    const process = await start(['sh', '-c', 'stty -opost; head -c 400000 /dev/zero | tr "\\0" x; exit 3'], { pty })
    await once(process.stdout, 'readable')
    await sleep(400)
    assert.ok(process.stdout.readableLength < 300_000)
    assert.equal((await buffer(process.stdout)).length, 400_000)
    assert.equal(await exitOf(process), 3)
    await process.close()
  })
  test('holds back input that its program does not read, and takes it all in the end', async () => {
    const process = await start(['sh', '-c', 'stty raw -echo; echo up; sleep 0.3; head -c 100000 | wc -c'], { pty })
    const [seen] = await Promise.all([
      text(process.stdout),
      new Promise<void>((resolve) => {
        process.stdout.once('data', () => process.stdin.write(Buffer.alloc(100_000, 'x'), () => resolve()))
      }),
    ])
    assert.match(seen, /100000/)
    await process.close()
  })
  test('closes while input waits', async () => {
    const process = await start(['sh', '-c', 'stty raw -echo; echo up; sleep 60'], { pty })
    await untilShown(process.stdout, 'up')
    process.stdin.write(Buffer.alloc(100_000))
    await process.close()
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DockerRuntime } from '../../agent/docker.js'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { ExecRequest, NodeContainer } from '../../src/core/types.js'
import { dockerSocketOf, needs } from '../support/need.js'
import { exitOf, markMaker, processes, pty, size, untilGone, untilShown } from './support/lanes.js'

const nextMark = markMaker(300)

for (const [cluster, starts] of [
  ['a', 'auto'],
  ['a', 'docker'],
  ['b', 'auto'],
] as const) {
  suite(`docker of cluster ${cluster}, starts: ${starts}`, { skip: needs.docker(cluster) || needs.cluster(cluster), timeout: 300_000 }, () => {
    const signal = new AbortController().signal
    const pod = cluster === 'a' ? 'web-0' : 'core-0'
    let runtime: DockerRuntime
    let web: NodeContainer
    before(async () => {
      runtime = new DockerRuntime({ docker: `unix://${dockerSocketOf(cluster)}`, starts, log: silentLogger })
      const found = await runtime.find((one) => one.pod === pod && one.container === 'web', signal)
      assert.ok(found)
      web = found
    })
    after(() => runtime.close())

    const start = (argv: string[], more: Partial<ExecRequest> = {}) => runtime.exec(web.id, { argv, env: {}, ...more }, signal)
    async function run(argv: string[], more: Partial<ExecRequest> = {}) {
      const process = await start(argv, more)
      const [out, err] = await Promise.all([text(process.stdout), process.stderr ? text(process.stderr) : ''])
      const code = await exitOf(process)
      await process.close()
      return { code, out, err }
    }

    test('containers are listed by the pod that kubelet labelled them with, without sandboxes', async () => {
      const all = await runtime.containers(signal)
      assert.ok(all.some((one) => one.pod === pod && one.container === 'web' && /^[0-9a-f-]{36}$/.test(one.uid)))
      assert.ok(!all.some((one) => one.container === 'POD'))
    })
    test('stdout, stderr and the exit code come apart', async () => {
      assert.deepEqual(await run(['sh', '-c', 'echo out; echo err >&2; exit 7']), { code: 7, out: 'out\n', err: 'err\n' })
    })
    test('environment and directory reach the program', async () => {
      const { out } = await run(['sh', '-c', 'echo "$GREETING"; pwd'], { env: { GREETING: 'hello world' }, cwd: '/usr' })
      assert.equal(out, 'hello world\n/usr\n')
    })
    test('the end of stdin reaches the program and its output still comes', async () => {
      const process = await start(['sh', '-c', 'wc -c; echo done'])
      process.stdin.end(Buffer.alloc(3_000_000))
      assert.equal(await text(process.stdout), '3000000\ndone\n')
      assert.equal(await exitOf(process), 0)
      await process.close()
    })
    test('a program that exits with 126 or 127 is not taken for one that could not start', async () => {
      assert.equal((await run(['sh', '-c', 'exit 127'])).code, 127)
      assert.equal((await run(['sh', '-c', 'echo "OCI runtime exec failed: executable file not found"; exit 126'])).code, 126)
      assert.equal((await run(['sh', '-c', 'exit 127'], { pty })).code, 127)
    })
    for (const tty of [false, true]) {
      const more = tty ? { pty } : {}
      const name = tty ? ' with a terminal' : ''
      test(`what cannot be started is an error that says why${name}`, async () => {
        const code = (wanted: string) => (error: unknown) => error instanceof OpsError && error.code === wanted
        await assert.rejects(start(['no-such-program'], more), code('COMMAND_NOT_FOUND'))
        await assert.rejects(start(['/no/such/program'], more), code('COMMAND_NOT_FOUND'))
        await assert.rejects(start(['/etc/passwd'], more), code('COMMAND_NOT_EXECUTABLE'))
        await assert.rejects(start(['/etc'], more), code('COMMAND_NOT_EXECUTABLE'))
        await assert.rejects(start(['true'], { ...more, cwd: '/no/such/dir' }), code('BAD_REQUEST'))
      })
      test(`close ends the program and the jobs it left in the background${name}`, async () => {
        const mark = nextMark()
        const process = await start(['sh', '-c', `sleep ${mark} & (trap "" HUP; setsid sleep ${mark} & sleep ${mark}) & echo up; sleep ${mark}`], more)
        await untilShown(process.stdout, 'up')
        await Promise.all([process.close(), process.close()])
        await untilGone(`sleep ${mark}`)
        assert.ok(process.stdout.destroyed)
        await process.exit
      })
      test(`an abort ends the program and its reason is what exec throws${name}`, async () => {
        const mark = nextMark()
        const reason = new OpsError('CLIENT_GONE', 'gone')
        for (const abortAfterMs of [0, 1, 2, 3, 5, 20]) {
          const early = new AbortController()
          const starting = runtime.exec(web.id, { argv: ['sleep', mark], env: {}, ...more }, early.signal)
          setTimeout(() => early.abort(reason), abortAfterMs)
          await assert.rejects(starting, reason)
        }
        const late = new AbortController()
        await runtime.exec(web.id, { argv: ['sleep', mark], env: {}, ...more }, late.signal)
        late.abort(reason)
        await untilGone(`sleep ${mark}`)
      })
      test(`a signal reaches the program${name}`, async () => {
        const process = await start(['sh', '-c', 'trap "echo got-usr1; exit 3" USR1; echo up; while :; do sleep 0.05; done'], more)
        await untilShown(process.stdout, 'up')
        process.kill('USR1')
        process.kill('NOSUCH')
        await untilShown(process.stdout, 'got-usr1')
        assert.equal(await exitOf(process), 3)
        await process.close()
      })
    }
    test('a terminal has its size and type from the start on, and its new size after a change', async () => {
      const until = (wanted: string) => `until [ "$(stty size)" = "${wanted}" ]; do :; done; echo is ${wanted}`
      const process = await start(['sh', '-c', `echo $TERM; ${until('45 123')}; ${until('31 91')}`], { pty })
      await untilShown(process.stdout, 'is 45 123')
      process.resize({ ...size, columns: 90, rows: 30 })
      process.resize({ ...size, columns: 91, rows: 31 })
      await untilShown(process.stdout, 'is 31 91')
      assert.equal(await exitOf(process), 0)
      await process.close()
    })
    test('a size that nobody knew at the start is taken when it is said', async () => {
      const unknown = { ...size, columns: 0, rows: 0 }
      const starting = start(['sh', '-c', 'until [ "$(stty size)" = "45 123" ]; do :; done; echo is'], { pty: { ...pty, size: unknown } })
      const process = await starting
      process.resize(size)
      await untilShown(process.stdout, 'is')
      await process.close()
    })
    test('a terminal gives every key at once, ctrl-p too', async () => {
      const process = await start(['sh', '-c', 'stty raw -echo; echo up; dd bs=1 count=1 2>/dev/null | od -An -tx1'], { pty })
      await untilShown(process.stdout, 'up')
      process.stdin.write(Buffer.of(0x10))
      await untilShown(process.stdout, '10')
      assert.equal(await exitOf(process), 0)
      await process.close()
    })
    test('a shell in a terminal ends when it exits, although a job holds the terminal', async () => {
      const mark = nextMark()
      const process = await start(['sh', '-c', `sleep ${mark} & echo up; sleep 0.5; echo bye`], { pty })
      assert.match(await text(process.stdout), /up\r\nbye\r\n/)
      assert.equal(await exitOf(process), 0)
      await process.close()
      await untilGone(`sleep ${mark}`)
    })
    test('a job that was left behind by a session that ended by itself is ended when it is closed', async () => {
      const mark = nextMark()
      const { code } = await run(['sh', '-c', `sleep ${mark} >/dev/null 2>&1 </dev/null & exit 4`])
      assert.equal(code, 4)
      assert.deepEqual(processes(`sleep ${mark}`), [])
    })
    test('a reader that stops on one lane loses nothing of either', async () => {
      const process = await start(['sh', '-c', 'head -c 5000000 /dev/zero >&2; head -c 5000000 /dev/zero; exit 4'])
      assert.ok(process.stderr)
      await once(process.stderr, 'readable')
      const out = buffer(process.stdout)
      await sleep(50)
      assert.ok(process.stderr.readableLength < 300_000)
      assert.equal((await buffer(process.stderr)).length, 5_000_000)
      assert.equal((await out).length, 5_000_000)
      assert.equal(await exitOf(process), 4)
      await process.close()
    })
    test('output that was not read yet survives a program that ends without reading its input', async () => {
      // More than the lane holds, so that the rest waits in the kernel while input goes on being sent.
      const process = await start(['sh', '-c', 'head -c 260000 /dev/zero; exit 3'])
      const chunk = Buffer.alloc(65_536)
      let isFeeding = true
      const feed = async () => {
        while (isFeeding) await Promise.race([new Promise<void>((resolve) => process.stdin.write(chunk, () => setImmediate(resolve))), sleep(20)])
      }
      const feeding = feed()
      assert.equal(await exitOf(process), 3)
      const read = buffer(process.stdout)
      assert.equal((await read).length, 260_000)
      isFeeding = false
      await feeding
      await process.close()
    })
    test('a container that is not there is gone, one that is not running says so', async () => {
      await assert.rejects(runtime.exec('f'.repeat(64), { argv: ['true'], env: {} }, signal), { code: 'TARGET_GONE' })
    })
    test('without the host pids a side exec finds and ends what was started', async () => {
      const blind = new DockerRuntime({ docker: `unix://${dockerSocketOf(cluster)}`, log: silentLogger, hostPids: false })
      try {
        const mark = nextMark()
        const process = await blind.exec(web.id, { argv: ['sh', '-c', `sleep ${mark} & echo up; sleep ${mark}`], env: {} }, signal)
        await untilShown(process.stdout, 'up')
        await process.close()
        await untilGone(`sleep ${mark}`)
        const trapped = await blind.exec(
          web.id,
          { argv: ['sh', '-c', 'trap "echo term; exit 5" TERM; echo up; while :; do sleep 0.05; done'], env: {} },
          signal,
        )
        await untilShown(trapped.stdout, 'up')
        trapped.kill('TERM')
        assert.equal(await exitOf(trapped), 5)
        await trapped.close()
      } finally {
        await blind.close()
      }
    })
  })
}

test('a daemon that does not answer makes the target unreachable', async () => {
  const runtime = new DockerRuntime({ docker: 'unix:///no/such/docker.sock', log: silentLogger })
  await assert.rejects(runtime.exec('x', { argv: ['true'], env: {} }, new AbortController().signal), { code: 'TARGET_UNREACHABLE' })
  await assert.rejects(runtime.containers(new AbortController().signal), { code: 'TARGET_UNREACHABLE' })
  await runtime.close()
  assert.throws(() => new DockerRuntime({ docker: 'tcp://127.0.0.1:2375', log: silentLogger }), { code: 'CONFIG_INVALID' })
})

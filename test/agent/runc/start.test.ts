/** What runc is told must be what the daemon would have told it: a program started by us may do no more. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { buffer, text } from 'node:stream/consumers'
import { after, before, suite, test } from 'node:test'
import { exitCodeStatus } from '../../../agent/children.js'
import { DockerRuntime } from '../../../agent/docker.js'
import { silentLogger } from '../../../src/core/log.js'
import type { ExecRequest } from '../../../src/core/types.js'
import { dockerSocketOf, needs } from '../../support/need.js'
import { docker, type Throwaway, throwaway } from '../../support/throwaway-container.js'
import { pty, untilShown } from '../support/lanes.js'

const never = new AbortController().signal
const LIMITED = ['--user', '1234:5678', '--group-add', '77', '--cap-drop', 'ALL', '--cap-add', 'NET_BIND_SERVICE', '--security-opt', 'no-new-privileges']
const FACTS = `grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)" /proc/self/status; cat /proc/self/limits; cut -d: -f3 /proc/self/cgroup
readlink /proc/self/ns/mnt /proc/self/ns/pid /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/uts; pwd; umask; env | sort`

suite('a program started by runc itself', { skip: needs.docker('a'), timeout: 120_000 }, () => {
  const socket = `unix://${dockerSocketOf('a')}`
  let direct: DockerRuntime
  let daemon: DockerRuntime
  let plain: Throwaway
  let limited: Throwaway
  before(() => {
    direct = new DockerRuntime({ docker: socket, log: silentLogger })
    daemon = new DockerRuntime({ docker: socket, starts: 'docker', log: silentLogger })
    plain = throwaway('debian:local')
    limited = throwaway('debian:local', ...LIMITED, '--ulimit', 'nofile=123:456', '--workdir', '/var', '--env', 'COLOR=blue')
  })
  after(async () => {
    await direct.close()
    await daemon.close()
    plain?.remove()
    limited?.remove()
  })
  async function said(runtime: DockerRuntime, container: Throwaway, argv: string[], more: Partial<ExecRequest> = {}): Promise<string> {
    const process = await runtime.exec(container.id, { argv, env: {}, ...more }, never)
    process.stdin.end()
    const out = await text(process.stdout)
    await process.exit
    await process.close()
    return out
  }

  test('has the user, groups, capabilities, limits, namespaces, directory and environment that docker exec gives', async () => {
    for (const container of [plain, limited]) {
      for (const more of [{}, { env: { COLOR: 'red', GREETING: 'a=b c' }, cwd: '/tmp' }]) {
        const [ours, theirs] = [await said(direct, container, ['sh', '-c', FACTS], more), await said(daemon, container, ['sh', '-c', FACTS], more)]
        assert.match(ours, /CapEff/)
        assert.equal(ours, theirs)
      }
    }
    assert.match(await said(direct, limited, ['cat', '/proc/self/status']), /^NoNewPrivs:\t1$/m)
  })
  test('has no descriptors but its three', async () => {
    assert.equal(await said(direct, plain, ['sh', '-c', 'ls /proc/$$/fd | tr "\\n" " "']), '0 1 2 ')
  })
  test('is not known to the daemon, which carries none of its bytes', async () => {
    const process = await direct.exec(plain.id, { argv: ['cat'], env: {} }, never)
    process.stdin.write('here\n')
    await untilShown(process.stdout, 'here')
    assert.equal(docker('inspect', '--format', '{{len .ExecIDs}}', plain.id).trim(), '0')
    await process.close()
  })
  test('may open its standard streams by name, also as another user than root', async () => {
    for (const container of [plain, limited]) {
      const process = await direct.exec(container.id, { argv: ['sh', '-c', 'cat /dev/stdin > /dev/stdout; echo err > /dev/stderr'], env: {} }, never)
      process.stdin.end('through\n')
      assert.deepEqual(await Promise.all([text(process.stdout), process.stderr && text(process.stderr)]), ['through\n', 'err\n'])
      await process.close()
    }
  })
  test('controls its terminal, which has the size that was asked for from its first moment', async () => {
    const out = await said(direct, plain, ['sh', '-c', 'stty size; tty; ps -o tty= -p $$ 2>/dev/null; echo done > /dev/tty'], { pty })
    assert.match(out, /45 123\r\n\/dev\/pts\/\d+\r\n/)
    assert.match(out, /done/)
  })
  test('leaves no zombie, descriptor or file behind with us', async () => {
    await said(direct, plain, ['true'])
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    const outs = await Promise.all(
      Array.from({ length: 20 }, (_, index) => said(direct, plain, ['sh', '-c', `echo ${index}; kill -9 $$`], index % 2 ? { pty } : {})),
    )
    assert.equal(outs.map((out) => out.trim()).join(), [...outs.keys()].join())
    await direct.exec(plain.id, { argv: ['/no/such'], env: {} }, never).catch(() => {})
    await direct.exec(plain.id, { argv: ['/no/such'], env: {}, pty }, never).catch(() => {})
    assert.ok(open() <= before, `${before} descriptors before, ${open()} after`)
    const children = execFileSync('ps', ['--ppid', String(process.pid), '-o', 'stat=,args='], { encoding: 'utf8' })
    assert.doesNotMatch(children, /^Z/m)
  })
  test('gives 30 MB each way without loss when both sides are slow', async () => {
    const process = await direct.exec(plain.id, { argv: ['cat'], env: {} }, never)
    const bytes = Buffer.alloc(30_000_000, 'abcdefghij')
    process.stdin.end(bytes)
    assert.ok((await buffer(process.stdout)).equals(bytes))
    await process.close()
  })
  test('of a container that has stopped, is paused or gone is refused as such, and of one that was started again runs', async () => {
    const gone = throwaway('debian:local')
    await said(direct, gone, ['true'])
    docker('kill', gone.id)
    const again = () => direct.exec(gone.id, { argv: ['true'], env: {} }, never)
    await assert.rejects(again(), { code: 'TARGET_NOT_RUNNING' })
    docker('start', gone.id)
    await again()
    docker('pause', gone.id)
    await assert.rejects(again(), { code: 'TARGET_NOT_RUNNING' })
    docker('unpause', gone.id)
    gone.remove()
    await assert.rejects(again(), { code: 'TARGET_GONE' })
  })
})

test('a wait status tells the code, and a signal as 128 and its number', () => {
  assert.deepEqual(
    [0, 7 << 8, 255 << 8, 9, 15, 11 | 0x80].map(exitCodeStatus).map((status) => status.kind === 'exited' && status.code),
    [0, 7, 255, 137, 143, 139],
  )
})

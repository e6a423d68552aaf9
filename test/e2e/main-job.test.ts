/** The main job against real pods: each behaviour through the node agent and through the API server. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { needs } from '../support/need.js'
import { run, until, World } from '../support/world.js'

const skip = needs.cluster('a') || needs.cluster('b') || needs.program('ssh')
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

for (const via of ['agent', 'apiserver'] as const) {
  describe(`ssh into pods through the ${via}`, { skip }, () => {
    let world: World
    before(async () => {
      world = await new World().start({ via })
    })
    after(() => world?.stop())

    test('a command runs in the pod, container and cluster that were named', async () => {
      const hostname = await world.ssh('alice+web-0.shop.a', 'hostname')
      assert.deepEqual([hostname.stdout.toString(), hostname.code], ['web-0\n', 0], hostname.stderr)
      const bank = await world.ssh('alice+core-0.bank.b', 'hostname; ls /bin/bash')
      assert.equal(bank.stdout.toString(), 'core-0\n/bin/bash\n')
      const sidecar = await world.ssh('alice+web-0.shop.a+sidecar', 'ls -l /bin/sh; hostname')
      assert.match(sidecar.stdout.toString(), /busybox\nweb-0\n$/)
      const tiny = await world.ssh('alice+tiny-0.default.a', 'busybox | head -1; hostname')
      assert.match(tiny.stdout.toString(), /^BusyBox.*\ntiny-0\n$/)
    })

    test('the exit status is the program’s own', async () => {
      assert.equal((await world.ssh('alice+web-0.shop.a', 'exit 7')).code, 7)
      assert.equal((await world.ssh('alice+web-0.shop.a', 'no-such-program-here')).code, 127)
      assert.equal((await world.ssh('alice+web-0.shop.a', '/etc/passwd')).code, 126)
      assert.equal((await world.ssh('alice+web-0.shop.a', 'kill -9 $$')).code, 137)
    })

    test('stdout and stderr stay apart', async () => {
      const { stdout, stderr } = await world.ssh('alice+web-0.shop.a', 'echo out; echo err >&2')
      assert.deepEqual([stdout.toString(), stderr], ['out\n', 'err\n'])
    })

    test('a line of 100 kB runs whole', async () => {
      const word = 'x'.repeat(100_000)
      const { stdout, code, stderr } = await world.ssh('alice+web-0.shop.a', `printf %s ${word} | wc -c`)
      assert.deepEqual([stdout.toString(), code], ['100000\n', 0], stderr)
    })

    test('300 MB go in whole, and end-of-file reaches the program', async () => {
      const bytes = randomBytes(1_000_000)
      const hash = createHash('sha256')
      for (let i = 0; i < 300; i++) hash.update(bytes)
      const input = Buffer.concat(Array.from({ length: 300 }, () => bytes))
      const { stdout, code, stderr } = await world.ssh('alice+web-0.shop.a', 'sha256sum', input)
      assert.equal(stdout.toString(), `${hash.digest('hex')}  -\n`, stderr)
      assert.equal(code, 0)
    })

    test('300 MB come out whole', async () => {
      const { stdout, code } = await world.ssh('alice+web-0.shop.a', 'head -c 300000000 /dev/zero | tr "\\0" "x"')
      assert.equal(code, 0)
      assert.equal(stdout.length, 300_000_000)
      assert.equal(sha256(stdout), sha256(Buffer.alloc(300_000_000, 'x')))
    })

    test('a pty has the client’s type and size, and its modes', async () => {
      const { stdout } = await run('python3', [
        '-c',
        PTY_RUN,
        'ssh',
        '-tt',
        ...world.options(),
        '-p',
        String(world.sshPort),
        '-l',
        'alice+web-0.shop.a',
        '127.0.0.1',
        'echo $TERM; stty size; stty -a | tr " " "\\n" | grep -x -e "-\\?echoctl;\\?" -e "iutf8"',
      ])
      assert.match(stdout.toString(), /xterm-test\r\n33 111\r\n/)
    })

    test('LANG reaches the program, and LD_PRELOAD does not', async () => {
      const env = { ...process.env, LANG: 'xx_TEST', LD_PRELOAD: '', EVIL: '1' }
      const args = [
        ...world.options(),
        '-o',
        'SendEnv=LANG',
        '-o',
        'SendEnv=EVIL',
        '-p',
        String(world.sshPort),
        '-l',
        'alice+web-0.shop.a',
        '127.0.0.1',
        'echo "[$LANG][$EVIL]"',
      ]
      assert.equal((await run('ssh', args, '', env)).stdout.toString(), '[xx_TEST][]\n')
    })

    test('20 channels share one connection', async () => {
      const control = `${world.dir}/cm-%C`
      const shared = ['-o', `ControlPath=${control}`]
      const master = await world.ssh('alice+web-0.shop.a', undefined, '', '-M', '-N', '-f', ...shared)
      assert.equal(master.code, 0, master.stderr)
      const results = await Promise.all(Array.from({ length: 20 }, (_, i) => world.ssh('alice+web-0.shop.a', `sleep 0.2; echo ${i}; exit ${i}`, '', ...shared)))
      await world.ssh('alice+web-0.shop.a', undefined, '', '-O', 'exit', ...shared)
      for (const [i, result] of results.entries()) assert.deepEqual([result.stdout.toString(), result.code], [`${i}\n`, i], result.stderr)
    })

    test('killing the client leaves no process in the pod', async () => {
      for (const tty of [[], ['-tt']]) {
        const mark = `31${Math.floor(Math.random() * 1e6)}`
        const client = spawn(
          'ssh',
          [...world.options(), ...tty, '-p', String(world.sshPort), '-l', 'alice+web-0.shop.a', '127.0.0.1', `echo started; sleep ${mark} & sleep ${mark}`],
          { stdio: ['pipe', 'pipe', 'ignore'] },
        )
        const [how] = await Promise.race([once(client.stdout, 'data'), once(client, 'close')])
        assert.ok(Buffer.isBuffer(how), `the client ended with ${how}`)
        client.kill('SIGKILL')
        const ps = async (): Promise<boolean> => !(await world.ssh('alice+web-0.shop.a', 'ps -eo args')).stdout.toString().includes(`\nsleep ${mark}`)
        await until(`sleep ${mark} to be gone (${tty.join('') || 'no tty'})`, ps, 20_000)
      }
    })

    test('every run is in the audit, with the way it took', async () => {
      await world.ssh('alice+web-0.shop.a', 'echo for-the-audit; exit 3')
      const command = world.events().find((event) => event.type === 'command' && event.line === 'echo for-the-audit; exit 3')
      assert.ok(command)
      // the client has its answer before the last events rest
      const session = await until('the session to be closed', () => {
        const events = world.events().filter((event) => event.session === command.session)
        return events.at(-1)?.type === 'session.close' && events
      })
      assert.deepEqual(
        session.map((event) => event.type),
        ['session.open', 'command', 'session.start', 'command.exit', 'session.close'],
      )
      const close = session.at(-1)
      assert.ok(close?.type === 'session.close' && close.exit === 3 && close.bytesOut === 14)
      const start = session[2]
      assert.ok(start?.type === 'session.start' && start.via.startsWith(via), JSON.stringify(start))
      assert.deepEqual([close.user, close.target?.cluster, close.target?.container, close.target?.node], ['alice', 'a', 'web', 'node-a'])
    })
  })
}

/** Runs argv under a pty of 111x33 with TERM=xterm-test, prints what it shows. */
const PTY_RUN = `
import os, pty, sys, fcntl, termios, struct
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-test"
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try: data = os.read(fd, 65536)
    except OSError: break
    if not data: break
    os.write(1, data)
`

/** opsctl logs against a real cluster, through the agent and through the API server, as a process. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hashPassword } from '../../src/identity/password.js'
import { ClusterPods } from '../support/cluster-pods.js'
import { needs } from '../support/need.js'
import { type Ran, repository, run, until, World } from '../support/world.js'

const skip = needs.cluster('a') || needs.program('kubectl')
const PASSWORD = 'a long enough password'
const where = [{ cluster: '*', namespace: '*' }]
const OPSCTL = join(repository, 'dist/src/cli/opsctl.js')

for (const via of ['agent', 'apiserver'] as const) {
  describe(`logs through the ${via}`, { skip, concurrency: false, timeout: 300_000 }, () => {
    const world = new World()
    const pods = new ClusterPods('a')
    const tokens = new Map<string, string>()
    const running = new Set<ChildProcess>()
    let [talker, crasher] = ['', '']

    before(async () => {
      talker = pods.create('talker', {
        line: 'i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo "line $i"; echo "err $i" >&2; done; while [ ! -e /tmp/stop ]; do sleep 0.2; done; echo bye',
        restart: 'Never',
      })
      crasher = pods.create('crasher', { line: 'echo "run on $(date +%s)"; echo "no config" >&2; exit 3' })
      const password = await hashPassword(PASSWORD, { memoryKib: 1024, passes: 1 })
      const users = ['alice', 'carol', 'dave'].map((name) => ({ name, password, roles: name === 'alice' ? ['admin'] : [] }))
      const rules = [
        { name: 'all', who: { users: ['alice'] }, where },
        { name: 'look', who: { users: ['carol'] }, where, commands: { allow: ['ls'] }, message: 'ask alice' },
        { name: 'reader', who: { users: ['dave'] }, where, doors: ['logs'] },
      ]
      await world.start({ clusters: ['a'], via, users, rules })
      for (const { name } of users) tokens.set(name, await login(name))
      await pods.until(talker, 'running', ({ state }) => state.running !== undefined)
      await until('the gateway to know the pod', async () => (await opsctl('alice', 'get', 'pods', talker)).stdout.toString().includes('Running'))
    })
    after(async () => {
      for (const child of running) child.kill('SIGKILL')
      await world.stop()
      pods.remove()
    })

    async function login(user: string): Promise<string> {
      const body = JSON.stringify({ user, password: PASSWORD })
      const answer = await fetch(`http://127.0.0.1:${world.httpPort}/api/v1/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      return ((await answer.json()) as { token: string }).token
    }
    const envOf = (user: string) => ({
      PATH: process.env.PATH,
      HOME: world.dir,
      DOCKIN_SERVER: `http://127.0.0.1:${world.httpPort}`,
      DOCKIN_TOKEN: tokens.get(user),
    })
    const opsctl = (user: string, ...args: string[]): Promise<Ran> => run(process.execPath, [OPSCTL, ...args], undefined, envOf(user))

    /** A client that goes on, with what it has printed so far. */
    function follow(...args: string[]) {
      const child = spawn(process.execPath, [OPSCTL, 'logs', '-f', ...args], { env: envOf('alice'), stdio: ['ignore', 'pipe', 'pipe'] })
      running.add(child)
      const said = { out: '', err: '' }
      child.stdout.on('data', (chunk: Buffer) => {
        said.out += chunk.toString()
      })
      child.stderr.on('data', (chunk: Buffer) => {
        said.err += chunk.toString()
      })
      const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
      return { child, said, exit }
    }

    test('all of a log comes, its two streams apart where they are kept apart', async () => {
      const ran = await opsctl('alice', 'logs', talker)
      assert.equal(ran.code, 0, ran.stderr)
      const out = ran.stdout.toString()
      assert.ok(out.includes('line 1\n') && out.includes('line 200\n'))
      if (via === 'agent') {
        assert.equal(out.split('\n').length, 201)
        assert.ok(ran.stderr.startsWith('err 1\n') && ran.stderr.endsWith('err 200\n'))
      } else assert.equal(out.split('\n').length, 401)
    })

    test('tail, times, texts and streams narrow it', async () => {
      const tail = await opsctl('alice', 'logs', talker, '--tail', '2')
      assert.equal(tail.stdout.toString().split('\n').length + tail.stderr.split('\n').length - 2, 2)
      const grep = await opsctl('alice', 'logs', talker, '--grep', 'LINE 1', '--exclude', '7', '-i')
      const wanted = Array.from({ length: 200 }, (_, i) => `line ${i + 1}`).filter((line) => line.includes('line 1') && !line.includes('7'))
      assert.deepEqual(grep.stdout.toString().trim().split('\n'), wanted)
      assert.equal(grep.stderr, '')
      const times = await opsctl('alice', 'logs', talker, '--timestamps', '--tail', '1')
      assert.match(times.stdout.toString() + times.stderr, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (line|err) \d+\n$/)
      assert.equal((await opsctl('alice', 'logs', talker, '--since', '1ms')).stdout.length, 0)
      const one = await opsctl('alice', 'logs', talker, '--stream', 'stderr')
      if (via === 'agent') assert.deepEqual([one.stdout.toString(), one.stderr.split('\n').length], ['', 201])
      else assert.deepEqual([one.code, one.stderr], [255, 'dockin: the request is not valid: through the API server stdout and stderr are one\n'])
    })

    test('a log that is longer than its limit ends there and says so; a limit that was asked for is no failure', async () => {
      const ran = await opsctl('alice', 'logs', talker, '--limit-bytes', '100')
      assert.equal(ran.code, 0)
      assert.ok(ran.stdout.length <= 100)
      assert.match(ran.stderr, /dockin: the output ends here: its limit of 100 B was reached\n$/)
    })

    test('following ends with Ctrl-C as a good end, and the session with it', async () => {
      const { child, said, exit } = follow(talker, '--tail', '1')
      await until('a line', () => said.out + said.err !== '')
      child.kill('SIGINT')
      assert.equal(await exit, 0)
      await until('the session to be closed', () =>
        world.events().some((event) => event.type === 'session.close' && event.door === 'logs' && event.reason === 'the client left'),
      )
    })

    test('a client that is killed ends its session too', async () => {
      const before = world.events().filter((event) => event.type === 'session.close').length
      const { child, said } = follow(talker, '--tail', '1')
      await until('a line', () => said.out + said.err !== '')
      child.kill('SIGKILL')
      await until('the session to be closed', () => world.events().filter((event) => event.type === 'session.close').length > before)
    })

    test('a container that crashes has logs: of its last run, and of the one before', async () => {
      await pods.until(crasher, 'started again', ({ restartCount, state }) => restartCount > 0 && state.running === undefined)
      const now = await until('the gateway to know', async () => {
        const ran = await opsctl('alice', 'logs', crasher)
        return ran.code === 0 && ran
      })
      assert.match(now.stdout.toString(), /^run on \d+$/m)
      const before = await until('the gateway to know the second run', async () => {
        const ran = await opsctl('alice', 'logs', '-p', crasher)
        return ran.code === 0 && ran
      })
      assert.match(before.stdout.toString(), /^run on \d+$/m)
      const first = await opsctl('alice', 'logs', '-p', talker)
      assert.deepEqual([first.code, first.stderr], [255, 'dockin: not found: there is no container before this one whose log is kept\n'])
    })

    test('who reads needs the door: a white list does not open it unless it names it, and each look is an event', async () => {
      const refused = await opsctl('carol', 'logs', talker)
      assert.equal(refused.code, 254)
      assert.match(refused.stderr, /^dockin: refused: .*\n$/)
      const reader = await opsctl('dave', 'logs', talker, '--tail', '1', '--grep', 'x')
      assert.equal(reader.code, 0, reader.stderr)
      assert.equal((await opsctl('dave', 'exec', talker, '--', 'true')).code, 254)
      const opened = world.events().filter((event) => event.type === 'session.open' && event.user === 'dave')
      assert.equal(opened.length, 1)
      const [look] = opened
      assert.ok(look?.type === 'session.open' && look.door === 'logs' && look.rule === 'reader')
      assert.deepEqual([look.logs?.tail, look.logs?.filter?.grep], [1, ['x']])
      assert.ok(world.events().some((event) => event.type === 'session.refused' && event.user === 'carol' && event.door === 'logs'))
    })

    test('following ends well when the container does', async () => {
      const { said, exit } = follow(talker, '--tail', '1')
      await until('a line', () => said.out + said.err !== '')
      assert.equal((await opsctl('alice', 'exec', talker, '--', 'touch', '/tmp/stop')).code, 0)
      assert.equal(await exit, 0, said.err)
      assert.match(said.out, /bye\n$/)
    })
  })
}

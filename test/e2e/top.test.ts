/** dockctl top against a real cluster: what its pods use, and one that the kernel has killed for want of memory. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hashPassword } from '../../src/identity/password.js'
import type { TopItem } from '../../src/wire/api/top.js'
import { ClusterPods } from '../support/cluster-pods.js'
import { needs } from '../support/need.js'
import { type Ran, repository, run, until, World } from '../support/world.js'

const skip = needs.cluster('a') || needs.program('kubectl')
const PASSWORD = 'a long enough password'
const DOCKCTL = join(repository, 'dist/src/cli/dockctl.js')

for (const via of ['agent', 'apiserver'] as const) {
  describe(`top through the ${via}`, { skip, concurrency: false, timeout: 300_000 }, () => {
    const world = new World()
    const pods = new ClusterPods('a')
    const subsystem = `top-${via}-${process.pid}`
    const labels = { subsystem }
    const tokens = new Map<string, string>()
    let [eater, worker, hidden] = ['', '', '']

    before(async () => {
      // from a child, so that it is the container's limit and not the shell's own end that is met
      eater = pods.create('eater', { line: 'echo eating; sleep 1; exec tail /dev/zero', memory: '16Mi', labels })
      worker = pods.create('worker', { line: 'while :; do :; done', memory: '32Mi', labels })
      hidden = pods.create('hidden', { line: 'sleep 100000', labels: { ...labels, secret: 'yes' } })
      const password = await hashPassword(PASSWORD, { memoryKib: 1024, passes: 1 })
      const users = ['alice', 'bob'].map((name) => ({ name, password, roles: name === 'alice' ? ['admin'] : [] }))
      const rules = [
        { name: 'all', who: { users: ['alice'] }, where: [{ cluster: '*' }] },
        { name: 'some', who: { users: ['bob'] }, where: [{ cluster: '*', pod: 'worker-*' }] },
      ]
      await world.start({ clusters: ['a'], via, users, rules })
      for (const { name } of users) tokens.set(name, await login(name))
      await pods.until(
        eater,
        'killed',
        ({ restartCount, state, lastState }) => restartCount > 0 && (state.terminated ?? lastState.terminated)?.reason === 'OOMKilled',
      )
    })
    after(async () => {
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
    const dockctl = (user: string, ...args: string[]): Promise<Ran> => run(process.execPath, [DOCKCTL, ...args], undefined, envOf(user))
    const items = async (user: string): Promise<TopItem[]> => {
      const ran = await dockctl(user, 'top', `subsystem=${subsystem}`, '-o', 'json')
      return ran.code === 0 ? (JSON.parse(ran.stdout.toString()) as TopItem[]) : []
    }
    const named = (all: readonly TopItem[], name: string) => all.find(({ pod }) => pod === name)?.containers[0]

    test('a pod that was killed for want of memory says so, with its limit and restarts', async () => {
      const all = await until('the gateway to know the end', async () => {
        const found = await items('alice')
        return named(found, eater)?.lastEnd?.reason === 'OOMKilled' && found
      })
      const one = named(all, eater)
      assert.equal(one?.memoryLimitBytes, 16 * 1024 * 1024)
      assert.equal(one?.lastEnd?.exitCode, 137)
      assert.ok((one?.restarts ?? 0) >= 1)
      const ran = await dockctl('alice', 'top', `subsystem=${subsystem}`, '--sort', 'restarts')
      const [, first] = ran.stdout.toString().split('\n')
      assert.match(first ?? '', new RegExp(`^${eater}\\.default\\.a .*OOMKilled \\d+[sm] ago \\(exit 137\\)`))
    })

    test('CPU and memory are those of now, or a dash with the reason where the cluster does not say', async () => {
      const ran = await dockctl('alice', 'top', `subsystem=${subsystem}`)
      assert.equal(ran.code, 0, ran.stderr)
      const row = ran.stdout
        .toString()
        .split('\n')
        .find((line) => line.startsWith(worker))
      if (via === 'apiserver') {
        assert.match(row ?? '', new RegExp(`^${worker}\\.default\\.a +- +- +- +32 MiB +- +0 +Running`))
        assert.match(ran.stderr, /^warning: cluster a: it has no metrics.k8s.io, so what is used is not known\n$/)
        return
      }
      assert.equal(ran.stderr, '')
      const one = named(await items('alice'), worker)
      // how much of two shared cores it gets is not ours to say
      assert.ok((one?.cpuMillis ?? 0) > 20, `${one?.cpuMillis} m`)
      assert.ok((one?.memoryBytes ?? 0) > 0 && (one?.memoryBytes ?? 0) < 32 * 1024 * 1024)
      assert.equal(one?.oomKills, 0)
      const sorted = (await items('alice')).map(({ pod }) => pod)
      assert.equal(sorted[0], worker)
    })

    test('only pods that one may see are told of', async () => {
      assert.deepEqual(
        (await items('bob')).map(({ pod }) => pod),
        [worker],
      )
      const direct = await fetch(`http://127.0.0.1:${world.httpPort}/api/v1/top`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.get('bob')}` },
        body: JSON.stringify({ pods: [{ cluster: 'a', namespace: 'default', pod: hidden }] }),
      })
      assert.deepEqual(await direct.json(), { items: [], problems: [] })
    })

    test('watching goes on until Ctrl-C, which is a good end', async () => {
      const child = spawn(process.execPath, [DOCKCTL, 'top', `subsystem=${subsystem}`, '-w', '--interval', '1', '-o', 'json'], { env: envOf('alice') })
      let said = ''
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
      const exit = new Promise((resolve) => child.once('close', resolve))
      await until('two answers', () => said.split('\n').length > 2)
      child.kill('SIGINT')
      assert.equal(await exit, 0)
      for (const line of said.trim().split('\n')) assert.equal((JSON.parse(line) as { items: unknown[] }).items.length, 3)
    })
  })
}

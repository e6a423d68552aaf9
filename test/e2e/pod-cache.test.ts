/** The pod cache whole: two gateways, a real Redis, both real clusters with their agents, and API servers that can be cut off. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { kubeconfigOf, needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { SharedGateway } from '../support/shared-gateways.js'
import { type TcpProxy, tcpProxy } from '../support/tcp-proxy.js'
import { type Ran, run, stopProgram, until, World } from '../support/world.js'

const skip = needs.program('redis-server') || needs.program('ssh') || needs.cluster('a') || needs.cluster('b')
const LEASE_MS = 2000

/** The same cluster behind a proxy of ours. */
async function behindProxy(t: TestContext, name: 'a' | 'b', folder: string): Promise<{ proxy: TcpProxy; kubeconfig: string }> {
  const text = readFileSync(kubeconfigOf(name), 'utf8')
  const server = new URL(/server: "?(https:[^"\s,}]+)/.exec(text)?.[1] ?? '')
  const proxy = await tcpProxy(t, { host: server.hostname, port: Number(server.port) })
  const kubeconfig = join(folder, `${name}.kubeconfig`)
  writeFileSync(kubeconfig, text.replace(server.origin, `https://${server.hostname}:${proxy.port}`), { mode: 0o600 })
  return { proxy, kubeconfig }
}

test('pods in Redis, for two gateways in front of two clusters', { skip, timeout: 400_000 }, async (t) => {
  const redis = await redisServer(t)
  const world = new World()
  t.after(() => world.stop())
  await world.start()
  await stopProgram(world.gateway) // its agents and certificates are what is needed here
  const config = JSON.parse(readFileSync(world.configFile, 'utf8')) as { clusters: { name: 'a' | 'b'; kubeconfig: string }[] }
  const proxies: TcpProxy[] = []
  for (const cluster of config.clusters) {
    const { proxy, kubeconfig } = await behindProxy(t, cluster.name, world.dir)
    cluster.kubeconfig = kubeconfig
    proxies.push(proxy)
  }
  const { dataDir: _dataDir, ssh: _ssh, http: _http, ...shared } = config as unknown as Record<string, unknown>
  const podCache = { url: redis.url, lease: `${LEASE_MS}ms`, expire: '1h' }
  const one = await (await SharedGateway.prepare(t, { ...shared, podCache })).start()
  const other = await (await SharedGateway.prepare(t, { ...shared, podCache })).start()

  const ssh = (gateway: SharedGateway, target: string, command: string): Promise<Ran> =>
    run('ssh', [...world.options(), '-p', String(gateway.sshPort), '-l', `alice+${target}`, '127.0.0.1', command])
  const hosts = async (gateway: SharedGateway): Promise<void> => {
    for (const target of ['web-0.shop.a+web', 'core-0.bank.b']) {
      const { code, stdout, stderr } = await ssh(gateway, target, 'echo "in $0"')
      assert.deepEqual([code, stdout.toString().startsWith('in ')], [0, true], `${target}: ${stderr}`)
    }
  }
  const writerOf = async (cluster: string): Promise<number> =>
    Number(/-(\d+)-[0-9a-f]+$/.exec(String(await redis.command('GET', `dockin:pods:{${cluster}}:writer`)))?.[1])
  const live = async (cluster: string): Promise<string[]> => (await redis.command('HVALS', `dockin:pods:{${cluster}}:live`)) as string[]
  /** Events of a pod, as anybody who follows the stream reads them. */
  const told = async (cluster: string, pod: string): Promise<Record<string, string>[]> => {
    const entries = (await redis.command('XRANGE', `dockin:pods:{${cluster}}:events`, '-', '+')) as [string, string[]][]
    const events = entries.map(
      ([, words]) => Object.fromEntries(words.flatMap((word, i) => (i % 2 === 0 ? [[word, words[i + 1] ?? '']] : []))) as Record<string, string>,
    )
    return events.filter(({ name }) => name === pod)
  }
  const kubectl = (...args: string[]): Promise<Ran> => run('kubectl', ['--kubeconfig', kubeconfigOf('a'), '-n', 'default', ...args])
  const spec = { spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, nodeName: 'node-a' } }
  const runPod = async (name: string): Promise<void> => {
    t.after(() => kubectl('delete', 'pod', name, '--ignore-not-found', '--now', '--wait=false'))
    const made = await kubectl(
      'run',
      name,
      '--image=busybox:local',
      '--image-pull-policy=Never',
      '--restart=Never',
      `--overrides=${JSON.stringify(spec)}`,
      '--',
      'sleep',
      '600',
    )
    assert.equal(made.code, 0, made.stderr)
  }

  await t.test('one gateway writes for each cluster; what it writes has times and an end', async () => {
    for (const cluster of ['a', 'b']) {
      await until(`the pods of ${cluster}`, async () => (await live(cluster)).length >= 2)
      assert.ok([one.pid, other.pid].includes(await writerOf(cluster)))
      for (const key of await live(cluster)) {
        const [added, updated, pod] = (await redis.command('HMGET', key, 'added', 'updated', 'pod')) as string[]
        const [namespace, name, uid] = key.slice(`dockin:pods:{${cluster}}:pod:`.length).split(':')
        const facts = JSON.parse(pod ?? '{}') as Record<string, unknown>
        assert.deepEqual([facts.cluster ?? cluster, facts.namespace, facts.name, facts.uid], [cluster, namespace, name, uid])
        for (const time of [added, updated]) assert.match(time ?? '', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
        const left = Number(await redis.command('PTTL', key))
        assert.ok(left > 0 && left <= 3_600_000, `${key} stays ${left} ms`)
      }
    }
    await hosts(one)
    await hosts(other)
  })

  await t.test('a pod that comes and goes is told: added, changed, gone, each with its time', { timeout: 120_000 }, async () => {
    const name = `cache-${process.pid}-x`
    await runPod(name)
    await until('it to run', async () => (await told('a', name)).some(({ pod }) => /"ready":true|"phase":"Running"/.test(pod ?? '')), 60_000)
    await kubectl('delete', 'pod', name, '--now')
    await until('it to be gone', async () => (await told('a', name)).at(-1)?.kind === 'gone', 60_000)
    const events = await told('a', name)
    assert.equal(events[0]?.kind, 'added')
    assert.ok(events.some(({ kind }) => kind === 'changed'))
    const times = events.map(({ at }) => Date.parse(at ?? ''))
    assert.deepEqual(
      times,
      times.toSorted((x, y) => x - y),
    )
    const key = `dockin:pods:{a}:pod:default:${name}:${events[0]?.uid}`
    const [added, updated, deleted] = (await redis.command('HMGET', key, 'added', 'updated', 'deleted')) as string[]
    assert.deepEqual([added, deleted], [events[0]?.at, events.at(-1)?.at])
    assert.ok((updated ?? '') >= (added ?? '') && (updated ?? '') <= (deleted ?? ''))
    assert.ok(!(await live('a')).includes(key))
  })

  await t.test('an exec does not wait for an API server that is away', async () => {
    for (const proxy of proxies) proxy.block()
    await until('the gateways to try in vain', () => proxies.every(({ refused }) => refused > 0), 30_000)
    const begin = performance.now()
    await hosts(one)
    t.diagnostic(`two execs through ssh and agents while no API server answered: ${(performance.now() - begin).toFixed(0)} ms`)
    await hosts(other)
    for (const proxy of proxies) proxy.unblock()
  })

  await t.test('a writer that is killed is followed by the other gateway within its lease', async () => {
    const [writer, heir] = (await writerOf('a')) === one.pid ? [one, other] : [other, one]
    const died = performance.now()
    await writer.stop('SIGKILL')
    for (const cluster of ['a', 'b']) await until(`the heir to write for ${cluster}`, async () => (await writerOf(cluster)) === heir.pid, 4 * LEASE_MS)
    t.diagnostic(`the other gateway wrote for both clusters ${(performance.now() - died).toFixed(0)} ms after the kill, with a lease of ${LEASE_MS} ms`)
    const name = `cache-${process.pid}-y`
    await runPod(name)
    await until('its event, by the heir', async () => (await told('a', name))[0]?.kind === 'added', 30_000)
    // and the one that was killed comes back with no API server to ask: what is in Redis is enough for an exec
    for (const proxy of proxies) proxy.block()
    const started = performance.now()
    await writer.start()
    await hosts(writer)
    t.diagnostic(`start to second exec with a warm cache and no API server: ${(performance.now() - started).toFixed(0)} ms`)
    assert.equal(await writerOf('a'), heir.pid)
    const closes = writer.events().filter((event) => event.type === 'session.start')
    assert.ok(closes.length >= 2 && closes.every((event) => event.type === 'session.start' && event.via.startsWith('agent ')))
    for (const proxy of proxies) proxy.unblock()
    await kubectl('delete', 'pod', name, '--now', '--wait=false')
  })

  await t.test('a start with an empty cache reads the clusters, and fills it', async () => {
    await one.stop()
    await other.stop()
    await redis.command('FLUSHALL')
    await one.start()
    await hosts(one)
    for (const cluster of ['a', 'b']) {
      await until(`the pods of ${cluster}`, async () => (await live(cluster)).length >= 2)
      assert.equal(await writerOf(cluster), one.pid)
    }
  })

  await t.test('Redis away takes nothing from a gateway that runs, nor from one that starts', async () => {
    await redis.stop()
    await hosts(one)
    await other.start()
    await hosts(other)
    await redis.start()
    await until('the cache to be filled again', async () => (await live('a').catch(() => [])).length >= 2, 30_000)
  })
})

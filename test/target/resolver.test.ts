import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { Target } from '../../src/core/types.js'
import type { Inventory, PodFacts } from '../../src/target/inventory.js'
import { PodResolver } from '../../src/target/resolver.js'
import { alice, container, inventoryOf, pod } from './pods.js'

const signal = new AbortController().signal
const everything = () => true
function resolverOf(pods: readonly PodFacts[], maySee: (target: Target) => boolean = everything, more: readonly Inventory[] = []): PodResolver {
  const clusters = [...new Set(pods.map((one) => one.cluster))]
  const inventories = clusters.map(
    (cluster) =>
      inventoryOf(
        cluster,
        pods.filter((one) => one.cluster === cluster),
      ).inventory,
  )
  return new PodResolver({ inventories: [...inventories, ...more], maySee: (_, target) => maySee(target), now: () => 100_000 })
}
async function refusal(resolver: PodResolver, address: string): Promise<OpsError> {
  const error: unknown = await resolver.resolve(address, alice, signal).then(
    (found) => assert.fail(`"${address}" was found: ${found.target.pod}`),
    (thrown) => thrown,
  )
  assert.ok(error instanceof OpsError, String(error))
  return error
}
const deployment = (name: string) => [
  { kind: 'Deployment', name },
  { kind: 'ReplicaSet', name: `${name}-5f7` },
]

const TWO_CLUSTERS = [
  pod('a', 'default/tiny-0'),
  pod('b', 'default/tiny-0'),
  pod('a', 'shop/web-0', { containers: [container('web'), container('sidecar')], ip: '172.17.0.4', labels: { app: 'web' }, setId: 'set-9' }),
  pod('a', 'shop/web-1', { ip: '172.17.0.5', setId: 'set-9', createdMs: 5 }),
  pod('b', 'bank/core-0', { ip: '172.29.0.4' }),
]

test('resolver finds a pod by its name alone when only one has it', async () => {
  const { target, note } = await resolverOf(TWO_CLUSTERS).resolve('core-0', alice, signal)
  assert.deepEqual(target, {
    cluster: 'b',
    namespace: 'bank',
    pod: 'core-0',
    container: 'main',
    uid: 'uid-b-bank/core-0',
    node: 'node-b',
    containerId: 'docker://main',
    labels: {},
  })
  assert.equal(note, undefined)
})

test('resolver refuses a name of two clusters and lists what to type instead', async () => {
  const resolver = resolverOf(TWO_CLUSTERS)
  const error = await refusal(resolver, 'tiny-0+main')
  assert.equal(error.code, 'TARGET_AMBIGUOUS')
  assert.equal(error.detail, 'tiny-0.default.a+main, tiny-0.default.b+main')
  for (const address of error.detail.split(', ')) assert.equal((await resolver.resolve(address, alice, signal)).target.pod, 'tiny-0')
  assert.equal((await resolver.resolve('tiny-0.default.b', alice, signal)).target.cluster, 'b')
  assert.equal((await refusal(resolver, 'tiny-0.default')).code, 'TARGET_AMBIGUOUS')
})

test('resolver lists ten candidates and counts the rest', async () => {
  const error = await refusal(resolverOf(Array.from({ length: 13 }, (_, i) => pod('a', `ns-${String(i).padStart(2, '0')}/same`))), 'same')
  assert.match(error.userText, /^several targets match: same\.ns-00\.a, .*same\.ns-09\.a, and 3 more$/)
})

test('resolver looks up every reading of a dotted address', async () => {
  const resolver = resolverOf([pod('a', 'default/web.shop'), pod('a', 'shop/web'), pod('a', 'x/only.dotted')])
  assert.equal((await refusal(resolver, 'web.shop')).detail, 'web.shop.default.a, web.shop.a')
  assert.equal((await resolver.resolve('web.shop.a', alice, signal)).target.namespace, 'shop')
  assert.equal((await resolver.resolve('web.shop.default.a', alice, signal)).target.pod, 'web.shop')
  assert.equal((await resolver.resolve('only.dotted', alice, signal)).target.namespace, 'x')
  assert.equal((await resolver.resolve('only.dotted.x', alice, signal)).target.namespace, 'x')
})

test('resolver takes a complete address for what it says although a dotted pod has that name', async () => {
  const resolver = resolverOf([pod('a', 'evil/web.shop.a'), pod('a', 'shop/web')])
  assert.equal((await resolver.resolve('web.shop.a', alice, signal)).target.namespace, 'shop')
  assert.equal((await resolver.resolve('web.shop.a.evil.a', alice, signal)).target.namespace, 'evil')
})

test('resolver gives a hidden pod the answer of one that does not exist', async () => {
  const hidden = resolverOf(TWO_CLUSTERS, (target) => target.cluster !== 'b')
  const absent = resolverOf(TWO_CLUSTERS.filter((one) => one.cluster !== 'b'))
  for (const address of ['core-0', 'core-0.bank.b', 'core-0+main', 'core-0+none', '172.29.0.4', 'core-1', 'cor-0', 'c.bank.b']) {
    const [one, other] = [await refusal(hidden, address), await refusal(absent, address)]
    assert.deepEqual([one.code, one.userText, one.message], [other.code, other.userText, other.message], address)
    assert.equal(one.code, 'TARGET_UNKNOWN')
  }
  assert.equal((await hidden.resolve('tiny-0', alice, signal)).target.cluster, 'a')
})

test('resolver proposes up to three near names of visible pods', async () => {
  const resolver = resolverOf(TWO_CLUSTERS, (target) => target.cluster === 'a')
  assert.match((await refusal(resolver, 'wbe-0')).userText, /: "wbe-0"; did you mean web-0\.shop\.a, web-1\.shop\.a\?$/)
  assert.match((await refusal(resolver, 'web')).userText, /did you mean web-0\.shop\.a, web-1\.shop\.a\?/)
  assert.match((await refusal(resolver, 'web-0.shpo')).userText, /did you mean web-0\.shop\.a/)
  assert.doesNotMatch((await refusal(resolver, 'core-9')).userText, /did you mean/)
})

test('resolver finds by pod IP and says which pod that is', async () => {
  const { target, note } = await resolverOf(TWO_CLUSTERS).resolve('172.17.0.5', alice, signal)
  assert.equal(target.pod, 'web-1')
  assert.equal(note, 'pod IP 172.17.0.5 is web-1.shop.a')
  assert.equal((await resolverOf(TWO_CLUSTERS).resolve('172.17.0.5.shop.a', alice, signal)).target.pod, 'web-1')
})

test('resolver lists the pods that share an IP, and forgets the IP of a finished pod', async () => {
  const shared = [pod('a', 'x/one', { ip: '10.0.0.1' }), pod('a', 'x/two', { ip: '10.0.0.1' })]
  assert.equal((await refusal(resolverOf(shared), '10.0.0.1')).detail, 'one.x.a, two.x.a')
  const reused = [pod('a', 'x/job', { ip: '10.0.0.1', phase: 'Succeeded' }), pod('a', 'x/two', { ip: '10.0.0.1' })]
  assert.equal((await resolverOf(reused).resolve('10.0.0.1', alice, signal)).target.pod, 'two')
})

test('resolver takes the oldest ready pod of a workload, always the same, and says so', async () => {
  const workloads = deployment('web')
  const pods = [
    pod('a', 'shop/web-5f7-new', { workloads, createdMs: 30 }),
    pod('a', 'shop/web-5f7-old', { workloads, createdMs: 10 }),
    pod('a', 'shop/web-5f7-sick', { workloads, createdMs: 1, ready: false }),
    pod('a', 'shop/web-5f7-going', { workloads, createdMs: 2, deletedMs: 3 }),
  ]
  const { target, note } = await resolverOf(pods).resolve('web', alice, signal)
  assert.equal(target.pod, 'web-5f7-old')
  assert.equal(note, 'deployment web: took web-5f7-old of 2 ready pods')
  assert.equal((await resolverOf(pods).resolve('web-5f7.shop', alice, signal)).target.pod, 'web-5f7-old')
  assert.equal((await resolverOf(pods, (seen) => seen.pod !== 'web-5f7-old').resolve('web', alice, signal)).target.pod, 'web-5f7-new')
})

test('resolver refuses a workload of which no pod is ready', async () => {
  const error = await refusal(resolverOf([pod('a', 'x/web-1', { workloads: deployment('web'), ready: false })]), 'web')
  assert.equal(error.userText, 'the container is not running: deployment web: none of 1 pod is ready')
})

test('resolver lists a workload name of two namespaces so that it can be typed', async () => {
  const resolver = resolverOf([pod('a', 'x/web-1', { workloads: deployment('web') }), pod('a', 'y/web-2', { workloads: deployment('web') }), pod('b', 'z/web')])
  const error = await refusal(resolver, 'web')
  assert.equal(error.detail, 'web.x.a, web.y.a, web.z.b')
  assert.equal((await resolver.resolve('web.y.a', alice, signal)).target.pod, 'web-2')
})

test('resolver tells two kinds of workload with one name apart by their pods', async () => {
  const resolver = resolverOf([
    pod('a', 'x/web-1', { workloads: deployment('web') }),
    pod('a', 'x/web-0', { workloads: [{ kind: 'StatefulSet', name: 'web' }] }),
  ])
  const error = await refusal(resolver, 'web')
  assert.deepEqual(error.detail?.split(', ').sort(), ['web-0.x.a', 'web-1.x.a'])
})

test('resolver takes the pod and not the workload when both have the name in one namespace', async () => {
  const resolver = resolverOf([pod('a', 'x/web'), pod('a', 'x/web-1', { workloads: deployment('web') })])
  assert.equal((await resolver.resolve('web', alice, signal)).target.pod, 'web')
})

test('resolver finds by pod-set id', async () => {
  const { target, note } = await resolverOf(TWO_CLUSTERS).resolve('set-9', alice, signal)
  assert.equal(target.pod, 'web-0')
  assert.equal(note, 'pod set set-9: took web-0 of 2 ready pods; container web; also here: +sidecar')
})

test('resolver takes the first container as kubectl does, the default of the annotation, or the named one', async () => {
  const containers = [
    container('web'),
    container('sidecar'),
    container('debugger', { kind: 'ephemeral' }),
    container('setup', { kind: 'init', running: false }),
  ]
  const first = await resolverOf([pod('a', 'x/p', { containers })]).resolve('p', alice, signal)
  assert.equal(first.target.container, 'web')
  assert.equal(first.note, 'container web; also here: +sidecar +debugger')
  const annotated = resolverOf([pod('a', 'x/p', { containers, defaultContainer: 'sidecar' })])
  assert.equal((await annotated.resolve('p', alice, signal)).target.container, 'sidecar')
  const named = await annotated.resolve('p+debugger', alice, signal)
  assert.equal(named.target.container, 'debugger')
  assert.equal(named.note, undefined)
  assert.match((await refusal(annotated, 'p+wbe')).userText, /p\.x\.a has no container "wbe" but web, sidecar, debugger$/)
  assert.equal((await refusal(annotated, 'p+setup')).code, 'TARGET_UNKNOWN')
})

test('resolver knows only the containers that may be seen', async () => {
  const resolver = resolverOf([pod('a', 'x/p', { containers: [container('web'), container('vault')] })], (target) => target.container !== 'vault')
  const found = await resolver.resolve('p', alice, signal)
  assert.equal(found.note, undefined)
  assert.equal((await refusal(resolver, 'p+vault')).userText, 'no such target among the pods you may see: p.x.a has no container "vault" but web')
})

test('resolver refuses what does not run, with the reason', async () => {
  const waiting = container('web', { running: false, ready: false, state: 'CrashLoopBackOff' })
  const cases: [PodFacts, string][] = [
    [pod('a', 'x/p', { containers: [waiting] }), 'p.x.a is CrashLoopBackOff'],
    [pod('a', 'x/p', { containers: [waiting, container('two')] }), 'p.x.a+web is CrashLoopBackOff'],
    [pod('a', 'x/p', { deletedMs: 5 }), 'p.x.a is Terminating'],
    [pod('a', 'x/p', { reason: 'Evicted', phase: 'Failed', containers: [waiting] }), 'p.x.a is Evicted'],
  ]
  for (const [one, detail] of cases) {
    const error = await refusal(resolverOf([one]), 'p')
    assert.equal(error.code, 'TARGET_NOT_RUNNING')
    assert.equal(error.detail, detail)
  }
})

test('resolver says which cluster is silent when a name is not known, and goes on with what it found', async () => {
  const stale = inventoryOf('b', [pod('b', 'bank/core-0')], { staleSinceMs: 60_000 }).inventory
  const resolver = resolverOf([pod('a', 'default/tiny-0')], everything, [stale])
  const error = await refusal(resolver, 'nothing')
  assert.equal(error.code, 'TARGET_UNREACHABLE')
  assert.match(error.userText, /cluster b has not answered for 40 s/)
  assert.equal((await resolver.resolve('tiny-0', alice, signal)).target.cluster, 'a')
  assert.equal((await resolver.resolve('core-0', alice, signal)).target.cluster, 'b')
  assert.equal((await refusal(resolver, 'nothing.default.a')).code, 'TARGET_UNKNOWN')
})

test('resolver says that a cluster is still being read', async () => {
  const starting = inventoryOf('b', [], { synced: false }).inventory
  assert.match((await refusal(resolverOf([], everything, [starting]), 'x')).userText, /cluster b is still being read/)
  const never = inventoryOf('b', [], { synced: false, staleSinceMs: 10_000 }).inventory
  assert.match((await refusal(resolverOf([], everything, [never]), 'x')).userText, /cluster b has not answered for 90 s/)
})

test('resolver keeps silent about a stale cluster of which nothing may be seen, and about a short interruption', async () => {
  const stale = inventoryOf('b', [pod('b', 'bank/core-0')], { staleSinceMs: 60_000 }).inventory
  const hidden = new PodResolver({ inventories: [stale], maySee: () => false, now: () => 100_000 })
  assert.equal((await refusal(hidden, 'x')).code, 'TARGET_UNKNOWN')
  const short = inventoryOf('b', [pod('b', 'bank/core-0')], { staleSinceMs: 98_000 }).inventory
  assert.equal((await refusal(resolverOf([], everything, [short]), 'x')).code, 'TARGET_UNKNOWN')
})

test('resolver lists what may be seen, sorted, with state and readiness', () => {
  const listings = resolverOf(
    [...TWO_CLUSTERS, pod('a', 'shop/ended', { containers: [container('x', { running: false, ready: false, state: 'Completed' })] })],
    (target) => target.pod !== 'core-0' && target.container !== 'sidecar',
  ).list(alice)
  assert.deepEqual(
    listings.map((one) => `${one.target.cluster}/${one.target.namespace}/${one.target.pod}/${one.target.container} ${one.state} ${one.ready}`),
    [
      'a/default/tiny-0/main Running true',
      'a/shop/ended/x Completed false',
      'a/shop/web-0/web Running true',
      'a/shop/web-1/main Running true',
      'b/default/tiny-0/main Running true',
    ],
  )
})

test('resolver lets nothing of a cluster reach a terminal unescaped', async () => {
  const nasty = pod('a', 'x/p', { containers: [container('we\u001b[2Jb', { running: false, state: 'Bad\u001b]0;x\u0007' })] })
  const error = await refusal(resolverOf([nasty]), 'p')
  assert.doesNotMatch(error.userText, /[\x00-\x1f]/)
})

test('resolver rethrows the reason of an aborted signal', async () => {
  const reason = new OpsError('CLIENT_GONE', 'left')
  await assert.rejects(resolverOf(TWO_CLUSTERS).resolve('core-0', alice, AbortSignal.abort(reason)), reason)
})

test('resolver answers well within a millisecond among ten thousand pods', async () => {
  const pods = Array.from({ length: 10_000 }, (_, i) =>
    pod('a', `ns-${i % 50}/web-${i}`, { workloads: deployment(`web-${i % 200}x`), ip: `10.0.${i >> 8}.${i & 255}` }),
  )
  const resolver = resolverOf(pods)
  const addresses = ['web-7777', 'web-4242.ns-42', 'web-9999.ns-49.a', '10.0.5.5', 'web-17x.ns-17']
  for (const address of addresses) await resolver.resolve(address, alice, signal)
  // CPU time, because the machine may have other things to do.
  const started = process.cpuUsage()
  for (let i = 0; i < 1000; i++) await resolver.resolve(addresses[i % addresses.length] ?? '', alice, signal)
  const { user, system } = process.cpuUsage(started)
  const eachMs = (user + system) / 1000 / 1000
  assert.ok(eachMs < 0.5, `${eachMs} ms`)
})

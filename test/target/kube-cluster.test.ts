/** Against the two real clusters. Works in a namespace of its own, t-target, which stays (these clusters have no controller that would delete it); the pods go. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'
import { silentLogger } from '../../src/core/log.js'
import type { Inventory, PodFacts } from '../../src/target/inventory.js'
import { createKubeInventory, type KubeInventoryOptions } from '../../src/target/kube-inventory.js'
import { PodResolver } from '../../src/target/resolver.js'
import { kubeconfigOf, needs } from '../support/need.js'
import { alice } from './pods.js'

const skip = needs.cluster('a') || needs.cluster('b')
const NAMESPACE = 't-target'
const NAME = `t-target-${process.pid}`
const signal = new AbortController().signal

const run = promisify(execFile)
async function kubectl(...args: string[]): Promise<string> {
  return (await run('kubectl', ['--kubeconfig', kubeconfigOf('a'), ...args])).stdout
}
async function apply(t: TestContext, ...objects: object[]): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 't-target-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'objects.yaml')
  writeFileSync(file, objects.map((object) => stringify(object)).join('---\n'))
  await kubectl('apply', '-f', file)
}
const namespaceObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } }
function podObject(name: string, metadata: object = {}): object {
  const container = (called: string) => ({ name: called, image: 'busybox:local', imagePullPolicy: 'Never', command: ['sleep', '1000'] })
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, ...metadata },
    spec: { nodeName: 'node-a', automountServiceAccountToken: false, terminationGracePeriodSeconds: 1, containers: [container('zulu'), container('alpha')] },
  }
}
async function started(t: TestContext, cluster: 'a' | 'b', more: Partial<KubeInventoryOptions> = {}): Promise<Inventory> {
  const inventory = createKubeInventory({ cluster, kubeconfig: kubeconfigOf(cluster), log: silentLogger, ...more })
  t.after(() => inventory.close())
  inventory.start(signal)
  await inventory.ready(AbortSignal.timeout(20_000))
  return inventory
}
async function until(inventory: Inventory, name: string, wanted: (pod: PodFacts | undefined) => boolean): Promise<PodFacts | undefined> {
  for (;;) {
    const [found] = inventory.find.byName(name)
    if (wanted(found)) return found
    await new Promise<void>((resolve) => {
      const stop = inventory.onChange(() => {
        stop()
        resolve()
      })
    })
  }
}

test('equal names in two real clusters are told apart, and never taken for each other', { skip, timeout: 180_000 }, async (t) => {
  const inventories = [await started(t, 'a'), await started(t, 'b')]
  const resolver = new PodResolver({ inventories, maySee: () => true })
  await assert.rejects(resolver.resolve('tiny-0', alice, signal), { code: 'TARGET_AMBIGUOUS', detail: 'tiny-0.default.a, tiny-0.default.b' })
  for (const cluster of ['a', 'b'] as const) {
    const { target } = await resolver.resolve(`tiny-0.default.${cluster}`, alice, signal)
    const { stdout } = await run('kubectl', [
      '--kubeconfig',
      kubeconfigOf(cluster),
      'get',
      'pod',
      'tiny-0',
      '-o',
      'jsonpath={.metadata.uid} {.status.containerStatuses[0].containerID} {.spec.nodeName}',
    ])
    assert.equal(`${target.uid} ${target.containerId} ${target.node}`, stdout)
  }
  const { target, note } = await resolver.resolve('web-0', alice, signal)
  assert.deepEqual([target.cluster, target.namespace, target.container, note], ['a', 'shop', 'web', 'container web; also here: +sidecar'])
  assert.equal((await resolver.resolve('web-0+sidecar', alice, signal)).target.container, 'sidecar')
  const ip = [...(inventories[1]?.find.byName('core-0') ?? [])][0]?.ip ?? assert.fail()
  assert.equal((await resolver.resolve(`${ip}.bank.b`, alice, signal)).target.pod, 'core-0')
})

test('a real pod is seen to come, to be replaced under its name, and to go', { skip, timeout: 180_000 }, async (t) => {
  const inventory = await started(t, 'a', { setIdKeys: ['pod-set-id'] })
  const resolver = new PodResolver({ inventories: [inventory], maySee: () => true })
  t.after(() => kubectl('-n', NAMESPACE, 'delete', 'pod', NAME, '--ignore-not-found', '--grace-period=0', '--force'))
  await apply(
    t,
    namespaceObject,
    podObject(NAME, { labels: { 'pod-set-id': NAME.toUpperCase() }, annotations: { 'kubectl.kubernetes.io/default-container': 'alpha' } }),
  )
  const first = await until(inventory, NAME, (pod) => pod?.ready === true)
  assert.deepEqual(
    first?.containers.map((one) => one.name),
    ['zulu', 'alpha'],
  )
  const { target } = await resolver.resolve(NAME.toUpperCase(), alice, signal)
  assert.equal(target.container, 'alpha')
  assert.ok(inventory.isCurrent(target))

  const gone = new Promise<void>((resolve) => inventory.onGone(target.uid, resolve))
  const terminating = until(inventory, NAME, (pod) => pod?.deletedMs !== undefined)
  const deleted = kubectl('-n', NAMESPACE, 'delete', 'pod', NAME)
  await terminating
  await gone
  await deleted
  assert.equal(inventory.isCurrent(target), false)
  await assert.rejects(resolver.resolve(NAME, alice, signal), { code: 'TARGET_UNKNOWN' })

  await apply(t, podObject(NAME))
  const second = await until(inventory, NAME, (pod) => pod?.ready === true)
  assert.notEqual(second?.uid, target.uid)
  assert.equal(inventory.isCurrent(target), false)
})

test('a kubeconfig that may not list all pods works with the namespaces it may list', { skip, timeout: 180_000 }, async (t) => {
  const subject = `limited-${process.pid}`
  const meta = { name: subject, namespace: NAMESPACE }
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  t.after(() => kubectl('-n', NAMESPACE, 'delete', 'role,rolebinding', subject, '--ignore-not-found'))
  await apply(
    t,
    namespaceObject,
    { apiVersion, kind: 'Role', metadata: meta, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] }] },
    {
      apiVersion,
      kind: 'RoleBinding',
      metadata: meta,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: subject },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: subject }],
    },
  )
  const directory = mkdtempSync(join(tmpdir(), 't-target-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const kubeconfig = join(directory, 'kubeconfig')
  const config = parse(readFileSync(kubeconfigOf('a'), 'utf8'))
  config.users[0].user.as = subject
  writeFileSync(kubeconfig, stringify(config))

  const everywhere = createKubeInventory({ cluster: 'a', kubeconfig, log: silentLogger })
  t.after(() => everywhere.close())
  everywhere.start(signal)
  await assert.rejects(everywhere.ready(AbortSignal.timeout(3000)), /HTTP 403: pods is forbidden/)
  const limited = await started(t, 'a', { kubeconfig, namespaces: [NAMESPACE] })
  assert.deepEqual(
    [...limited.pods()].filter((pod) => pod.namespace !== NAMESPACE),
    [],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { enterable, runs, stateOf, targetOf } from '../../src/target/container-choice.js'
import { podFacts } from '../../src/target/pod-facts.js'
import { apiPod } from './fake-api.js'

const options = { cluster: 'a', setIdKeys: ['set-id', 'example.org/set'] }
const facts = (path: string, more: Parameters<typeof apiPod>[2] = {}) => podFacts(apiPod(path, 'u1', more), options) ?? assert.fail()
const owned = (kind: string, name: string, labels: Record<string, string> = {}, controller = true) =>
  facts('x/p', { metadata: { labels, ownerReferences: [{ kind, name, controller }] } }).workloads

test('facts of a running pod are the few that are needed', () => {
  const pod = facts('shop/web-0', {
    metadata: { labels: { app: 'web' }, creationTimestamp: '2026-11-23T14:14:24Z', annotations: { 'kubectl.kubernetes.io/default-container': 'main' } },
    status: { podIP: '10.0.0.7', hostIP: '192.0.2.2' },
  })
  assert.deepEqual(pod, {
    cluster: 'a',
    namespace: 'shop',
    name: 'web-0',
    uid: 'u1',
    ip: '10.0.0.7',
    node: 'node-f',
    hostIp: '192.0.2.2',
    phase: 'Running',
    ready: true,
    containers: [{ name: 'main', kind: 'app', containerId: 'docker://u1', running: true, ready: true, state: 'Running' }],
    labels: { app: 'web' },
    workloads: [],
    createdMs: Date.UTC(2026, 10, 23, 14, 14, 24),
    defaultContainer: 'main',
  })
})

test('facts keep the containers in the order of the spec, whatever the order of the status', () => {
  const status = (name: string) => ({ name, containerID: `docker://${name}`, state: { running: {} } })
  const pod = facts('x/p', {
    spec: {
      containers: [{ name: 'web' }, { name: 'sidecar' }],
      initContainers: [{ name: 'setup' }, { name: 'mesh' }],
      ephemeralContainers: [{ name: 'debugger' }],
    },
    status: {
      containerStatuses: [status('sidecar'), status('web')],
      initContainerStatuses: [{ name: 'setup', state: { terminated: { reason: 'Completed' } } }, status('mesh')],
      ephemeralContainerStatuses: [status('debugger')],
    },
  })
  assert.deepEqual(
    pod.containers.map((one) => `${one.kind} ${one.name} ${one.state}`),
    ['app web Running', 'app sidecar Running', 'init setup Completed', 'init mesh Running', 'ephemeral debugger Running'],
  )
  assert.deepEqual(
    enterable(pod).map((one) => one.name),
    ['web', 'sidecar', 'mesh', 'debugger'],
  )
})

const STATES: readonly (readonly [object, string])[] = [
  [{ containerStatuses: [{ name: 'main', state: { waiting: { reason: 'CrashLoopBackOff' } } }] }, 'CrashLoopBackOff'],
  [{ containerStatuses: [{ name: 'main', state: { terminated: { reason: 'OOMKilled' } } }] }, 'OOMKilled'],
  [{ containerStatuses: [{ name: 'main', state: { terminated: { exitCode: 1 } } }] }, 'Terminated'],
  [{ containerStatuses: [], phase: 'Pending' }, 'Pending'],
  [{ containerStatuses: [], phase: '' }, 'Unknown'],
  [{ containerStatuses: [], phase: 'Failed', reason: 'Evicted' }, 'Evicted'],
]
for (const [status, state] of STATES) {
  test(`facts of a container that does not run say ${state}`, () => {
    const pod = facts('x/p', { status })
    const [container = assert.fail()] = pod.containers
    assert.equal(stateOf(pod, container), state)
    assert.equal(runs(pod, container), false)
  })
}

test('facts know a pod that is being deleted', () => {
  const pod = facts('x/p', { metadata: { deletionTimestamp: '2026-11-23T14:14:24Z' } })
  const [container = assert.fail()] = pod.containers
  assert.equal(stateOf(pod, container), 'Terminating')
  assert.equal(runs(pod, container), false)
  assert.equal(targetOf(pod, container).uid, 'u1')
})

test('facts name the Deployment behind a ReplicaSet by its hash, and other controllers by themselves', () => {
  const hash = { 'pod-template-hash': '5f7' }
  assert.deepEqual(owned('ReplicaSet', 'web-api-5f7', hash), [
    { kind: 'Deployment', name: 'web-api' },
    { kind: 'ReplicaSet', name: 'web-api-5f7' },
  ])
  assert.deepEqual(owned('ReplicaSet', 'by-hand', hash), [{ kind: 'ReplicaSet', name: 'by-hand' }])
  assert.deepEqual(owned('ReplicaSet', '-5f7', hash), [{ kind: 'ReplicaSet', name: '-5f7' }])
  assert.deepEqual(owned('ReplicaSet', 'web-', { 'pod-template-hash': '' }), [{ kind: 'ReplicaSet', name: 'web-' }])
  for (const kind of ['StatefulSet', 'DaemonSet', 'Job']) assert.deepEqual(owned(kind, 'db'), [{ kind, name: 'db' }])
  assert.deepEqual(owned('Node', 'node-a'), [])
  assert.deepEqual(owned('StatefulSet', 'db', {}, false), [])
})

test('facts take the pod-set id from a label or an annotation, in the order of the keys', () => {
  assert.equal(facts('x/p', { metadata: { labels: { 'set-id': '1' }, annotations: { 'example.org/set': '2' } } }).setId, '1')
  assert.equal(facts('x/p', { metadata: { annotations: { 'example.org/set': '2' } } }).setId, '2')
  assert.equal(facts('x/p').setId, undefined)
})

test('facts of a label called __proto__ are a label and nothing else', () => {
  const pod = podFacts(JSON.parse('{"metadata":{"name":"p","namespace":"x","uid":"u","labels":{"__proto__":"evil"}}}'), options)
  assert.deepEqual(Object.entries(pod?.labels ?? {}), [['__proto__', 'evil']])
  assert.equal(Object.getPrototypeOf(pod?.labels), Object.prototype)
})

test('facts of any JSON are none or whole', () => {
  const keys = fc.constantFrom(
    'metadata',
    'spec',
    'status',
    'name',
    'namespace',
    'uid',
    'containers',
    'containerStatuses',
    'conditions',
    'labels',
    'ownerReferences',
    'state',
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.string(),
      fc.constant(null),
      fc.integer(),
      fc.boolean(),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(keys, tie('tree'), { maxKeys: 6 }),
    ),
  }))
  fc.assert(
    fc.property(tree, (value) => {
      const pod = podFacts(value, options)
      if (pod) for (const text of [pod.name, pod.namespace, pod.uid]) assert.ok(typeof text === 'string' && text !== '')
    }),
    { numRuns: 1000 },
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { targetOf } from '../../src/target/container-choice.js'
import type { PodFacts } from '../../src/target/inventory.js'
import { PodIndex } from '../../src/target/pod-index.js'
import { container, pod } from './pods.js'

test('index equals a plain list of pods after any changes, in every lookup', () => {
  const small = fc.integer({ min: 0, max: 3 })
  const step = fc.record({
    uid: fc.integer({ min: 0, max: 5 }),
    namespace: small,
    name: small,
    ip: small,
    owner: small,
    setId: small,
    finished: fc.boolean(),
    remove: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new PodIndex()
      const seen = new Map<string, PodFacts>()
      index.onChange((change) => (change.kind === 'gone' ? seen.delete(change.pod.uid) : seen.set(change.pod.uid, change.pod)))
      let model: PodFacts[] = []
      for (const one of steps) {
        const uid = `u${one.uid}`
        if (one.remove) {
          index.deleteUid(uid)
          model = model.filter((known) => known.uid !== uid)
          continue
        }
        const facts = pod('a', `ns${one.namespace}/p${one.name}`, {
          uid,
          ip: one.ip === 0 ? '' : `10.0.0.${one.ip}`,
          workloads: one.owner === 0 ? [] : [{ kind: 'Job', name: `w${one.owner}` }],
          phase: one.finished ? 'Succeeded' : 'Running',
          ...(one.setId === 0 ? {} : { setId: `s${one.setId}` }),
        })
        index.set(facts)
        model = [...model.filter((known) => known.uid !== uid && !(known.namespace === facts.namespace && known.name === facts.name)), facts]
      }
      const uids = (pods: Iterable<PodFacts>) => [...pods].map((one) => one.uid).sort()
      assert.deepEqual(uids(index.all()), uids(model))
      assert.deepEqual(uids(seen.values()), uids(model))
      assert.equal(index.size, model.length)
      for (let i = 0; i <= 3; i++) {
        assert.deepEqual(uids(index.byName(`p${i}`)), uids(model.filter((one) => one.name === `p${i}`)))
        assert.deepEqual(uids(index.byIp(`10.0.0.${i}`)), uids(model.filter((one) => one.ip === `10.0.0.${i}` && one.phase === 'Running')))
        assert.deepEqual(uids(index.byWorkload(`w${i}`)), uids(model.filter((one) => one.workloads[0]?.name === `w${i}`)))
        assert.deepEqual(uids(index.bySetId(`s${i}`)), uids(model.filter((one) => one.setId === `s${i}`)))
        assert.equal(
          index.byNamespacedName('ns1', `p${i}`),
          model.find((one) => one.namespace === 'ns1' && one.name === `p${i}`),
        )
      }
      const sorted = index.sorted().map((one) => `${one.namespace}/${one.name}`)
      assert.deepEqual(sorted, [...sorted].sort())
    }),
    { numRuns: 300 },
  )
})

test('index calls back once when a pod has gone, also when it was replaced, and not after stop', () => {
  const index = new PodIndex()
  const calls: string[] = []
  index.set(pod('a', 'x/one', { uid: 'u1' }))
  index.onGone('u1', () => calls.push('first'))
  const stop = index.onGone('u1', () => calls.push('stopped'))
  stop()
  stop()
  index.set(pod('a', 'x/one', { uid: 'u1', ready: false }))
  assert.deepEqual(calls, [])
  index.set(pod('a', 'x/one', { uid: 'u2' }))
  assert.deepEqual(calls, ['first'])
  index.deleteUid('u1')
  assert.deepEqual(calls, ['first'])
})

test('index calls back soon, and not at once, for a pod that is gone already', async () => {
  const index = new PodIndex()
  const calls: string[] = []
  index.onGone('u1', () => calls.push('called'))
  const stop = index.onGone('u1', () => calls.push('stopped'))
  stop()
  assert.deepEqual(calls, [])
  await Promise.resolve()
  assert.deepEqual(calls, ['called'])
})

test('index takes a target for current only with the same uid and container, while it runs', () => {
  const index = new PodIndex()
  const first = pod('a', 'x/p', { containers: [container('web')] })
  const target = targetOf(first, container('web'))
  assert.equal(index.isCurrent(target), false)
  index.set(first)
  assert.equal(index.isCurrent(target), true)
  index.set({ ...first, containers: [container('web', { containerId: 'docker://restarted' })] })
  assert.equal(index.isCurrent(target), false)
  index.set({ ...first, containers: [container('web', { running: false })] })
  assert.equal(index.isCurrent(target), false)
  index.set({ ...first, uid: 'another' })
  assert.equal(index.isCurrent(target), false)
})

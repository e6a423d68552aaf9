import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { PodResolver } from '../../src/target/resolver.js'
import { StaticInventory } from '../../src/target/static-inventory.js'
import { alice } from './pods.js'

test('static inventory knows its pods at once, each with a shell of this machine', async () => {
  const inventory = new StaticInventory({ cluster: 'demo', pods: ['web-0', 'web-1', 'db-0'] })
  inventory.start()
  await inventory.ready()
  assert.deepEqual(inventory.status(), { synced: true, pods: 3 })
  const resolver = new PodResolver({ inventories: [inventory], maySee: () => true })
  const { target } = await resolver.resolve('web-0', alice, new AbortController().signal)
  const { uid, ...rest } = target
  assert.deepEqual(rest, {
    cluster: 'demo',
    namespace: 'default',
    pod: 'web-0',
    container: 'shell',
    node: hostname(),
    containerId: 'local://web-0',
    labels: { app: 'web' },
  })
  assert.match(uid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.ok(inventory.isCurrent(target) && resolver.isCurrent(target))
  assert.ok(!inventory.isCurrent({ ...target, cluster: 'other' }))
  await inventory.close()
})

test('static inventory gives a pod the same uid in every run, and another in another cluster', () => {
  const uid = (cluster: string) => new StaticInventory({ cluster, pods: ['web-0'] }).find.byName('web-0')[0]?.uid
  assert.equal(uid('demo'), uid('demo'))
  assert.notEqual(uid('demo'), uid('other'))
})

/** Pods and inventories for tests of what is built on them. */
import type { Identity, TargetListing } from '../../src/core/types.js'
import type { ContainerFacts, Inventory, InventoryStatus, PodFacts } from '../../src/target/inventory.js'
import { PodIndex } from '../../src/target/pod-index.js'
import { ReflectedInventory } from '../../src/target/reflected-inventory.js'

export const alice: Identity = { user: 'alice', groups: [], roles: [], method: 'publickey', from: { host: '192.0.2.9', port: 4000 } }

export function container(name: string, facts: Partial<ContainerFacts> = {}): ContainerFacts {
  return { name, kind: 'app', containerId: `docker://${name}`, running: true, ready: true, state: 'Running', ...facts }
}

/** A running pod, named by `namespace/name`. */
export function pod(cluster: string, path: string, facts: Partial<PodFacts> = {}): PodFacts {
  const [namespace = '', name = ''] = path.split('/')
  return {
    cluster,
    namespace,
    name,
    uid: `uid-${cluster}-${path}`,
    ip: '',
    node: `node-${cluster}`,
    hostIp: '',
    phase: 'Running',
    ready: true,
    containers: [container('main')],
    labels: {},
    workloads: [],
    createdMs: 0,
    ...facts,
  }
}

/** An inventory that a test fills by hand. */
export function inventoryOf(
  cluster: string,
  pods: readonly PodFacts[],
  status: Partial<InventoryStatus> = {},
): { readonly inventory: Inventory; readonly index: PodIndex } {
  const index = new PodIndex()
  for (const one of pods) index.set(one)
  const inventory = new ReflectedInventory({ cluster, index, reflectors: [] })
  const known = inventory.status.bind(inventory)
  inventory.status = () => ({ ...known(), ...status })
  return { inventory, index }
}

/** A line of the picker, named by `cluster/namespace/pod`. */
export function listing(path: string, more: { readonly container?: string; readonly state?: string; readonly node?: string } = {}): TargetListing {
  const [cluster = '', namespace = '', name = ''] = path.split('/')
  const { container: containerName = 'main', state = 'Running', node = `node-${cluster}` } = more
  const target = { cluster, namespace, pod: name, container: containerName, uid: path, node, containerId: `docker://${path}`, labels: {} }
  return { target, state, ready: state === 'Running', podIp: '' }
}

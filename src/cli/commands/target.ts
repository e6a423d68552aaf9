/** How a command line names a target. */

import type { TargetItem } from '../../wire/api/targets.js'
import { UsageError } from '../problem.js'
import type { Listing } from '../text/output.js'
import type { Column } from '../text/table.js'

export interface TargetOptions {
  readonly namespace?: string
  readonly cluster?: string
}

/**
 * `web-0`, `-n shop --cluster a` -> "web-0.shop.a", the grammar of contract.md. `cluster/namespace/pod[/container]`, as lists
 * print it, is taken too.
 * @throws UsageError for a cluster without a namespace, and for a text that is no address
 */
export function addressFrom(named: string, { namespace, cluster }: TargetOptions = {}): string {
  const parts = named.split('/')
  if (parts.length === 3 || parts.length === 4) {
    const [inCluster, inNamespace, pod, container] = parts
    return `${pod}.${inNamespace}.${inCluster}${container ? `+${container}` : ''}`
  }
  if (parts.length === 2 && /^(pods?|po)$/.test(parts[0] ?? ''))
    return addressFrom(parts[1] ?? '', { ...(namespace && { namespace }), ...(cluster && { cluster }) })
  if (parts.length > 1) throw new UsageError(`"${named}" is not a target: write POD[.NAMESPACE[.CLUSTER]][+CONTAINER]`)
  if (cluster !== undefined && namespace === undefined) throw new UsageError('name the namespace too (-n), where you name the cluster')
  const [pod = '', container] = named.split('+')
  const names = [pod, namespace, cluster].filter((name) => name !== undefined).join('.')
  return container === undefined ? names : `${names}+${container}`
}

function labelsText({ target }: TargetItem): string {
  return Object.entries(target.labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

const podColumn: Column<TargetItem> = { title: 'POD', value: ({ target }) => target.pod, shrinkTo: 12, cut: 'middle' }

/** Columns of a list of containers. */
export const TARGET_LISTING: Listing<TargetItem> = {
  name: (item) => item.name,
  columns: [
    podColumn,
    { title: 'CONTAINER', value: ({ target }) => target.container, shrinkTo: 9 },
    { title: 'NAMESPACE', value: ({ target }) => target.namespace, shrinkTo: 9 },
    { title: 'CLUSTER', value: ({ target }) => target.cluster, shrinkTo: 7 },
    { title: 'STATE', value: (item) => item.state, shrinkTo: 8 },
    { title: 'READY', value: (item) => (item.ready ? 'yes' : 'no') },
    { title: 'NODE', value: ({ target }) => target.node, shrinkTo: 8, cut: 'middle' },
    { title: 'IP', value: (item) => item.podIp, wide: true },
    { title: 'UID', value: ({ target }) => target.uid, wide: true, shrinkTo: 8 },
    { title: 'LABELS', value: labelsText, wide: true, shrinkTo: 10 },
  ],
}

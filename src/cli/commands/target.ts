/** How a command line names a target. */

import { at, type Row, text } from '../api/rows.js'
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

/** `cluster/namespace/pod/container` of a row of /targets. */
export function targetName(row: Row): string {
  return ['cluster', 'namespace', 'pod', 'container'].map((key) => targetField(row, key)).join('/')
}

export function targetField(row: Row, key: string): string {
  return text(row, `target.${key}`, key)
}

/** Labels of a row of /targets. */
export function labelsOf(row: Row): Record<string, string> {
  const labels = at(row, 'target.labels') ?? at(row, 'labels')
  if (typeof labels !== 'object' || labels === null) return {}
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]))
}

function labelsText(row: Row): string {
  return Object.entries(labelsOf(row))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

const podColumn: Column<Row> = { title: 'POD', value: (row) => targetField(row, 'pod'), shrinkTo: 12, cut: 'middle' }

/** Columns of a list of containers. */
export const TARGET_LISTING: Listing<Row> = {
  name: (row) => targetName(row),
  columns: [
    podColumn,
    { title: 'CONTAINER', value: (row) => targetField(row, 'container'), shrinkTo: 9 },
    { title: 'NAMESPACE', value: (row) => targetField(row, 'namespace'), shrinkTo: 9 },
    { title: 'CLUSTER', value: (row) => targetField(row, 'cluster'), shrinkTo: 7 },
    { title: 'STATE', value: (row) => text(row, 'state'), shrinkTo: 8 },
    { title: 'READY', value: (row) => (text(row, 'ready') === 'true' ? 'yes' : 'no') },
    { title: 'NODE', value: (row) => targetField(row, 'node'), shrinkTo: 8, cut: 'middle' },
    { title: 'IP', value: (row) => text(row, 'podIp', 'ip'), wide: true },
    { title: 'UID', value: (row) => targetField(row, 'uid'), wide: true, shrinkTo: 8 },
    { title: 'LABELS', value: labelsText, wide: true, shrinkTo: 10 },
  ],
}

/** What one may enter, and where it runs. */
import { type Identity, type TargetListing, targetText } from '../core/types.js'
import type { TargetItem } from '../wire/api/targets.js'
import { type ApiParts, type Handlers, mayCall } from './api-parts.js'
import type { Followers } from './line-stream.js'
import { partOf } from './pages.js'
import { TargetWatches } from './target-watch.js'

/** @param followers filled here; whoever stops the server ends them */
export function targetHandlers(parts: ApiParts, followers: Followers): Required<Pick<Handlers, 'listTargets' | 'listClusters' | 'listNodes'>> {
  const { resolver, policy, clusters, nodes } = parts
  const watches = new TargetWatches(parts, followers)
  const itemOf = (identity: Identity, { target, state, ready, podIp }: TargetListing): TargetItem => {
    const verdict = policy.decide({ kind: 'see', identity, target })
    const { cluster, namespace, pod, container, uid, node, labels } = target
    return {
      target: { cluster, namespace, pod, container, uid, node, labels: { ...labels } },
      name: targetText(target),
      address: `${pod}.${namespace}.${cluster}+${container}`,
      state,
      ready,
      podIp,
      ...(verdict.rule !== undefined && { rule: verdict.rule }),
    }
  }
  return {
    listTargets: (call) => {
      const { query, identity, reply } = call
      const passes = filterOf(query)
      if (query.follow === '1') {
        watches.open(call, (listing) => (passes(listing) ? itemOf(identity, listing) : undefined))
        return reply
      }
      const { items, ...rest } = partOf(resolver.list(identity).filter(passes), query)
      return { items: items.map((listing) => itemOf(identity, listing)), ...rest }
    },
    listClusters: ({ identity }) => {
      if (mayCall(identity, 'auditor')) return { items: [...clusters()] }
      const seen = new Map<string, Set<string>>()
      for (const { target } of resolver.list(identity)) seen.set(target.cluster, (seen.get(target.cluster) ?? new Set()).add(target.uid))
      // how many pods there are beyond those is nobody's business
      return { items: clusters().flatMap((cluster) => (seen.has(cluster.name) ? [{ ...cluster, pods: seen.get(cluster.name)?.size ?? 0 }] : [])) }
    },
    listNodes: ({ query, identity }) => {
      const pods = new Map<string, Set<string>>()
      for (const { target } of resolver.list(identity)) {
        const key = `${target.cluster}/${target.node}`
        pods.set(key, (pods.get(key) ?? new Set()).add(target.uid))
      }
      const all = nodes().filter(({ cluster }) => query.cluster === undefined || cluster === query.cluster)
      const items = all.map((node) => ({ ...node, pods: pods.get(`${node.cluster}/${node.name}`)?.size ?? 0 }))
      return { items: mayCall(identity, 'auditor') ? items : items.filter((node) => node.pods > 0) }
    },
  }
}

function filterOf(
  query: Readonly<Partial<Record<'cluster' | 'namespace' | 'pod' | 'node' | 'text', string | undefined>>>,
): (listing: TargetListing) => boolean {
  const text = query.text?.toLowerCase()
  return ({ target, podIp }) => {
    for (const key of ['cluster', 'namespace', 'pod', 'node'] as const) if (query[key] !== undefined && target[key] !== query[key]) return false
    return text === undefined || `${targetText(target)} ${target.node} ${podIp}`.toLowerCase().includes(text)
  }
}

/** What one may enter, and where it runs. */
import { type Identity, type TargetListing, targetText } from '../core/types.js'
import type { TargetItem } from '../wire/api/targets.js'
import { type ApiParts, type Handlers, mayCall } from './api-parts.js'
import { partOf } from './pages.js'

export function targetHandlers({ resolver, policy, clusters, nodes }: ApiParts): Required<Pick<Handlers, 'listTargets' | 'listClusters' | 'listNodes'>> {
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
    listTargets: ({ query, identity }) => {
      const text = query.text?.toLowerCase()
      const seen = resolver.list(identity).filter(({ target, podIp }) => {
        for (const key of ['cluster', 'namespace', 'pod', 'node'] as const) if (query[key] !== undefined && target[key] !== query[key]) return false
        return text === undefined || `${targetText(target)} ${target.node} ${podIp}`.toLowerCase().includes(text)
      })
      const { items, ...rest } = partOf(seen, query)
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

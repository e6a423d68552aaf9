/** Which pods a selector means. Pure. */
import type { TargetItem } from '../../wire/api/targets.js'
import type { BatchItem } from '../batch/outcome.js'
import { UsageError } from '../problem.js'

/** A pod of a batch; the container is named where the person named one. */
export interface PodItem extends BatchItem {
  readonly cluster: string
  readonly namespace: string
  readonly pod: string
  readonly container?: string
}

type Matches = (item: TargetItem) => boolean

/**
 * One selector: labels (`app=web,tier!=cache`, `app`), a path with globs (`a/shop/web-*`), or a word that is the pod's name
 * (globs allowed), address (`web-0.shop.a`), IP, node or UID.
 * @throws UsageError when it is none
 */
export function matcherOf(selector: string): Matches {
  if (selector === '') throw new UsageError('an empty selector')
  if (selector.includes('=')) return labelMatcher(selector)
  const path = selector.split('/')
  if (path.length > 1) return pathMatcher(selector, path)
  const name = glob(selector)
  return ({ target, podIp }) => {
    const { pod, namespace, cluster, node, uid } = target
    const names = [pod, `${pod}.${namespace}`, `${pod}.${namespace}.${cluster}`]
    return names.some(name) || [podIp, node, uid].includes(selector)
  }
}

function pathMatcher(selector: string, path: readonly string[]): Matches {
  if (path.length < 3 || path.length > 4) throw new UsageError(`"${selector}" is not a selector: write CLUSTER/NAMESPACE/POD, each with * where you like`)
  const globs = path.map(glob)
  return ({ target: { cluster, namespace, pod, container } }) => {
    const names = [cluster, namespace, pod, container]
    return globs.every((matches, i) => matches(names[i] ?? ''))
  }
}

/** Kubernetes' equality-based requirements. */
function labelMatcher(selector: string): Matches {
  const requirements = selector.split(',').map((part) => {
    const match = /^([\w./-]+)(?:(==?|!=)([\w.-]*))?$/.exec(part.trim())
    if (!match) throw new UsageError(`"${part}" is not a label requirement: write key=value or key!=value`)
    const [, key = '', operator, value] = match
    return (labels: Record<string, string>) => (operator === undefined ? key in labels : operator === '!=' ? labels[key] !== value : labels[key] === value)
  })
  return ({ target }) => requirements.every((holds) => holds(target.labels))
}

/** `*` and `?`; everything else is itself. */
function glob(pattern: string): (name: string) => boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  const expression = new RegExp(`^${source}$`)
  return (name) => expression.test(name)
}

/** The pods of these containers, each once, sorted; with `container` only those that have it. */
export function podsOf(items: readonly TargetItem[], container?: string): PodItem[] {
  const pods = new Map<string, PodItem>()
  for (const { target } of items) {
    if (container !== undefined && target.container !== container) continue
    const { cluster, namespace, pod } = target
    const id = [cluster, namespace, pod, ...(container === undefined ? [] : [container])].join('/')
    pods.set(id, { id, cluster, namespace, pod, ...(container !== undefined && { container }) })
  }
  const collator = new Intl.Collator('en', { numeric: true })
  return [...pods.values()].sort((a, b) => collator.compare(a.id, b.id))
}

/** The pod behind an id that `podsOf` made; a state file holds only ids. */
export function podFromId(id: string): PodItem {
  const [cluster = '', namespace = '', pod = '', container] = id.split('/')
  return { id, cluster, namespace, pod, ...(container !== undefined && { container }) }
}

/** How a person reads it: `web-0.shop.a`. */
export function podName({ cluster, namespace, pod, container }: PodItem): string {
  return `${pod}.${namespace}.${cluster}${container === undefined ? '' : `+${container}`}`
}

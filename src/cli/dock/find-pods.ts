/** A selector of a command line as the pods it means: asked of the resource manager, else of what one may see. */
import { type CmdbPod, cmdbAnswerSchema } from '../../wire/api/resource-manager.js'
import { pathOf } from '../api/connection.js'
import { allItems } from '../api/pages.js'
import type { Gateway } from '../cli.js'
import { GatewayError, UsageError } from '../problem.js'
import { matcherOf, type PodItem, podsOf } from './selector.js'

export interface FindOptions {
  readonly container?: string | undefined
  /** Only pods of these data centre nodes; asks the resource manager. */
  readonly dcn?: string | undefined
  /** More pods than this are not touched. */
  readonly max: number
}

/** @throws UsageError when nothing matches, or more than `max` do */
export async function findPods(gateway: Gateway, selectors: readonly string[], options: FindOptions): Promise<PodItem[]> {
  const found = new Map<string, PodItem>()
  for (const selector of selectors) {
    const pods = await findOne(gateway, selector, options)
    if (pods.length === 0) throw new UsageError(`no pod that you may see matches "${selector}"${options.dcn ? ` in ${options.dcn}` : ''}`, 255)
    for (const pod of pods) found.set(pod.id, pod)
  }
  if (found.size > options.max)
    throw new UsageError(`${found.size} pods match, and at most ${options.max} are touched at once: narrow the selector, or say --max ${found.size}`)
  return [...found.values()]
}

async function findOne(gateway: Gateway, selector: string, options: FindOptions): Promise<PodItem[]> {
  const isWord = !/[=/*?]/.test(selector)
  if (isWord) {
    const pods = await askCmdb(gateway, selector, options.dcn)
    if (pods.length > 0) return pods.map((pod) => cmdbItem(pod, options.container))
  }
  if (options.dcn !== undefined) return []
  const matches = matcherOf(selector)
  const items = await allItems((page) => gateway.api.listTargets({ query: page }))
  return podsOf(items.filter(matches), options.container)
}

function cmdbItem({ cluster, namespace, pod }: CmdbPod, container: string | undefined): PodItem {
  const id = [cluster, namespace, pod, ...(container === undefined ? [] : [container])].join('/')
  return { id, cluster, namespace, pod, ...(container !== undefined && { container }) }
}

/** What the resource manager knows of a subsystem, an id, an IP or a name. @returns [] when it knows nothing, or there is none */
export async function askCmdb({ connection }: Gateway, query: string, dcn?: string): Promise<readonly CmdbPod[]> {
  try {
    const answer = cmdbAnswerSchema.safeParse(await connection.json('GET', pathOf('/api/v1/cmdb', { query, dcn })))
    if (!answer.success) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered a question for pods with something else')
    return answer.data.pods
  } catch (error) {
    if (error instanceof GatewayError && (error.code === 'NOT_FOUND' || error.code === 'TARGET_UNKNOWN')) return []
    throw error
  }
}

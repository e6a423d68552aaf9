/** The pod cache of a config: each cluster's pods in Redis, written by one gateway and read by all. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import { PodCacheRedis } from '../store/pod-cache-redis.js'
import type { Inventory } from '../target/inventory.js'
import { PodCache } from '../target/pod-cache.js'

export interface BuiltPodCache {
  /** Clusters whose pods were known from the cache: a start need not wait for their first reading. */
  readonly warm: ReadonlySet<string>
  close(): Promise<void>
}

/** How long a start waits for a cache; one that is slower is cold. */
const WARM_MS = 2000

/** Call it before the inventories start: gives them what the cache knows, then lets the cache follow them. */
export async function startPodCache({ podCache }: Pick<Config, 'podCache'>, inventories: readonly Inventory[], log: Logger): Promise<BuiltPodCache> {
  if (!podCache) return { warm: new Set(), close: async () => undefined }
  const { url, expireMs, leaseMs, maxEvents } = podCache
  const writer = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`
  const limits = { expireMs, leaseMs, maxEvents, commandTimeoutMs: WARM_MS, connectTimeoutMs: WARM_MS }
  const parts = inventories.map((inventory) => {
    const store = new PodCacheRedis({ url, cluster: inventory.cluster, writer, ...limits }, log)
    return { inventory, store, cache: new PodCache({ inventory, store, log }) }
  })
  const warm = new Set<string>()
  await Promise.all(
    parts.map(async ({ inventory, cache }) => {
      const pods = await cache.warm()
      if (pods > 0) warm.add(inventory.cluster)
      log.info({ cluster: inventory.cluster, pods }, 'pod-cache.read')
      cache.start()
    }),
  )
  return {
    warm,
    close: async () => {
      await Promise.all(parts.map(({ cache }) => cache.close()))
      for (const { store } of parts) store.close()
    },
  }
}

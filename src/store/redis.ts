/** The Redis client and every key name, in one place. */
import { Redis, type RedisOptions } from 'ioredis'
import type { Logger } from '../core/log.js'

/** What this gateway keeps in Redis, and under which name. */
export const REDIS_KEYS = {
  /** Stream of audit events; the id of an entry is `<seq>-0`, its one field `e` holds the event's JSON. */
  audit: 'dockin:audit',
  /** Last id of the stream; written only so that WAIT has something to wait for. */
  auditFence: 'dockin:audit:fence',
  /** The last signed head as JSON, where Redis is the anchor. */
  anchor: 'dockin:audit:anchor',
} as const

/**
 * The pod cache of a cluster. The braces keep all its keys in one slot of a Redis cluster, as the scripts need.
 * A pod's own key is `<prefix>NAMESPACE:NAME:UID`, a hash of `pod` (JSON), `added`, `updated` and `deleted` (RFC 3339).
 */
export function podCacheKeys(cluster: string): { readonly prefix: string; readonly live: string; readonly events: string; readonly writer: string } {
  const base = `dockin:pods:{${cluster}}`
  return {
    prefix: `${base}:pod:`,
    /** Hash: uid -> key of each pod that is there. */
    live: `${base}:live`,
    /** Stream of `kind, at, namespace, name, uid, pod`. */
    events: `${base}:events`,
    /** Lease: which gateway writes. */
    writer: `${base}:writer`,
  }
}

/** Longest wait for a reply; a Redis that is slower than this counts as one that does not answer. */
const COMMAND_TIMEOUT_MS = 3000
const CONNECT_TIMEOUT_MS = 3000
const MAX_BACKOFF_MS = 2000

export interface RedisClientOptions {
  readonly commandTimeoutMs?: number
  readonly connectTimeoutMs?: number
}

/**
 * A client that fails in bounded time: nothing is queued while there is no connection, nothing is sent again behind the caller's
 * back, and the connection is sought again with back-off (50 ms to 2 s) until `disconnect()`.
 * @param url redis://[user:password@]host:port/db, rediss://… or unix:///path
 */
export function openRedis(url: string, logger: Logger, options: RedisClientOptions = {}): Redis {
  const client = new Redis(url.startsWith('unix://') ? url.slice('unix://'.length) : url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
    connectTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times - 1, 10), MAX_BACKOFF_MS),
    // After a failover the old primary answers READONLY: connect again, which finds the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions)
  // Without a listener a lost connection would be an uncaught error; the commands carry the failure to who waits for it.
  client.on('error', (error: Error) => logger.debug({ reason: error.message }, 'redis.error'))
  client.on('ready', () => logger.info({}, 'redis.ready'))
  client.on('close', () => logger.warn({}, 'redis.closed'))
  return client
}

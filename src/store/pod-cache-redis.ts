/**
 * The pods of one cluster in Redis: what is known of each, when it came, changed and went, and a stream of these events.
 * Several gateways read it; one at a time writes it, and every write proves that its lease still stands.
 *
 * Whoever may write to this Redis decides which labels a gateway believes until its first reading of the cluster.
 */
import type { Redis } from 'ioredis'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import { openRedis, podCacheKeys, type RedisClientOptions } from './redis.js'

export interface PodCacheRow {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** The facts of the pod; this store does not look into them. */
  readonly json: string
}
export interface PodCacheChange extends PodCacheRow {
  readonly kind: 'added' | 'changed' | 'gone'
  /** When the gateway heard of it, in milliseconds since the epoch. */
  readonly atMs: number
}
/** An event of the stream. */
export interface PodCacheEvent extends PodCacheChange {
  /** Where a follower goes on. */
  readonly id: string
}

export interface PodCacheOptions extends RedisClientOptions {
  readonly url: string
  readonly cluster: string
  /** Of this gateway, and of no other. */
  readonly writer: string
  /** How long a writer that is not heard of keeps others from writing. Default 10 s. */
  readonly leaseMs?: number
  /** What nobody refreshes is forgotten after so long, and what has gone, too. Default 24 h. */
  readonly expireMs?: number
  /** About how many events the stream keeps. Default 10,000. */
  readonly maxEvents?: number
}

const LEASE_MS = 10_000
const EXPIRE_MS = 24 * 3_600_000
const MAX_EVENTS = 10_000
const PAGE = 500
/** Below the client's own limit for an answer. */
const BLOCK_MS = 1000

/** KEYS[1] lease; ARGV writer, milliseconds. 2 when the lease is ours and was before, 1 when it is ours anew. */
const LEAD = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return holder and 2 or 1`
const RESIGN = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`
/** KEYS lease, live, events; ARGV writer, expiry, stream length, key prefix, then kind, time, namespace, name, uid, json of each. */
const WRITE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 5, #ARGV, 6 do
  local kind, at, ns, name, uid, json = ARGV[i], ARGV[i+1], ARGV[i+2], ARGV[i+3], ARGV[i+4], ARGV[i+5]
  local key = ARGV[4] .. ns .. ':' .. name .. ':' .. uid
  if kind == 'gone' then
    redis.call('HSET', key, 'deleted', at)
    redis.call('HDEL', KEYS[2], uid)
  else
    redis.call('HSETNX', key, 'added', at)
    redis.call('HSET', key, 'updated', at, 'pod', json)
    redis.call('HSET', KEYS[2], uid, key)
  end
  redis.call('PEXPIRE', key, ARGV[2])
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[3], '*', 'kind', kind, 'at', at, 'namespace', ns, 'name', name, 'uid', uid, 'pod', json)
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1`

export class PodCacheRedis {
  readonly #options: PodCacheOptions
  readonly #keys: ReturnType<typeof podCacheKeys>
  readonly #client: Redis
  readonly #open: () => Redis
  #connecting: Promise<void> | undefined

  /** Connects at the first call. */
  constructor(options: PodCacheOptions, logger: Logger) {
    this.#options = options
    this.#keys = podCacheKeys(options.cluster)
    this.#open = () => openRedis(options.url, logger, options)
    this.#client = this.#open()
  }

  get expireMs(): number {
    return this.#options.expireMs ?? EXPIRE_MS
  }
  get leaseMs(): number {
    return this.#options.leaseMs ?? LEASE_MS
  }

  /**
   * Takes or keeps the lease. After "taken" anything may have happened to what is there: another wrote, or Redis lost it all.
   * @throws OpsError INTERNAL when Redis does not answer, as all others here
   */
  lead(): Promise<'taken' | 'kept' | false> {
    return this.#call('lead', async () => {
      const answer = await this.#client.eval(LEAD, 1, this.#keys.writer, this.#options.writer, this.leaseMs)
      return answer === 2 ? 'kept' : answer === 1 && 'taken'
    })
  }

  /** Lets another gateway write at once. */
  async resign(): Promise<void> {
    await this.#call('resign', () => this.#client.eval(RESIGN, 1, this.#keys.writer, this.#options.writer))
  }

  /** Every pod that is there, as it was last written; in no order. */
  load(): Promise<readonly PodCacheRow[]> {
    return this.#call('load', async () => {
      const live = Object.entries(await this.#client.hgetall(this.#keys.live))
      const rows: PodCacheRow[] = []
      for (let at = 0; at < live.length; at += PAGE) {
        const page = live.slice(at, at + PAGE)
        const texts = await Promise.all(page.map(([, key]) => this.#client.hget(key, 'pod')))
        for (const [i, [uid, key]] of page.entries()) {
          const [namespace = '', name = ''] = key.slice(this.#keys.prefix.length).split(':')
          const json = texts[i]
          if (json !== null && json !== undefined) rows.push({ namespace, name, uid, json })
        }
      }
      return rows
    })
  }

  /** Writes and tells, all or nothing for each page of 500. False when the lease is another's by now. */
  write(changes: readonly PodCacheChange[]): Promise<boolean> {
    return this.#call('write', async () => {
      for (let at = 0; at < changes.length; at += PAGE) {
        const words = changes.slice(at, at + PAGE).flatMap(({ kind, atMs, namespace, name, uid, json }) => {
          return [kind, new Date(atMs).toISOString(), namespace, name, uid, json]
        })
        const { writer, live, events, prefix } = this.#keys
        const limits = [this.#options.writer, this.expireMs, this.#options.maxEvents ?? MAX_EVENTS, prefix]
        const written = await this.#client.eval(WRITE, 3, writer, live, events, ...limits, ...words)
        if (written !== 1) return false
      }
      return true
    })
  }

  /** Keeps what is there from being forgotten. For the writer, well within `expireMs`. */
  async refresh(): Promise<void> {
    await this.#call('refresh', async () => {
      const keys = Object.values(await this.#client.hgetall(this.#keys.live))
      for (let at = 0; at < keys.length; at += PAGE) {
        await Promise.all(keys.slice(at, at + PAGE).map((key) => this.#client.pexpire(key, this.expireMs)))
      }
      await Promise.all([this.#client.pexpire(this.#keys.live, this.expireMs), this.#client.pexpire(this.#keys.events, this.expireMs)])
    })
  }

  /** When a pod was first seen, last changed, and deleted; RFC 3339. Undefined once it is forgotten. */
  times({ namespace, name, uid }: Omit<PodCacheRow, 'json'>): Promise<{ added: string; updated: string; deleted?: string } | undefined> {
    return this.#call('read', async () => {
      const [added, updated, deleted] = await this.#client.hmget(`${this.#keys.prefix}${namespace}:${name}:${uid}`, 'added', 'updated', 'deleted')
      if (!added) return undefined
      return { added, updated: updated ?? added, ...(deleted && { deleted }) }
    })
  }

  /**
   * Events after `from` as they come, on a connection of their own, until `signal` aborts.
   * @param from an event's id; "$": only what is to come; "0": all that the stream keeps
   */
  async *follow(from: string, signal: AbortSignal): AsyncGenerator<PodCacheEvent> {
    const client = this.#open()
    const stop = () => client.disconnect()
    signal.addEventListener('abort', stop, { once: true })
    try {
      await client.connect()
      let last = from === '$' ? ((await client.xrevrange(this.#keys.events, '+', '-', 'COUNT', 1))[0]?.[0] ?? '0') : from
      while (!signal.aborted) {
        const answer = await client.xread('COUNT', PAGE, 'BLOCK', BLOCK_MS, 'STREAMS', this.#keys.events, last)
        for (const entry of answer?.[0]?.[1] ?? []) {
          last = entry[0]
          const event = eventOf(entry)
          if (event) yield event
        }
      }
    } catch (error) {
      if (!signal.aborted) throw unavailable('follow', this.#options.cluster, error)
    } finally {
      signal.removeEventListener('abort', stop)
      client.disconnect()
    }
  }

  close(): void {
    this.#client.disconnect()
  }

  async #call<T>(action: string, work: () => Promise<T>): Promise<T> {
    try {
      if (this.#client.status === 'wait') this.#connecting = this.#client.connect()
      await this.#connecting?.finally(() => {
        this.#connecting = undefined
      })
      return await work()
    } catch (error) {
      throw unavailable(action, this.#options.cluster, error)
    }
  }
}

/** An entry of the stream is outside text too: what is none is passed over. */
function eventOf([id, words]: [string, string[]]): PodCacheEvent | undefined {
  const fields = new Map<string, string>()
  for (let i = 0; i + 1 < words.length; i += 2) fields.set(words[i] as string, words[i + 1] as string)
  const kind = fields.get('kind')
  const atMs = Date.parse(fields.get('at') ?? '')
  if ((kind !== 'added' && kind !== 'changed' && kind !== 'gone') || Number.isNaN(atMs)) return undefined
  const [namespace = '', name = '', uid = '', json = ''] = ['namespace', 'name', 'uid', 'pod'].map((key) => fields.get(key) ?? '')
  return { id, kind, atMs, namespace, name, uid, json }
}

function unavailable(action: string, cluster: string, error: unknown): OpsError {
  return new OpsError('INTERNAL', `Cannot ${action} the pod cache of ${cluster}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

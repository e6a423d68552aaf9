/**
 * AuditStore on a Redis stream. One script call appends a batch, all or nothing, and only when the stream still ends where this
 * store left it: a retry never doubles an event, and data that Redis lost (a restart without persistence, FLUSHALL, eviction)
 * is noticed at the next append instead of leaving a silent hole.
 */
import type { Redis } from 'ioredis'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { AuditFilter, AuditStore, StoredEvent } from '../core/types.js'
import { isLinked } from '../wire/evidence/chain.js'
import { eventFilter } from './audit-filter.js'
import { openRedis, REDIS_KEYS, type RedisClientOptions } from './redis.js'

/** KEYS[1] stream; ARGV[1] id it must end with ("" when empty), then id and JSON of each event. */
const APPEND = `
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local ends = tail[1] and tail[1][1] or ''
if ends ~= ARGV[1] then return redis.error_reply('MOVED-ON the stream ends with "' .. ends .. '", not "' .. ARGV[1] .. '"') end
for i = 2, #ARGV, 2 do redis.call('XADD', KEYS[1], ARGV[i], 'e', ARGV[i + 1]) end
return #ARGV`

const PAGE = 1000

export interface AuditRedisOptions extends RedisClientOptions {
  readonly url: string
  /** "dockin:audit" by default. Each gateway needs a stream of its own: a chain has one writer. */
  readonly stream?: string
  readonly name?: string
  /** After an append: wait until so many replicas hold it (WAIT), for at most `timeoutMs`. */
  readonly replicas?: { readonly count: number; readonly timeoutMs: number }
  /** After an append: wait until it is in Redis' own append-only file (WAITAOF 1 0; Redis 7.2), for at most `timeoutMs`. */
  readonly aof?: { readonly timeoutMs: number }
}

export class AuditRedis implements AuditStore {
  readonly name: string
  readonly #options: AuditRedisOptions
  readonly #stream: string
  readonly #client: Redis
  #connecting: Promise<void> | undefined
  /** Why the last connection could not be had; ioredis tells a caller only that there is none. */
  #trouble = 'no connection yet'
  /** Id that the stream ends with as far as this store knows; undefined until asked. */
  #ends: string | undefined
  #closed = false

  /** Connects at the first call. */
  constructor(options: AuditRedisOptions, logger: Logger) {
    this.#options = options
    this.name = options.name ?? 'redis'
    this.#stream = options.stream ?? REDIS_KEYS.audit
    this.#client = openRedis(options.url, logger, options)
    this.#client.on('error', (error: Error) => {
      this.#trouble = error.message
    })
    this.#client.on('ready', () => {
      this.#trouble = 'the connection was lost'
    })
  }

  /** @throws OpsError AUDIT_UNAVAILABLE within the command time-out; whether Redis took the batch then is for `last()` to say */
  async append(events: readonly StoredEvent[]): Promise<void> {
    await this.#call('append to', async () => {
      if (this.#ends === undefined) await this.#readLast()
      const args = [this.#ends ?? '']
      for (const event of events) args.push(idOf(event.seq), JSON.stringify(event))
      await this.#client.eval(APPEND, 1, this.#stream, ...args)
      await this.#replicated()
      this.#ends = args[args.length - 2]
    })
  }

  last(): Promise<StoredEvent | undefined> {
    return this.#call('read', () => this.#readLast())
  }

  /** In pages; `from` and `to` are looked at event by event, `after` is an index. */
  async *query(filter: AuditFilter, signal?: AbortSignal): AsyncGenerator<StoredEvent> {
    const passes = eventFilter(filter)
    let left = filter.limit ?? Number.POSITIVE_INFINITY
    let start = `(${idOf(filter.after ?? 0)}`
    while (left > 0) {
      signal?.throwIfAborted()
      const page = await this.#call('read', () => this.#client.xrange(this.#stream, start, '+', 'COUNT', Math.min(PAGE, Math.max(left, 100))))
      for (const entry of page) {
        const event = parseEntry(entry)
        if (!passes(event)) continue
        yield event
        if (--left <= 0) return
      }
      const end = page.at(-1)
      if (!end) return
      start = `(${end[0]}`
    }
  }

  /** Never the last entry: the end of the stream is what the next append is measured against. */
  async removeThrough(seq: number): Promise<void> {
    await this.#call('trim', async () => {
      const [last] = await this.#client.xrevrange(this.#stream, '+', '-', 'COUNT', 1)
      if (last && parseEntry(last).seq > seq) await this.#client.xtrim(this.#stream, 'MINID', idOf(seq + 1))
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#client.disconnect()
  }

  async #readLast(): Promise<StoredEvent | undefined> {
    const [entry] = await this.#client.xrevrange(this.#stream, '+', '-', 'COUNT', 1)
    const event = entry ? parseEntry(entry) : undefined
    if (entry && (this.#options.replicas || this.#options.aof)) {
      // WAIT speaks of this connection's own writes; a write now stands behind everything that the stream holds.
      await this.#client.set(REDIS_KEYS.auditFence, entry[0])
      await this.#replicated()
    }
    this.#ends = entry ? entry[0] : ''
    return event
  }

  async #replicated(): Promise<void> {
    const { replicas, aof } = this.#options
    if (replicas) {
      const held = await this.#client.wait(replicas.count, replicas.timeoutMs)
      if (held < replicas.count) throw new Error(`${held} of ${replicas.count} replicas hold it`)
    }
    if (aof) {
      const reply = await this.#client.call('WAITAOF', 1, 0, aof.timeoutMs)
      if (!Array.isArray(reply) || Number(reply[0]) < 1) throw new Error('the append-only file does not hold it')
    }
  }

  async #call<T>(action: string, work: () => Promise<T>): Promise<T> {
    try {
      await this.#connected()
      return await work()
    } catch (error) {
      this.#ends = undefined
      const { message } = error as Error
      const reason = message.startsWith("Stream isn't writeable") || message === 'Connection is closed.' ? this.#trouble : message
      // A connection that is silent may hold commands without end; a new one starts empty.
      if (reason === 'Command timed out' && !this.#closed) this.#client.disconnect(true)
      throw new OpsError('AUDIT_UNAVAILABLE', `Cannot ${action} Redis stream "${this.#stream}": ${reason}`, { cause: error })
    }
  }

  /** The first call connects; later ones find the connection or fail at once, while the client seeks a new one with back-off. */
  async #connected(): Promise<void> {
    if (this.#closed) throw new Error('the store is closed')
    if (this.#client.status === 'wait') this.#connecting = this.#client.connect()
    await this.#connecting?.finally(() => {
      this.#connecting = undefined
    })
  }
}

function idOf(seq: number): string {
  return `${seq}-0`
}

function parseEntry([id, fields]: [string, string[]]): StoredEvent {
  const event: unknown = JSON.parse(fields[1] ?? 'null')
  if (!isLinked(event) || idOf(event.seq) !== id) throw new Error(`the entry ${id} is not an event of this log`)
  return event
}

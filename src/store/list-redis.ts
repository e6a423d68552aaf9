/**
 * Lists that several gateways share: one document each in Redis, changed as a whole and only by whoever has read its newest version.
 * What stands in a list is not known here.
 */
import type { Redis } from 'ioredis'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import { openRedis, type RedisClientOptions } from './redis.js'

export type ListName = 'rules' | 'users'

/** What is kept, and under which name. */
export function listKeys(name: ListName): { readonly document: string; readonly changed: string } {
  return {
    /** Hash: `version` counts up from 1; the field of the list's name is JSON, a list in the form of rules.yaml or users.yaml. */
    document: `dockin:${name}`,
    /** Channel: the new version is published after each change. */
    changed: `dockin:${name}:changed`,
  }
}

/** KEYS[1] document, KEYS[2] channel; ARGV[1] version that it must have ("0" when there is none), ARGV[2] field, ARGV[3] list. */
const REPLACE = `
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return redis.error_reply('MOVED-ON the list has version ' .. version) end
local new = string.format('%.0f', (tonumber(version) or 0) + 1)
redis.call('HSET', KEYS[1], 'version', new, ARGV[2], ARGV[3])
redis.call('PUBLISH', KEYS[2], new)
return new`

export interface ListDocument {
  /** 0 when there is none yet. */
  readonly version: number
  /** As it was written; to be checked by who uses it. */
  readonly list: unknown
}

export class ListRedis {
  readonly #name: ListName
  readonly #keys: ReturnType<typeof listKeys>
  readonly #client: Redis
  readonly #subscriber: Redis
  readonly #connecting = new Map<Redis, Promise<void>>()
  #closed = false

  /** Connects at the first call. @param url redis://, rediss:// or unix:// */
  constructor(name: ListName, url: string, logger: Logger, options: RedisClientOptions = {}) {
    this.#name = name
    this.#keys = listKeys(name)
    this.#client = openRedis(url, logger, options)
    this.#subscriber = openRedis(url, logger, options)
  }

  /** @throws OpsError TARGET_UNREACHABLE when Redis does not answer, CONFIG_INVALID when what it holds is no JSON, or no version */
  async read(): Promise<ListDocument> {
    const [version, text] = await this.#ask((client) => client.hmget(this.#keys.document, 'version', this.#name))
    if ((version === null || version === undefined) && (text === null || text === undefined)) return { version: 0, list: [] }
    if (!isVersion(version)) throw new OpsError('CONFIG_INVALID', `Cannot read ${this.#keys.document} in Redis: "version" is no number from 1`)
    try {
      return { version: Number(version), list: JSON.parse(text ?? '') as unknown }
    } catch (error) {
      throw new OpsError('CONFIG_INVALID', `Cannot read ${this.#keys.document} in Redis: "${this.#name}" is no JSON`, { cause: error })
    }
  }

  /** What `version` says now, as it stands there; cheap enough to be asked every second. @throws OpsError TARGET_UNREACHABLE */
  version(): Promise<string | null> {
    return this.#ask((client) => client.hget(this.#keys.document, 'version'))
  }

  /**
   * Replaces the document if it still has version `expected`, and tells every gateway.
   * @param expected as it stands there, or 0 for none
   * @returns the new version
   * @throws OpsError CONFLICT when somebody else has changed it meanwhile, TARGET_UNREACHABLE
   */
  async replace(list: readonly unknown[], expected: number | string): Promise<number> {
    const { document, changed } = this.#keys
    try {
      return Number(await this.#ask((client) => client.eval(REPLACE, 2, document, changed, String(expected), this.#name, JSON.stringify(list))))
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      if (!(cause instanceof Error && cause.message.startsWith('MOVED-ON'))) throw error
      throw new OpsError('CONFLICT', `Cannot replace the ${this.#name}: ${cause.message}`, { cause, detail: `read the ${this.#name} again` })
    }
  }

  /** Calls back when the document may have changed, and when a connection came or went. Returns the way to stop. */
  follow(changed: () => void): () => void {
    const subscribe = (): void => {
      this.#subscriber.subscribe(this.#keys.changed).then(changed, () => {
        // the connection was lost again: the next one subscribes
      })
    }
    this.#subscriber.on('message', changed)
    this.#subscriber.on('ready', subscribe)
    this.#subscriber.on('close', changed)
    this.#connect(this.#subscriber).catch(() => {
      // it goes on trying by itself
    })
    return () => {
      this.#subscriber.off('message', changed)
      this.#subscriber.off('ready', subscribe)
      this.#subscriber.off('close', changed)
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#client.disconnect()
    this.#subscriber.disconnect()
  }

  async #ask<T>(command: (client: Redis) => Promise<T>): Promise<T> {
    try {
      if (this.#client.status !== 'ready') await this.#connect(this.#client)
      return await command(this.#client)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason.startsWith('WRONGTYPE')) throw new OpsError('CONFIG_INVALID', `Cannot read ${this.#keys.document} in Redis: it is no hash`, { cause: error })
      throw new OpsError('TARGET_UNREACHABLE', `Cannot ask Redis for the ${this.#name}: ${reason}`, {
        cause: error,
        detail: `the Redis that holds the ${this.#name} does not answer`,
      })
    }
  }

  #connect(client: Redis): Promise<void> {
    const known = this.#connecting.get(client)
    if (known) return known
    if (client.status !== 'wait' && client.status !== 'end') return Promise.resolve()
    const connecting = client.connect().finally(() => this.#connecting.delete(client))
    this.#connecting.set(client, connecting)
    return connecting
  }
}

function isVersion(text: string | null | undefined): text is string {
  return text !== null && text !== undefined && /^[1-9]\d{0,14}$/.test(text)
}

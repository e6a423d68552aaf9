/**
 * Rules that several gateways share: one document in Redis, changed as a whole and only by whoever has read its newest version.
 * What a rule means is not known here.
 */
import type { Redis } from 'ioredis'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import { openRedis, type RedisClientOptions } from './redis.js'

/** What is kept, and under which name. */
export const RULES_KEYS = {
  /** Hash: `version` counts up from 1, `rules` is the JSON of a list in the form of rules.yaml. */
  document: 'dockin:rules',
  /** Channel: the new version is published after each change. */
  changed: 'dockin:rules:changed',
} as const

/** KEYS[1] document, KEYS[2] channel; ARGV[1] version that it must have ("0" when there is none), ARGV[2] rules. */
const REPLACE = `
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return redis.error_reply('MOVED-ON the rules have version ' .. version) end
local new = tostring(tonumber(version) + 1)
redis.call('HSET', KEYS[1], 'version', new, 'rules', ARGV[2])
redis.call('PUBLISH', KEYS[2], new)
return new`

export interface RulesDocument {
  /** 0 when there is none yet. */
  readonly version: number
  /** As it was written; to be checked by who uses it. */
  readonly rules: unknown
}

export class RulesRedis {
  readonly #client: Redis
  readonly #subscriber: Redis
  readonly #connecting = new Map<Redis, Promise<void>>()
  #closed = false

  /** Connects at the first call. @param url redis://, rediss:// or unix:// */
  constructor(url: string, logger: Logger, options: RedisClientOptions = {}) {
    this.#client = openRedis(url, logger, options)
    this.#subscriber = openRedis(url, logger, options)
  }

  /** @throws OpsError TARGET_UNREACHABLE when Redis does not answer, CONFIG_INVALID when what it holds is no JSON */
  async read(): Promise<RulesDocument> {
    const [version, rules] = await this.#ask((client) => client.hmget(RULES_KEYS.document, 'version', 'rules'))
    if (version === null || version === undefined) return { version: 0, rules: [] }
    try {
      return { version: Number(version), rules: JSON.parse(rules ?? '') as unknown }
    } catch (error) {
      throw new OpsError('CONFIG_INVALID', `Cannot read ${RULES_KEYS.document} in Redis: it is no JSON`, { cause: error })
    }
  }

  /**
   * Replaces the document if it still has version `expected`, and tells every gateway.
   * @returns the new version
   * @throws OpsError BAD_REQUEST when somebody else has changed it meanwhile, TARGET_UNREACHABLE
   */
  async replace(rules: readonly unknown[], expected: number): Promise<number> {
    try {
      return Number(await this.#ask((client) => client.eval(REPLACE, 2, RULES_KEYS.document, RULES_KEYS.changed, String(expected), JSON.stringify(rules))))
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      if (!(cause instanceof Error && cause.message.startsWith('MOVED-ON'))) throw error
      throw new OpsError('BAD_REQUEST', `Cannot replace the rules: ${cause.message}`, { cause, detail: 'the rules were changed meanwhile, read them again' })
    }
  }

  /** Calls back when the document may have changed, and after each connection that was lost. Returns the way to stop. */
  follow(changed: () => void): () => void {
    const subscribe = (): void => {
      this.#subscriber.subscribe(RULES_KEYS.changed).then(changed, () => {
        // the connection was lost again: the next one subscribes
      })
    }
    this.#subscriber.on('message', changed)
    this.#subscriber.on('ready', subscribe)
    this.#connect(this.#subscriber).catch(() => {
      // it goes on trying by itself
    })
    return () => {
      this.#subscriber.off('message', changed)
      this.#subscriber.off('ready', subscribe)
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
      throw new OpsError('TARGET_UNREACHABLE', `Cannot ask Redis for the rules: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
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

/**
 * Keeps the last signed head outside of the log (a file on another mount, a key in Redis), so that a log that was cut back to an
 * earlier checkpoint shows. An anchor that fails never holds up the log: it is said once, and the next checkpoint tries again.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Redis } from 'ioredis'
import type { Logger } from '../core/log.js'
import type { StoredEvent } from '../core/types.js'
import type { ChainHead } from '../wire/evidence/chain.js'
import { parseSignedHead, type SignedHead } from '../wire/evidence/checkpoint.js'
import { openRedis, REDIS_KEYS } from './redis.js'

/** A place outside of the log for one signed head. */
export interface Anchor {
  readonly name: string
  put(head: SignedHead): Promise<void>
  get(): Promise<SignedHead | undefined>
  close(): Promise<void>
}

/** In a file that is replaced as a whole. */
export function fileAnchor(path: string): Anchor {
  return {
    name: path,
    async put(head) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const draft = `${path}.new`
      const file = await open(draft, 'w', 0o644)
      try {
        await file.writeFile(`${JSON.stringify(head)}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(draft, path)
    },
    async get() {
      try {
        return parseSignedHead(await readFile(path, 'utf8'))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
    },
    close: async () => {},
  }
}

/** In a key of a Redis, best one that the gateway's administrators do not run. */
export function redisAnchor(url: string, logger: Logger, key: string = REDIS_KEYS.anchor): Anchor {
  const client: Redis = openRedis(url, logger)
  const connected = async () => {
    if (client.status === 'wait') await client.connect()
  }
  return {
    name: `redis ${key}`,
    async put(head) {
      await connected()
      await client.set(key, JSON.stringify(head))
    },
    async get() {
      await connected()
      const text = await client.get(key)
      return text === null ? undefined : parseSignedHead(text)
    },
    close: async () => client.disconnect(),
  }
}

export interface AnchorLog {
  onAppend(listener: (event: StoredEvent) => void): () => void
  status(): { readonly head: ChainHead }
  write(event: { readonly type: 'admin'; readonly action: string; readonly object: string; readonly after: object }): Promise<unknown>
}

/** Lets anchors follow a log. */
export class Anchors {
  readonly #anchors: readonly Anchor[]
  readonly #log: AnchorLog
  readonly #logger: Logger
  readonly #troubled = new Set<Anchor>()
  readonly #newest = new Map<Anchor, SignedHead>()
  readonly #running = new Map<Anchor, Promise<void>>()
  readonly #leave: () => void

  constructor(anchors: readonly Anchor[], log: AnchorLog, logger: Logger) {
    this.#anchors = anchors
    this.#log = log
    this.#logger = logger
    this.#leave = log.onAppend((event) => {
      if (event.type === 'checkpoint') this.#follow(event)
    })
  }

  /** Compares what the anchors hold with where the log begins to go on from: one that is ahead means that the log was cut. Once, at start. */
  async check(openedAt: number): Promise<void> {
    for (const anchor of this.#anchors) {
      try {
        const head = await anchor.get()
        if (!head || head.count <= openedAt) continue
        this.#logger.error({ anchor: anchor.name, anchored: head.count, head: openedAt }, 'audit.cut')
        await this.#log.write({ type: 'admin', action: 'audit.cut', object: anchor.name, after: { anchored: head.count, head: openedAt, signedAt: head.time } })
      } catch (error) {
        this.#trouble(anchor, error as Error)
      }
    }
  }

  /** Call after the log was closed: its last checkpoint is waited for. */
  async close(): Promise<void> {
    this.#leave()
    await Promise.all(this.#running.values())
    await Promise.all(this.#anchors.map((anchor) => anchor.close()))
  }

  #follow({ count, head, time, keyId, signature }: SignedHead): void {
    for (const anchor of this.#anchors) {
      this.#newest.set(anchor, { count, head, time, keyId, signature })
      if (!this.#running.has(anchor)) this.#running.set(anchor, this.#write(anchor))
    }
  }

  /** One write at a time; of heads that came meanwhile only the newest. */
  async #write(anchor: Anchor): Promise<void> {
    for (let head = this.#newest.get(anchor); head; head = this.#newest.get(anchor)) {
      this.#newest.delete(anchor)
      try {
        await anchor.put(head)
        this.#troubled.delete(anchor)
      } catch (error) {
        this.#trouble(anchor, error as Error)
      }
    }
    this.#running.delete(anchor)
  }

  #trouble(anchor: Anchor, error: Error): void {
    if (this.#troubled.has(anchor)) return
    this.#troubled.add(anchor)
    this.#logger.error({ anchor: anchor.name, reason: error.message }, 'audit.anchor-failed')
    // the log itself may be closing or away: the line above is the least that is said
    void this.#log.write({ type: 'admin', action: 'audit.anchor-failed', object: anchor.name, after: { reason: error.message } }).catch(() => undefined)
  }
}

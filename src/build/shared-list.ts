/**
 * A list that lives in Redis: every gateway has it at once, and it is changed through the functions here (the API's) or in Redis
 * itself. A list is taken whole or not at all; what was taken last is kept beside the audit for a start without Redis.
 */
import { join } from 'node:path'
import { OpsError, toOpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { AuditEvent, AuditSink, Identity } from '../core/types.js'
import { type ListName, ListRedis, listKeys } from '../store/list-redis.js'
import type { ListMistake } from '../wire/api/lists.js'
import { readCopy, type SharedSet, writeCopy } from './list-copy.js'
import { difference, fingerprint } from './list-difference.js'
import { ListError, nameOf } from './list-mistakes.js'
import { ListTrouble } from './list-trouble.js'

/** What a list holds, and what is done with it. */
export interface ListKind<T> {
  readonly name: ListName
  /** @throws OpsError CONFIG_INVALID naming each mistake */
  read(list: readonly unknown[]): readonly T[]
  /** From now on these hold. */
  apply(values: readonly T[]): void
  /** What stands against a change by a person, beyond what `read` refuses. */
  objections(values: readonly T[]): readonly ListMistake[]
  /** An entry as an event may hold it. */
  shown(entry: unknown): unknown
}
export interface SharedListParts {
  readonly url: string
  readonly audit: Pick<AuditSink, 'write'>
  readonly log: Logger
  readonly dataDir: string
}
/** The version that a change was made from; "any": whatever is there. */
export type Expected = number | 'any'

/** A message that was missed, or a list that was changed without one, is seen so soon. */
const POLL_MS = 1000
/** Looked at whole, whatever its version says. */
const WHOLE_POLLS = 30

export class SharedList<T> {
  readonly #kind: ListKind<T>
  readonly #parts: SharedListParts
  readonly #store: ListRedis
  readonly #object: string
  readonly #copy: string
  #set: SharedSet = { version: 0, list: [] }
  readonly #trouble: ListTrouble
  #looking: Promise<void> = Promise.resolve()
  #polls = 0
  #stop: (() => void)[] = []

  private constructor(kind: ListKind<T>, parts: SharedListParts) {
    this.#kind = kind
    this.#parts = parts
    this.#store = new ListRedis(kind.name, parts.url, parts.log)
    this.#object = listKeys(kind.name).document
    this.#trouble = new ListTrouble(kind.name, (event) => this.#event(event), parts.log)
    this.#copy = join(parts.dataDir, 'state', `${kind.name}.json`)
  }

  /**
   * Reads the list and follows it. An empty Redis is filled with `seed` (that of the config). While Redis is away, or holds
   * something broken, the copy of the last list holds.
   * @throws OpsError CONFIG_INVALID when neither Redis nor a copy has a list that can be used
   */
  static async start<T>(kind: ListKind<T>, parts: SharedListParts, seed: readonly unknown[]): Promise<SharedList<T>> {
    const shared = new SharedList(kind, parts)
    try {
      await shared.#begin(seed)
    } catch (error) {
      await shared.close()
      throw error
    }
    shared.#stop.push(shared.#store.follow(() => void shared.look()))
    const poll = setInterval(() => void shared.#poll(), POLL_MS).unref()
    shared.#stop.push(() => clearInterval(poll))
    return shared
  }

  get name(): ListName {
    return this.#kind.name
  }

  get current(): SharedSet {
    return this.#set
  }

  /** Why what Redis holds is not in force; undefined while it is. */
  get trouble(): string | undefined {
    return this.#trouble.text
  }

  /** Reads Redis now. Never rejects: what is wrong is told, and the list before it holds. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookOnce())
    return this.#looking
  }

  /** What is wrong with a draft; nothing changes. Empty when it could be put in force. */
  check(list: readonly unknown[]): readonly ListMistake[] {
    try {
      return this.#kind.objections(this.#kind.read(list))
    } catch (error) {
      if (error instanceof ListError) return error.mistakes
      throw error
    }
  }

  /**
   * Changes the list for every gateway. The admin event, with the entries that differ, rests before the change.
   * @param edit from the list in force to the list that is to be, in the form of the file
   * @returns the new set
   * @throws OpsError CONFIG_INVALID naming each mistake and each example that comes out otherwise; CONFLICT when somebody else
   * was faster; AUDIT_UNAVAILABLE; TARGET_UNREACHABLE
   */
  async change(identity: Identity, edit: (list: readonly unknown[]) => readonly unknown[], expected?: Expected): Promise<SharedSet> {
    if (typeof expected === 'number' && expected !== this.#set.version) await this.look()
    const before = this.#set
    if (typeof expected === 'number' && expected !== before.version)
      throw new OpsError('CONFLICT', `Cannot change the ${this.name}: version ${expected} was read, ${before.version} is in force`, {
        detail: `you read version ${expected}, and ${before.version} is in force: read the ${this.name} again`,
      })
    const list = edit(before.list)
    const values = this.#kind.read(list)
    const objections = this.#kind.objections(values)
    if (objections.length > 0) throw new ListError(this.name, objections)
    // what stands in Redis may be broken, and then its version is not the one in force
    const there = expected === 'any' ? ((await this.#store.version()) ?? 0) : before.version
    const who = { user: identity.user, from: `${identity.from.host}:${identity.from.port}` }
    await this.#event({ ...who, action: 'change', ...difference(this.name, before.list, list, this.#kind.shown) })
    try {
      const version = await this.#store.replace(list, there)
      this.#apply({ version, list }, values)
      await this.#trouble.clear(version)
      await this.#keepCopy()
      return this.#set
    } catch (error) {
      await this.#event({ ...who, action: 'change.refused', after: { sha256: fingerprint(list), reason: toOpsError(error).message } })
      throw error
    }
  }

  /** Adds an entry at the end or before the one called `before`, or puts it in the place of the one of its name. @throws as `change` */
  put(identity: Identity, entry: unknown, { before, expected }: { readonly before?: string; readonly expected?: Expected } = {}): Promise<SharedSet> {
    return this.change(
      identity,
      (list) => {
        const name = nameOf(entry)
        const at = list.findIndex((each) => nameOf(each) === name)
        if (at >= 0 && before === undefined) return list.with(at, entry)
        const others = list.filter((_, i) => i !== at)
        const place = before === undefined ? others.length : others.findIndex((each) => nameOf(each) === before)
        if (place < 0) throw this.#notFound(before ?? '')
        return others.toSpliced(place, 0, entry)
      },
      expected,
    )
  }

  /** @throws OpsError NOT_FOUND; as `change` */
  remove(identity: Identity, name: string, expected?: Expected): Promise<SharedSet> {
    return this.change(
      identity,
      (list) => {
        const left = list.filter((entry) => nameOf(entry) !== name)
        if (left.length === list.length) throw this.#notFound(name)
        return left
      },
      expected,
    )
  }

  /** The entry of that name, in the form of the file. @throws OpsError NOT_FOUND */
  find(name: string): unknown {
    const entry = this.#set.list.find((each) => nameOf(each) === name)
    if (entry === undefined) throw this.#notFound(name)
    return entry
  }

  async close(): Promise<void> {
    for (const stop of this.#stop.splice(0)) stop()
    await this.#looking
    await this.#store.close()
  }

  async #begin(seed: readonly unknown[]): Promise<void> {
    try {
      const found = await this.#store.read()
      const set = found.version > 0 ? { version: found.version, list: this.#listOf(found.list) } : { version: await this.#fill(seed), list: seed }
      this.#apply(set, this.#kind.read(set.list))
      await this.#keepCopy()
    } catch (error) {
      const copy = await this.#readCopy()
      if (!copy)
        throw new OpsError(
          'CONFIG_INVALID',
          `Cannot start with ${this.name} in Redis: ${toOpsError(error).message}; and there is no copy of an earlier list that could be used`,
          { cause: error },
        )
      this.#apply(copy.set, copy.values)
      await this.#trouble.note(error, undefined, copy.set.version, `the copy of version ${copy.set.version} is in force`)
    }
  }

  /** Several gateways may start on an empty Redis at once; who comes second takes what the first has written. */
  async #fill(seed: readonly unknown[]): Promise<number> {
    this.#kind.read(seed)
    if (seed.length === 0) throw new OpsError('CONFIG_INVALID', `${this.#object} in Redis is empty and the config has no seed for it`)
    return this.#store.replace(seed, 0)
  }

  async #poll(): Promise<void> {
    this.#polls++
    if (this.#trouble.text === undefined && this.#polls % WHOLE_POLLS !== 0) {
      const version = await this.#store.version().catch(() => undefined)
      if (version === String(this.#set.version)) return
    }
    await this.look()
  }

  async #lookOnce(): Promise<void> {
    const before = this.#set
    let found: string | undefined
    try {
      const { version, list: value } = await this.#store.read()
      if (version === 0) throw new OpsError('CONFIG_INVALID', `Cannot find ${this.#object} in Redis any more`)
      found = fingerprint(value)
      if (found === fingerprint(before.list)) {
        this.#set = { version, list: before.list }
        await this.#trouble.clear(version)
        return
      }
      const list = this.#listOf(value)
      const values = this.#kind.read(list)
      await this.#event({ action: 'reload', ...difference(this.name, before.list, list, this.#kind.shown) })
      this.#apply({ version, list }, values)
      await this.#trouble.clear(version)
      await this.#keepCopy()
      this.#parts.log.info({ list: this.name, version, entries: values.length }, 'list.reload')
    } catch (error) {
      await this.#trouble.note(error, found, before.version, `version ${before.version} is in force`)
    }
  }

  #event({ action, ...rest }: { readonly action: string; readonly before?: unknown; readonly after?: unknown; readonly user?: string }): Promise<unknown> {
    const event: AuditEvent = { ...rest, type: 'admin', action: `${this.name}.${action}`, object: this.#object }
    return this.#parts.audit.write(event)
  }

  #apply(set: SharedSet, values: readonly T[]): void {
    this.#kind.apply(values)
    this.#set = set
  }

  /** Without it the gateway runs on; a start without Redis would find an older list, or none. */
  async #keepCopy(): Promise<void> {
    await writeCopy(this.#copy, this.#set).catch((error: unknown) => this.#parts.log.error({ error, file: this.#copy }, 'list.copy'))
  }

  async #readCopy(): Promise<{ readonly set: SharedSet; readonly values: readonly T[] } | undefined> {
    try {
      const set = await readCopy(this.#copy)
      return { set, values: this.#kind.read(set.list) }
    } catch (error) {
      this.#parts.log.error({ file: this.#copy, reason: toOpsError(error).message }, 'list.copy')
      return undefined
    }
  }

  #listOf(value: unknown): readonly unknown[] {
    if (!Array.isArray(value)) throw new OpsError('CONFIG_INVALID', `Cannot use the ${this.name}: they are no list`)
    return value
  }

  #notFound(name: string): OpsError {
    const text = escapePeerText(name, 100)
    return new OpsError('NOT_FOUND', `nothing among the ${this.name} is called "${text}"`, { detail: `nothing among the ${this.name} is called ${text}` })
  }
}

/**
 * Rules that live in Redis: every gateway has them at once, and they are changed through the functions here (the API's) or in
 * Redis itself. A set is taken whole or not at all; what was taken last is kept beside the audit for a start without Redis.
 */

import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { Config } from '../config/values.js'
import { OpsError, toOpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { AuditSink, Identity } from '../core/types.js'
import { wrongExamples, wrongExampleText } from '../policy/examples.js'
import { type Rule, ruleSchema } from '../policy/rules.js'
import { reask } from '../session/reask.js'
import type { SessionRegistry } from '../session/registry.js'
import { RULES_KEYS, RulesRedis } from '../store/rules-redis.js'
import type { RuleBook } from './rules.js'

export interface SharedRulesParts {
  readonly url: string
  readonly book: RuleBook
  readonly registry: SessionRegistry
  readonly audit: Pick<AuditSink, 'write'>
  readonly log: Logger
  readonly dataDir: string
}
/** What is in force, in the form of rules.yaml. */
export interface SharedSet {
  readonly version: number
  readonly rules: readonly unknown[]
}

/** Where no message comes (a subscription that was lost silently): read so often. */
const POLL_MS = 30_000

export class SharedRules {
  readonly #parts: SharedRulesParts
  readonly #store: RulesRedis
  readonly #copy: string
  #set: SharedSet = { version: 0, rules: [] }
  #trouble: string | undefined
  #refused = ''
  #looking: Promise<void> = Promise.resolve()
  #stop: (() => void)[] = []

  private constructor(parts: SharedRulesParts) {
    this.#parts = parts
    this.#store = new RulesRedis(parts.url, parts.log)
    this.#copy = join(parts.dataDir, 'state', 'rules.json')
  }

  /**
   * Reads the rules and follows them. An empty Redis is filled with `seed` (those of the config). While Redis is away the copy
   * of the last set holds.
   * @param seed in the form of rules.yaml
   * @throws OpsError CONFIG_INVALID when neither Redis nor a copy has rules that can be used
   */
  static async start(parts: SharedRulesParts, seed: readonly unknown[]): Promise<SharedRules> {
    const shared = new SharedRules(parts)
    try {
      await shared.#begin(seed)
    } catch (error) {
      await shared.close()
      throw error
    }
    shared.#stop.push(shared.#store.follow(() => void shared.look()))
    const poll = setInterval(() => void shared.look(), POLL_MS).unref()
    shared.#stop.push(() => clearInterval(poll))
    return shared
  }

  get current(): SharedSet {
    return this.#set
  }

  /** Why what Redis holds is not in force; undefined while it is. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Reads Redis now. Never rejects: what is wrong is logged, and the set before it holds. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#lookOnce())
    return this.#looking
  }

  /**
   * Changes the rules for every gateway. The admin event, with the rules that differ, rests before the change.
   * @param edit from the list in force to the list that is to be, in the form of rules.yaml
   * @returns the new set
   * @throws OpsError CONFIG_INVALID naming each mistake and each example that comes out otherwise; BAD_REQUEST when somebody else
   * was faster; AUDIT_UNAVAILABLE; TARGET_UNREACHABLE
   */
  async change(identity: Identity, edit: (rules: readonly unknown[]) => readonly unknown[]): Promise<SharedSet> {
    const before = this.#set
    const rules = edit(before.rules)
    const checked = checkedRules(rules)
    const wrong = checked.flatMap((rule) => wrongExamples(rule).map((each) => `rule ${each.rule}: "${each.line}" ${wrongExampleText(each)}`))
    if (wrong.length > 0) throw invalid(wrong)
    const { user, from } = identity
    const who = { user, from: `${from.host}:${from.port}` }
    await this.#parts.audit.write({ ...who, type: 'admin', action: 'rules.change', object: RULES_KEYS.document, ...difference(before.rules, rules) })
    try {
      const version = await this.#store.replace(rules, before.version)
      this.#apply({ version, rules }, checked)
      await this.#keepCopy()
      return this.#set
    } catch (error) {
      const reason = toOpsError(error).message
      await this.#parts.audit.write({ ...who, type: 'admin', action: 'rules.change.refused', object: RULES_KEYS.document, after: { reason } })
      throw error
    }
  }

  /** Adds a rule at the end or before the rule `before`, or puts it in the place of the one of its name. @throws as `change` */
  put(identity: Identity, rule: unknown, before?: string): Promise<SharedSet> {
    return this.change(identity, (rules) => {
      const name = nameOf(rule)
      const at = rules.findIndex((each) => nameOf(each) === name)
      if (at >= 0 && before === undefined) return rules.with(at, rule)
      const others = rules.filter((_, i) => i !== at)
      const place = before === undefined ? others.length : others.findIndex((each) => nameOf(each) === before)
      if (place < 0) throw new OpsError('NOT_FOUND', `no rule "${before ?? ''}"`, { detail: `no rule is called ${escapePeerText(before ?? '', 100)}` })
      return others.toSpliced(place, 0, rule)
    })
  }

  /** @throws OpsError NOT_FOUND; as `change` */
  remove(identity: Identity, name: string): Promise<SharedSet> {
    return this.change(identity, (rules) => {
      const left = rules.filter((rule) => nameOf(rule) !== name)
      if (left.length === rules.length) throw new OpsError('NOT_FOUND', `no rule "${escapePeerText(name, 100)}"`, { detail: 'no rule has that name' })
      return left
    })
  }

  async close(): Promise<void> {
    for (const stop of this.#stop.splice(0)) stop()
    await this.#looking
    await this.#store.close()
  }

  async #begin(seed: readonly unknown[]): Promise<void> {
    const { log } = this.#parts
    try {
      const found = await this.#store.read()
      const set = found.version > 0 ? { version: found.version, rules: listOf(found.rules) } : { version: await this.#store.replace(seed, 0), rules: seed }
      this.#apply(set, checkedRules(set.rules))
      await this.#keepCopy()
    } catch (error) {
      const copy = await this.#readCopy()
      if (!copy)
        throw new OpsError('CONFIG_INVALID', `Cannot start with rules in Redis: ${toOpsError(error).message}; and there is no copy of an earlier set`, {
          cause: error,
        })
      this.#apply(copy, checkedRules(copy.rules))
      this.#trouble = `${toOpsError(error).message}; the copy of version ${copy.version} is in force`
      log.error({ reason: toOpsError(error).message, version: copy.version }, 'rules.copy')
    }
  }

  async #lookOnce(): Promise<void> {
    const { audit, log } = this.#parts
    const before = this.#set
    let found: string | undefined
    try {
      const { version, rules } = await this.#store.read()
      if (version === 0) throw new OpsError('CONFIG_INVALID', `Cannot find ${RULES_KEYS.document} in Redis any more`)
      found = fingerprint(rules)
      if (found === fingerprint(this.#set.rules)) {
        this.#set = { version, rules: this.#set.rules }
        this.#trouble = undefined
        return
      }
      const list = listOf(rules)
      const checked = checkedRules(list)
      await audit.write({ type: 'admin', action: 'rules.reload', object: RULES_KEYS.document, ...difference(before.rules, list) })
      this.#apply({ version, rules: list }, checked)
      await this.#keepCopy()
      log.info({ version, rules: checked.length }, 'rules.reload')
    } catch (error) {
      const reason = toOpsError(error).message
      this.#trouble = `${reason}; version ${before.version} is in force`
      log.error({ reason }, 'rules.reload.refused')
      // told once for each broken set, not at each look; that Redis is away is no change
      if (toOpsError(error).code !== 'CONFIG_INVALID' || this.#refused === `${found}${reason}`) return
      this.#refused = `${found}${reason}`
      await audit
        .write({
          type: 'admin',
          action: 'rules.reload.refused',
          object: RULES_KEYS.document,
          before: { version: before.version },
          after: { sha256: found, reason },
        })
        .catch((failure: unknown) => log.error({ error: failure }, 'audit.failed'))
    }
  }

  #apply(set: SharedSet, rules: readonly Rule[]): void {
    const { book, registry } = this.#parts
    book.replaceRules(rules)
    this.#set = set
    this.#trouble = undefined
    reask(registry, book.policy)
  }

  /** Without it the gateway runs on; a start without Redis would find an older set, or none. */
  async #keepCopy(): Promise<void> {
    try {
      await mkdir(dirname(this.#copy), { recursive: true, mode: 0o700 })
      await writeFile(`${this.#copy}.new`, `${JSON.stringify(this.#set)}\n`, { mode: 0o600 })
      await rename(`${this.#copy}.new`, this.#copy)
    } catch (error) {
      this.#parts.log.error({ error, file: this.#copy }, 'rules.copy')
    }
  }

  async #readCopy(): Promise<SharedSet | undefined> {
    const text = await readFile(this.#copy, 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as SharedSet)
  }
}

/** The shared rules of a config that has them; what is answered closes either way. */
export async function buildSharedRules(
  config: Config,
  parts: Omit<SharedRulesParts, 'url' | 'dataDir'>,
): Promise<{ readonly shared: SharedRules | undefined; close(): Promise<void> }> {
  const { ruleStore, dataDir } = config
  const shared = ruleStore && (await SharedRules.start({ ...parts, url: ruleStore.redis, dataDir }, ruleStore.seed))
  return { shared, close: async () => shared?.close() }
}

/** @throws OpsError CONFIG_INVALID naming each mistake as `[index] (name) key: message` */
function checkedRules(rules: readonly unknown[]): readonly Rule[] {
  const mistakes: string[] = []
  const names = new Set<string>()
  const checked = rules.flatMap((value, i) => {
    const result = ruleSchema.safeParse(value)
    if (!result.success) {
      mistakes.push(...result.error.issues.map(({ path, message }) => `rule [${i}] ${nameOf(value) ?? ''}: ${z.core.toDotPath(path)}: ${message}`))
      return []
    }
    if (names.has(result.data.name)) mistakes.push(`rule [${i}]: a second rule is called ${result.data.name}`)
    names.add(result.data.name)
    return [result.data]
  })
  if (mistakes.length > 0) throw invalid(mistakes)
  return checked
}

function invalid(mistakes: readonly string[]): OpsError {
  const text = escapePeerText(mistakes.slice(0, 20).join('; '), 4000)
  return new OpsError('CONFIG_INVALID', `Cannot use the rules: ${text}`, { detail: text })
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new OpsError('CONFIG_INVALID', 'Cannot use the rules: they are no list')
  return value
}

function nameOf(rule: unknown): string | undefined {
  return typeof rule === 'object' && rule !== null && 'name' in rule && typeof rule.name === 'string' ? rule.name : undefined
}

function fingerprint(rules: unknown): string {
  return createHash('sha256').update(JSON.stringify(rules)).digest('hex')
}

/** The rules that differ, and the order of names where only that does. */
function difference(before: readonly unknown[], after: readonly unknown[]): { readonly before: unknown; readonly after: unknown } {
  const without = (these: readonly unknown[], those: readonly unknown[]): readonly unknown[] =>
    these.filter((rule) => !those.some((other) => isDeepStrictEqual(rule, other)))
  const [gone, come] = [without(before, after), without(after, before)]
  if (gone.length === 0 && come.length === 0) return { before: before.map(nameOf), after: after.map(nameOf) }
  return { before: { sha256: fingerprint(before), rules: gone }, after: { sha256: fingerprint(after), rules: come } }
}

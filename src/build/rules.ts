/**
 * Rules and users that change while the gateway runs. One value holds the policy (LivePolicy), one the people
 * (LiveDirectory); this file decides when they are replaced: all of a new set, or nothing of it.
 */
import type { Registry } from 'prom-client'
import { Counter, Gauge } from 'prom-client'
import { ConfigError, mistakeText } from '../config/mistakes.js'
import { contentHash, type PartFiles, type PartName, partFiles } from '../config/sources.js'
import type { Config } from '../config/values.js'
import { FileWatch } from '../config/watch.js'
import { loadConfig } from '../config.js'
import { toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { AuditSink, Identity } from '../core/types.js'
import type { User } from '../identity/directory.js'
import { LiveDirectory } from '../identity/live-directory.js'
import { LivePolicy } from '../policy/live-policy.js'
import { createPolicy } from '../policy/policy.js'
import type { Rule } from '../policy/rules.js'
import { vetLine } from '../policy/vet.js'
import { reask } from '../session/reask.js'
import type { SessionRegistry } from '../session/registry.js'

/** What is in force. */
export class RuleBook {
  readonly directory: LiveDirectory
  readonly policy: LivePolicy
  #rules: readonly Rule[]
  #users: readonly User[]

  constructor(rules: readonly Rule[], users: readonly User[]) {
    this.#users = users
    this.directory = new LiveDirectory(users)
    this.policy = new LivePolicy(createPolicy(rules, vetLine), this.directory)
    this.#rules = rules
  }

  /** The rules in force, in their order; for those who show or test them. */
  get rules(): readonly Rule[] {
    return this.#rules
  }

  /** The users in force; for those who show them. */
  get users(): readonly User[] {
    return this.#users
  }

  replaceRules(rules: readonly Rule[]): void {
    this.policy.replace(createPolicy(rules, vetLine))
    this.#rules = rules
  }

  replaceUsers(users: readonly User[]): void {
    this.directory.replace(users)
    this.#users = users
  }

  /** `identity` with today's groups and roles; undefined when its account is gone. */
  current(identity: Identity): Identity | undefined {
    return this.directory.current(identity)
  }
}

/** How the last attempts went. */
export interface ReloadStatus {
  /** Reloads that took effect. */
  readonly reloads: number
  /** Changes that were refused. */
  readonly refusals: number
  /** Why the files on disk are not in force; undefined while they are. */
  readonly trouble: string | undefined
}

export interface ReloadParts {
  readonly config: Config
  readonly book: RuleBook
  readonly registry: SessionRegistry
  readonly audit: Pick<AuditSink, 'write'>
  readonly log: Logger
}

/** Follows the files of users and rules. */
export class RuleReload {
  readonly #parts: ReloadParts
  readonly #watch: FileWatch
  readonly #files: PartFiles
  readonly #hup = (): void => void this.look()
  #inForce: Readonly<Record<PartName, string>>
  #lastTried: string
  #status: ReloadStatus = { reloads: 0, refusals: 0, trouble: undefined }

  private constructor(parts: ReloadParts, files: PartFiles, hashes: Readonly<Record<PartName, string>>) {
    this.#parts = parts
    this.#files = files
    this.#inForce = hashes
    this.#lastTried = JSON.stringify(hashes)
    this.#watch = new FileWatch(Object.values(files), () => this.#reload(), parts.log)
    process.on('SIGHUP', this.#hup)
  }

  static async start(parts: ReloadParts): Promise<RuleReload> {
    const files = await partFiles(parts.config.file)
    return new RuleReload(parts, files, await hashes(files))
  }

  status(): ReloadStatus {
    return this.#status
  }

  /** Looks at the files now. */
  look(): Promise<void> {
    return this.#watch.look()
  }

  async close(): Promise<void> {
    process.off('SIGHUP', this.#hup)
    await this.#watch.close()
  }

  async #reload(): Promise<void> {
    const found = await hashes(this.#files)
    const tried = JSON.stringify(found)
    if (tried === this.#lastTried) return
    const { ruleStore, userStore } = this.#parts.config
    // what lives in Redis changes there
    const isHere = { rules: ruleStore === undefined, users: userStore === undefined }
    const changed = (Object.keys(found) as PartName[]).filter((part) => found[part] !== this.#inForce[part] && isHere[part])
    if (changed.length === 0) {
      // back to what is in force
      this.#lastTried = tried
      this.#status = { ...this.#status, trouble: undefined }
      return
    }
    try {
      await this.#apply(await loadConfig(this.#parts.config.file), changed, found)
      this.#lastTried = tried
    } catch (error) {
      await this.#refuse(error, changed, found)
      // a broken file is looked at again when it changes; an audit that was away, at the next look
      if (toOpsError(error).code === 'CONFIG_INVALID') this.#lastTried = tried
    }
  }

  /** The event rests first: a change that nobody could find later does not take effect. */
  async #apply(config: Config, changed: readonly PartName[], found: Readonly<Record<PartName, string>>): Promise<void> {
    const { book, registry, audit, log } = this.#parts
    for (const part of changed) await audit.write(event('reload', part, this.#files[part], this.#inForce[part], { sha256: found[part] }))
    if (changed.includes('users')) book.replaceUsers(config.users)
    if (changed.includes('rules')) book.replaceRules(config.rules)
    this.#inForce = { ...this.#inForce, ...Object.fromEntries(changed.map((part) => [part, found[part]])) }
    this.#status = { ...this.#status, reloads: this.#status.reloads + 1, trouble: undefined }
    for (const warning of config.warnings) log.warn({ ...warning }, 'config.warning')
    const ended = reask(registry, book.policy)
    log.info({ parts: changed, users: config.users.length, rules: config.rules.length, ended }, 'rules.reload')
  }

  async #refuse(error: unknown, changed: readonly PartName[], found: Readonly<Record<PartName, string>>): Promise<void> {
    const { audit, log } = this.#parts
    const mistakes = error instanceof ConfigError ? error.mistakes : []
    for (const { file, line, key, message } of mistakes) log.error({ file, line, key, reason: message }, 'rules.reload.refused')
    const reason = mistakes[0] ? mistakeText(mistakes[0]) : toOpsError(error).message
    if (mistakes.length === 0) log.error({ reason }, 'rules.reload.refused')
    this.#status = { ...this.#status, refusals: this.#status.refusals + 1, trouble: `${reason}; the set before it is in force` }
    const events = changed.map((part) => event('reload.refused', part, this.#files[part], this.#inForce[part], { sha256: found[part], reason }))
    await Promise.all(events.map((each) => audit.write(each))).catch((failure: unknown) => log.error({ error: failure }, 'audit.failed'))
  }
}

function event(action: string, part: PartName, file: string, before: string, after: Readonly<Record<string, unknown>>): Parameters<AuditSink['write']>[0] {
  return { type: 'admin', action: `${part}.${action}`, object: file, before: { sha256: before }, after }
}

async function hashes(files: PartFiles): Promise<Readonly<Record<PartName, string>>> {
  const [users, rules] = await Promise.all([contentHash(files.users), contentHash(files.rules)])
  return { users, rules }
}

/** `dockin_rules`, `dockin_rules_reloads_total{result}`, `dockin_rules_in_force`. */
export function ruleMetrics(registry: Registry, book: RuleBook, status: () => ReloadStatus): void {
  const registers = [registry]
  new Gauge({
    name: 'dockin_rules',
    help: 'Rules in force',
    registers,
    collect() {
      this.set(book.rules.length)
    },
  })
  new Gauge({
    name: 'dockin_rules_in_force',
    help: '0 while the files of rules and users hold something that was refused',
    registers,
    collect() {
      this.set(status().trouble === undefined ? 1 : 0)
    },
  })
  new Counter({
    name: 'dockin_rules_reloads_total',
    help: 'Changes of rules and users that took effect, and that were refused',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset()
      this.inc({ result: 'applied' }, status().reloads)
      this.inc({ result: 'refused' }, status().refusals)
    },
  })
}

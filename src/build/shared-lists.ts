/** The lists of a config that live in Redis, and what /readyz says of them. */
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import { Scope } from '../core/scope.js'
import type { AuditSink } from '../core/types.js'
import type { ReadyCheck } from '../http/health.js'
import type { User } from '../identity/directory.js'
import type { Rule } from '../policy/rules.js'
import type { SessionRegistry } from '../session/registry.js'
import type { RuleBook } from './rules.js'
import { SharedList } from './shared-list.js'
import { ruleList } from './shared-rules.js'
import { userList } from './shared-users.js'

export interface SharedLists {
  readonly rules?: SharedList<Rule>
  readonly users?: SharedList<User>
  /** They say why what Redis holds is not in force. The gateway goes on serving by what was in force before. */
  readonly checks: readonly ReadyCheck[]
  close(): Promise<void>
}

/** @throws OpsError CONFIG_INVALID when a list can be had neither from Redis nor from the copy of an earlier one */
export async function buildSharedLists(
  { ruleStore, userStore, dataDir }: Pick<Config, 'ruleStore' | 'userStore' | 'dataDir'>,
  parts: { readonly book: RuleBook; readonly registry: SessionRegistry; readonly audit: Pick<AuditSink, 'write'>; readonly log: Logger },
): Promise<SharedLists> {
  const { book, registry, audit, log } = parts
  const scope = new Scope()
  try {
    // people first: a rule that names somebody must not meet an empty directory
    const users = userStore && scope.add(await SharedList.start(userList(book, registry), { url: userStore.redis, audit, log, dataDir }, userStore.seed))
    const rules = ruleStore && scope.add(await SharedList.start(ruleList(book, registry), { url: ruleStore.redis, audit, log, dataDir }, ruleStore.seed))
    const lists = [users, rules].flatMap((list) => list ?? [])
    const checks = lists.map((list): ReadyCheck => ({ name: `${list.name} in redis`, isAdvice: true, check: () => list.trouble }))
    return { ...(rules && { rules }), ...(users && { users }), checks, close: () => scope.close() }
  } catch (error) {
    await scope.close()
    throw error
  }
}

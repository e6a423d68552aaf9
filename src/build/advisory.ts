/** The advisory command log: of plain shells, and of what is typed inside an opaque program of a guarded one. */
import type { Logger } from '../core/log.js'
import type { AuditSink, CommandRule, Interceptor, Policy } from '../core/types.js'
import { judge } from '../policy/judge.js'
import { advisory } from '../stage/advisory.js'

/** Lets everything run: only what the analyser finds in a line is asked of it. */
const ANY: CommandRule = { mode: 'deny', entries: [], opaque: true, escapeCapable: true, shells: [] }

/** Guarded shells that run an opaque line now, and the rule that let it. */
export class NestedRuns {
  readonly #rules = new Map<string, string>()

  /** @param rule undefined: the line is over */
  set(session: string, rule: string | undefined): void {
    if (rule === undefined) this.#rules.delete(session)
    else this.#rules.set(session, rule)
  }

  ruleOf(session: string): string | undefined {
    return this.#rules.get(session)
  }
}

/** A stage for each shell. */
export function advisoryLog(policy: Policy, audit: AuditSink, log: Logger, nested: NestedRuns): Interceptor {
  return advisory({
    audit,
    log,
    source: ({ id, identity, target, door }) => {
      if (door !== 'shell' && door !== 'ws') return undefined
      const verdict = policy.decide({ kind: 'open', identity, target, door })
      if (!verdict.allow) return undefined
      if (verdict.commands) return { confidence: 'nested', rule: () => nested.ruleOf(id) }
      return { confidence: 'advisory', rule: () => verdict.rule }
    },
    commands: (line) => judge(line, ANY, { dialect: 'bash', cwd: '/' }).commands,
  })
}

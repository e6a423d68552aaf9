/** The advisory command log of plain shells, joined with the policy that says which are plain. */
import type { Logger } from '../core/log.js'
import type { AuditSink, CommandRule, Interceptor, Policy } from '../core/types.js'
import { judge } from '../policy/judge.js'
import { advisory } from '../stage/advisory.js'

/** Lets everything run: only what the analyser finds in a line is asked of it. */
const ANY: CommandRule = { mode: 'deny', entries: [], opaque: true, escapeCapable: true, shells: [] }

/** A stage for each shell whose rule has no command list. */
export function advisoryLog(policy: Policy, audit: AuditSink, log: Logger): Interceptor {
  return advisory({
    audit,
    log,
    rule: ({ identity, target, door }) => {
      if (door !== 'shell' && door !== 'ws') return undefined
      const verdict = policy.decide({ kind: 'open', identity, target, door })
      return verdict.allow && !verdict.commands ? verdict.rule : undefined
    },
    commands: (line) => judge(line, ANY, { dialect: 'bash', cwd: '/' }).commands,
  })
}

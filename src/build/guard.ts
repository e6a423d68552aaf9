/** The policy as the guarded shell's judge. */
import type { AuditSink, Policy } from '../core/types.js'
import type { LineDecision } from '../guard/parts.js'
import { openGuardedShell } from '../guard/shell.js'
import type { GuardedShell } from '../session/start.js'

/** Opens guarded shells whose lines go through `policy.decide` like those of every other door. */
export function guardedShells(policy: Policy, audit: AuditSink): GuardedShell {
  return ({ session, pty, env, grant, exec, signal }) => {
    const { identity, target, door } = session
    const { user, from } = identity
    const { cluster, namespace, pod, container, uid, node } = target
    const subject = { session: session.id, user, from: `${from.host}:${from.port}`, door, target: { cluster, namespace, pod, container, uid, node } }
    if (!grant.commands) throw new Error(`rule "${grant.rule}" has no command list`)
    return openGuardedShell({
      exec,
      pty,
      user,
      // cluster and container stand in the audit, a prompt must leave room for a line
      targetLabel: `${namespace}/${pod}`,
      rule: { name: grant.rule, commands: grant.commands },
      decide: (line, { dialect, cwd }): LineDecision => {
        const verdict = policy.decide({ kind: 'run', identity, target, door, line, dialect, cwd })
        const { analysis, rule } = verdict
        const facts = { rule, commands: analysis?.commands, confidence: analysis?.confidence ?? 'exact', sizeChecks: analysis?.sizeChecks }
        if (verdict.allow) return { verdict: 'allow', ...facts }
        return { verdict: analysis?.incomplete ? 'incomplete' : 'deny', reason: verdict.reason, message: verdict.message, ...facts }
      },
      record: (event) => audit.write({ ...subject, ...event }),
      env,
      signal,
    })
  }
}

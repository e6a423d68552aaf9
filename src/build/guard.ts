/** The policy as the guarded shell's judge, and the waiting room of approvals as whom it asks. */
import type { AuditSink, Demand, Policy, Verdict } from '../core/types.js'
import type { LineDecision } from '../guard/parts.js'
import { openGuardedShell } from '../guard/shell.js'
import { type Approvals, approversText } from '../session/approvals.js'
import type { GuardedShell } from '../session/start.js'
import type { NestedRuns } from './advisory.js'

/**
 * Opens guarded shells whose lines go through `policy.decide` like those of every other door.
 * @param nested told while a line runs whose input is read by a program of its own
 * @param approvals who is asked where a rule wants another person's yes; without it such lines are refused
 */
export function guardedShells(policy: Policy, audit: AuditSink, approvals?: Approvals, nested?: NestedRuns): GuardedShell {
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
      decide: (line, { dialect, cwd }) => lineDecision(policy.decide({ kind: 'run', identity, target, door, line, dialect, cwd })),
      confirmWord: pod,
      approve:
        approvals &&
        ((line, { rule = grant.rule, reason = '', demand }, { cwd }, ending) => ask(approvals, { line, session, rule, reason, cwd }, demand, ending)),
      onOpaque: (rule) => nested?.set(session.id, rule),
      record: (event) => audit.write({ ...subject, ...event }),
      env,
      signal,
    })
  }
}

/** A verdict in the words of the shell. */
export function lineDecision(verdict: Verdict): LineDecision {
  const { analysis, rule } = verdict
  const facts = { rule, commands: analysis?.commands, confidence: analysis?.confidence ?? 'exact', sizeChecks: analysis?.sizeChecks, opaque: analysis?.opaque }
  if (verdict.allow) return { verdict: 'allow', ...facts, editLimit: verdict.commands?.editLimit }
  const { reason, message, demand } = verdict
  if (analysis?.incomplete) return { verdict: 'incomplete', reason, message, ...facts }
  if (!demand) return { verdict: 'deny', reason, message, ...facts }
  return { verdict: demand.kind, reason, message, demand, ...(demand.kind === 'approve' && { asked: approversText(demand.by) }), ...facts }
}

type Asked = Omit<Parameters<Approvals['request']>[0], 'by' | 'withinMs'>

async function ask(approvals: Approvals, asked: Asked, demand: Demand | undefined, signal: AbortSignal): Promise<Awaited<ReturnType<Approvals['request']>>> {
  if (demand?.kind !== 'approve') throw new Error('a line without approvers cannot be approved')
  return approvals.request({ ...asked, by: demand.by, withinMs: demand.withinMs }, signal)
}

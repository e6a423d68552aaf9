/** What a rule asks for before an exec line may run: nobody can type there, but somebody else can say yes. */
import { toOpsError } from '../core/errors.js'
import type { Verdict } from '../core/types.js'
import { type ApprovalAnswer, type ApprovalRequest, type Approvals, approversText } from './approvals.js'

/** A verdict, and who was asked for it. */
export interface Settled {
  readonly verdict: Verdict
  /** Present when the rule asked for something: what the command event says in place of allow and deny. */
  readonly asked?: Partial<ApprovalAnswer> & Pick<ApprovalAnswer, 'verdict'>
}

export interface DemandParts {
  readonly line: string
  readonly session: ApprovalRequest['session']
  /** The verdict of now. Asked again after an approval: rules may have changed. */
  readonly decide: () => Verdict
  /** Absent: nobody can be asked. */
  readonly approvals: Approvals | undefined
  /** One line on the user's stderr. */
  readonly tell: (text: string) => void
  /** The client's end withdraws the line. */
  readonly signal: AbortSignal
}

/**
 * Decides an exec line, waiting for an approver where the rule wants one.
 * @returns allowed only when the line may run now; never throws: who was not asked has not approved
 */
export async function settle(parts: DemandParts): Promise<Settled> {
  const first = parts.decide()
  if (first.allow || !first.demand) return { verdict: first }
  const refused = (why: string, asked: Partial<ApprovalAnswer> = {}): Settled => ({
    verdict: { ...first, reason: `${first.reason}; ${why}` },
    asked: { ...asked, verdict: 'refused' },
  })
  if (first.demand.kind === 'confirm') return refused('to confirm it, enter the line in a shell')
  const { line, session, approvals, tell, signal } = parts
  if (!approvals) return refused('nobody can be asked here')
  const { by, withinMs } = first.demand
  tell(`this line waits for approval (${first.reason}), asked of ${approversText(by)}; Ctrl-C withdraws it`)
  try {
    const answer = await approvals.request({ line, session, rule: first.rule ?? '', reason: first.reason, by, withinMs }, signal)
    if (answer.verdict === 'refused') return refused(`${answer.approver} refused${answer.note === undefined ? '' : `: ${answer.note}`}`, answer)
    const again = parts.decide()
    if (again.allow) return { verdict: again, asked: answer }
    if (again.demand?.kind !== 'approve' || again.rule === undefined) return { verdict: again, asked: { ...answer, verdict: 'refused' } }
    const { rule, analysis } = again
    return { verdict: { allow: true, rule, ...(analysis && { analysis }) }, asked: answer }
  } catch (error) {
    const { detail, userText } = toOpsError(error)
    return refused(detail ?? userText)
  }
}

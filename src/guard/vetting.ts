/** CHECK and WAIT: everything that must be known and kept before a line may run. */
import { OpsError, toOpsError } from '../core/errors.js'
import type { Dialect } from '../core/types.js'
import type { Approval, GuardEvent, GuardParts, LineDecision } from './parts.js'
import { askOver, fileSizeOver } from './side-exec.js'

export interface Where {
  readonly dialect: Dialect
  readonly cwd: string
}
export interface Vetted {
  readonly runs: boolean
  readonly decision: LineDecision
  /** Of the command event, which is durable. */
  readonly seq: number
}
/** The shell's part in a question: WAIT begins. */
export type OnWait = (wait: Wait) => void
export interface Wait {
  /** One line for the user. */
  readonly text: string
  /** What the user types is the answer; without it somebody else answers. */
  readonly answer?: (text: string) => void
  /** Ctrl-C. */
  readonly withdraw: () => void
}
/** How a question ended: an answer, or in `reason` why there is none. */
interface Outcome extends Approval {
  readonly reason?: string
}

/** Tab and newline may be in a line; nothing else that a terminal or a shell would act on. */
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/
const TOO_LONG: LineDecision = { verdict: 'deny', reason: 'the line is longer than 64 KiB', confidence: 'exact' }

type GuardVerdict = 'allow' | 'deny' | 'approved' | 'refused'

export class Vetting {
  readonly #parts: GuardParts
  readonly #signal: AbortSignal

  /** @param signal aborted when the shell ends: no question is left open */
  constructor(parts: GuardParts, signal: AbortSignal) {
    this.#parts = parts
    this.#signal = signal
  }

  /** The policy's answer. What cannot be read is denied. */
  decide(line: string, where: Where, overflow = false): LineDecision {
    if (overflow) return TOO_LONG
    if (CONTROL.test(line)) return { verdict: 'deny', reason: 'the line holds a control character', confidence: 'exact' }
    try {
      return this.#parts.decide(line, where)
    } catch (error) {
      return { verdict: 'deny', reason: `the policy could not read the line (${toOpsError(error).code})`, confidence: 'exact' }
    }
  }

  /** @throws what `record` throws: then the line is held, and neither run nor denied */
  async vet(line: string, first: LineDecision, where: Where, onWait: OnWait): Promise<Vetted> {
    if (first.verdict === 'approve' || first.verdict === 'confirm') return this.#afterQuestion(line, first, where, onWait)
    const unfinished = { ...first, verdict: 'deny' as const, reason: first.reason ?? 'the line is not finished' }
    const decision = first.verdict === 'incomplete' ? unfinished : first.verdict === 'allow' ? await this.#measure(first, where) : first
    const runs = decision.verdict === 'allow'
    return { runs, decision, seq: await this.#record(line, decision, where, runs ? 'allow' : 'deny') }
  }

  /** What the user reads after a denial: what, which rule, its message; one line. */
  refusal(decision: LineDecision): string {
    const { rule } = this.#parts
    const message = decision.message ?? rule.message
    return `dockin: refused: ${decision.reason ?? 'not allowed'} (rule ${decision.rule ?? rule.name})${message ? `: ${message}` : ''}`
  }

  /** editLimit: an editor or pager that would load more is denied. A file that cannot be measured counts as too large. */
  async #measure(decision: LineDecision, { cwd }: Where): Promise<LineDecision> {
    const { rule, fileSize, ask, exec } = this.#parts
    const limit = decision.editLimit ?? rule.commands.editLimit
    if (limit === undefined || !decision.sizeChecks || decision.sizeChecks.length === 0) return decision
    const measure = fileSize ?? fileSizeOver(ask ?? askOver(exec))
    for (const { command, path } of decision.sizeChecks) {
      const deny = (why: string): LineDecision => ({ ...decision, verdict: 'deny', reason: `${command} ${path}: the file ${why}` })
      try {
        const bytes = await measure(path.startsWith('/') ? path : `${cwd}/${path}`, this.#signal)
        if (bytes !== undefined && bytes > limit) return deny(`${Number.isFinite(bytes) ? `has ${bytes} bytes` : 'has no end'}, the limit is ${limit}`)
      } catch (error) {
        return deny(`cannot be measured (${toOpsError(error).code})`)
      }
    }
    return decision
  }

  async #afterQuestion(line: string, first: LineDecision, where: Where, onWait: OnWait): Promise<Vetted> {
    const withdrawn = new AbortController()
    const withdraw = (): void => withdrawn.abort(new OpsError('COMMAND_REFUSED', 'the user withdrew the line', { detail: 'withdrawn' }))
    const signal = AbortSignal.any([withdrawn.signal, this.#signal])
    const question = first.verdict === 'confirm' ? this.#confirmation(first, withdraw, onWait) : this.#approval(line, first, where, signal, withdraw, onWait)
    const outcome = await answered(question, signal)
    if (outcome.verdict === 'refused') return this.#refused(line, first, where, outcome)
    // Vetted again: what the line means, and what the rule says, may have changed while it waited.
    const again = this.decide(line, where)
    if (again.verdict !== first.verdict && again.verdict !== 'allow') {
      const reason = again.verdict === 'approve' || again.verdict === 'confirm' ? 'the rule asks something else by now, enter the line again' : again.reason
      return this.#refused(line, { ...again, reason }, where, { ...outcome, verdict: 'refused' })
    }
    const measured = await this.#measure(again, where)
    const runs = measured.verdict !== 'deny'
    return { runs, decision: measured, seq: await this.#record(line, measured, where, runs ? 'approved' : 'refused', outcome) }
  }

  async #refused(line: string, decision: LineDecision, where: Where, outcome: Outcome): Promise<Vetted> {
    const { approver, note, reason } = outcome
    const why =
      reason ?? (approver === undefined ? decision.reason : `${decision.reason ?? 'not allowed'}; ${approver} refused${note === undefined ? '' : `: ${note}`}`)
    const refused = { ...decision, verdict: 'deny' as const, reason: why }
    return { runs: false, decision: refused, seq: await this.#record(line, refused, where, 'refused', outcome) }
  }

  async #confirmation(first: LineDecision, withdraw: () => void, onWait: OnWait): Promise<Outcome> {
    const { confirmWord } = this.#parts
    if (!confirmWord) return { verdict: 'refused', reason: `${first.reason ?? 'to be confirmed'}; it cannot be confirmed here` }
    const text = await new Promise<string>((answer) =>
      onWait({ text: `${first.reason ?? 'this line is to be confirmed'}; type ${confirmWord} to run it:`, answer, withdraw }),
    )
    if (text === confirmWord) return { verdict: 'approved', note: 'confirmed by the user' }
    return { verdict: 'refused', reason: `${first.reason ?? 'to be confirmed'}; that was not ${confirmWord}` }
  }

  async #approval(line: string, first: LineDecision, where: Where, signal: AbortSignal, withdraw: () => void, onWait: OnWait): Promise<Outcome> {
    const { approve } = this.#parts
    if (!approve) return { verdict: 'refused', reason: 'nobody can approve it' }
    const asked = first.asked === undefined ? '' : `, asked of ${first.asked}`
    onWait({ text: `this line waits for approval (${first.reason ?? 'as the rule says'})${asked}; Ctrl-C withdraws it`, withdraw })
    return approve(line, first, where, signal)
  }

  async #record(line: string, decision: LineDecision, { cwd }: Where, verdict: GuardVerdict, outcome?: Outcome): Promise<number> {
    const { rule = this.#parts.rule.name, confidence, reason, commands } = decision
    const event: GuardEvent = {
      type: 'command',
      line,
      cwd,
      verdict,
      rule,
      confidence,
      ...(reason === undefined ? {} : { reason }),
      ...(commands === undefined ? {} : { commands }),
      ...(outcome?.approver === undefined ? {} : { approver: outcome.approver }),
      ...(outcome?.note === undefined ? {} : { note: outcome.note }),
    }
    return (await this.#parts.record(event)).seq
  }
}

/** The answer, or why there is none: withdrawn, too late, the shell has ended. */
async function answered(question: Promise<Outcome>, signal: AbortSignal): Promise<Outcome> {
  let stop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([question, stopped])
  } catch (error) {
    const { detail, userText } = toOpsError(error)
    return { verdict: 'refused', reason: detail ?? userText }
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

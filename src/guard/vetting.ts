/** CHECK and WAIT: everything that must be known and kept before a line may run. */
import { OpsError, toOpsError } from '../core/errors.js'
import type { Dialect } from '../core/types.js'
import type { GuardEvent, GuardParts, LineDecision } from './parts.js'
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
/** The shell's part in an approval: WAIT begins, and Ctrl-C calls `withdraw`. */
export type OnWait = (reason: string, withdraw: () => void) => void

/** Tab and newline may be in a line; nothing else that a terminal or a shell would act on. */
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/
const TOO_LONG: LineDecision = { verdict: 'deny', reason: 'the line is longer than 64 KiB', confidence: 'exact' }

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
    if (first.verdict === 'approve') return this.#approve(line, first, where, onWait)
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
    const limit = rule.commands.editLimit
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

  async #approve(line: string, first: LineDecision, where: Where, onWait: OnWait): Promise<Vetted> {
    const withdrawn = new AbortController()
    onWait(first.reason ?? 'as the rule says', () => withdrawn.abort(new OpsError('COMMAND_REFUSED', 'the user withdrew the line', { detail: 'withdrawn' })))
    const signal = AbortSignal.any([withdrawn.signal, this.#signal])
    const answer = await this.#ask(line, first, signal)
    // Vetted again: what the line means may have changed while it waited.
    const again = answer === 'approved' ? this.decide(line, where) : { ...first, ...(answer === 'refused' ? {} : { reason: answer }) }
    const runs = answer === 'approved' && (again.verdict === 'approve' || again.verdict === 'allow')
    const measured = runs ? await this.#measure(again, where) : again
    const allowed = runs && measured.verdict !== 'deny'
    return { runs: allowed, decision: measured, seq: await this.#record(line, measured, where, allowed ? 'approved' : 'refused') }
  }

  /** The approver's answer, or why there is none. */
  async #ask(line: string, decision: LineDecision, signal: AbortSignal): Promise<string> {
    const { approve } = this.#parts
    if (!approve) return 'nobody can approve it'
    let stop = () => {}
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
    })
    try {
      return await Promise.race([approve(line, decision, signal), stopped])
    } catch (error) {
      const { detail, userText } = toOpsError(error)
      return detail ?? userText
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #record(line: string, decision: LineDecision, { cwd }: Where, verdict: 'allow' | 'deny' | 'approved' | 'refused'): Promise<number> {
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
    }
    return (await this.#parts.record(event)).seq
  }
}

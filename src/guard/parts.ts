/** What a guarded shell is given, and what it asks. */
import type { AuditEvent, CommandRule, Confidence, Demand, Dialect, ExecRequest, PtyRequest, RemoteProcess } from '../core/types.js'
import type { Clock } from './clock.js'

/** The policy's answer to one line. */
export interface LineDecision {
  /**
   * `incomplete`: the line goes on; `confirm`: the user must type `GuardParts.confirmWord`; `approve`: somebody else must
   * say yes (`GuardParts.approve`).
   */
  readonly verdict: 'allow' | 'deny' | 'incomplete' | 'confirm' | 'approve'
  /** What the rule asks for, with `confirm` and `approve`. */
  readonly demand?: Demand | undefined
  /** For `approve`: who is asked, as the user reads it. */
  readonly asked?: string | undefined
  /** Of the rule that decided, bytes; it may be another than when the shell was opened. Absent: the session's own. */
  readonly editLimit?: number | undefined
  readonly reason?: string | undefined
  /** The rule that decided; the session's own when absent. */
  readonly rule?: string | undefined
  readonly message?: string | undefined
  readonly commands?: readonly (readonly string[])[] | undefined
  readonly confidence: Confidence
  /** The line starts something that runs commands of its own. */
  readonly opaque?: boolean | undefined
  /** Files to be measured against `editLimit` before the line runs. */
  readonly sizeChecks?: readonly { readonly command: string; readonly path: string }[] | undefined
}

/** Somebody's answer to a line that waited. */
export interface Approval {
  readonly verdict: 'approved' | 'refused'
  readonly approver?: string
  readonly note?: string
}

export type GuardEvent = Extract<AuditEvent, { readonly type: 'command' | 'command.exit' }>

export interface GuardParts {
  /** Starts a program in the session's container: an Executor with its Target. */
  readonly exec: (request: ExecRequest, signal: AbortSignal) => Promise<RemoteProcess>
  readonly pty: PtyRequest
  /** Shown in the prompt. */
  readonly user: string
  readonly targetLabel: string
  readonly rule: { readonly name: string; readonly message?: string | undefined; readonly commands: CommandRule }
  /** Pure and synchronous. `cwd` is the shell's directory, absolute. */
  readonly decide: (line: string, where: { readonly dialect: Dialect; readonly cwd: string }) => LineDecision
  /** Resolves when the event is durable; a line runs only then. Rejects with an OpsError: the line is held. */
  readonly record: (event: GuardEvent) => Promise<{ readonly seq: number }>
  /** Asks somebody to approve a line whose verdict is `approve`; without it such a line is refused. Rejects when none answers in time. */
  readonly approve?: ((line: string, decision: LineDecision, where: { readonly cwd: string }, signal: AbortSignal) => Promise<Approval>) | undefined
  /** What the user types to confirm a line: the pod's name. Without it such a line is refused. */
  readonly confirmWord?: string | undefined
  /** Bytes of a file in the target; undefined when there is no such file. Rejects when it cannot be found out. Default: one side exec. */
  readonly fileSize?: ((path: string, signal: AbortSignal) => Promise<number | undefined>) | undefined
  /** Runs a program in the target and answers its output, for completion. Default: one side exec. */
  readonly ask?: ((argv: readonly string[], signal: AbortSignal) => Promise<string>) | undefined
  /** An opaque line begins to run under `rule`, and undefined when it is over: what is typed meanwhile is nobody's to vet. */
  readonly onOpaque?: ((rule: string | undefined) => void) | undefined
  readonly clock?: Clock | undefined
  /** What the client asked to set (SSH `env` requests); only harmless names pass. */
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** What a guarded shell is given, and what it asks. */
import type { AuditEvent, CommandRule, Confidence, Dialect, ExecRequest, PtyRequest, RemoteProcess } from '../core/types.js'
import type { Clock } from './clock.js'

/** The policy's answer to one line. */
export interface LineDecision {
  /** `incomplete`: the line goes on; `approve`: somebody else must say yes (`GuardParts.approve`). */
  readonly verdict: 'allow' | 'deny' | 'incomplete' | 'approve'
  readonly reason?: string | undefined
  /** The rule that decided; the session's own when absent. */
  readonly rule?: string | undefined
  readonly message?: string | undefined
  readonly commands?: readonly (readonly string[])[] | undefined
  readonly confidence: Confidence
  /** Files to be measured against `rule.commands.editLimit` before the line runs. */
  readonly sizeChecks?: readonly { readonly command: string; readonly path: string }[] | undefined
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
  readonly approve?: ((line: string, decision: LineDecision, signal: AbortSignal) => Promise<'approved' | 'refused'>) | undefined
  /** Bytes of a file in the target; undefined when there is no such file. Rejects when it cannot be found out. Default: one side exec. */
  readonly fileSize?: ((path: string, signal: AbortSignal) => Promise<number | undefined>) | undefined
  /** Runs a program in the target and answers its output, for completion. Default: one side exec. */
  readonly ask?: ((argv: readonly string[], signal: AbortSignal) => Promise<string>) | undefined
  readonly clock?: Clock | undefined
  /** What the client asked to set (SSH `env` requests); only harmless names pass. */
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** The audit events of one session, in the words of contract.md. */
import type { OpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { AuditEvent, AuditSink, Door, ExitStatus, Identity, LogsRequest, PtyRequest, Stage, StoredEvent, Target, WindowSize } from '../core/types.js'
import type { Settled } from './demand.js'
import type { Meters } from './relay.js'
import { exitCode } from './status.js'

const RESIZE_QUIET_MS = 1000

type Subject = Pick<AuditEvent, 'session' | 'user' | 'from' | 'door' | 'target' | 'batch'>

export class Journal {
  readonly #audit: AuditSink
  readonly #log: Logger
  #subject: Subject
  readonly #startedMs = performance.now()
  #resize: { pending: WindowSize | undefined; readonly timer: NodeJS.Timeout } | undefined
  #commandSeq: number | undefined

  constructor(audit: AuditSink, log: Logger, session: string, identity: Identity, door: Door, batch?: string) {
    this.#audit = audit
    this.#log = log
    this.#subject = { session, user: identity.user, from: `${identity.from.host}:${identity.from.port}`, door, ...(batch !== undefined && { batch }) }
  }

  /** From here on every event names the target. */
  aim({ cluster, namespace, pod, container, uid, node }: Target): void {
    this.#subject = { ...this.#subject, target: { cluster, namespace, pod, container, uid, node } }
  }

  /** @throws OpsError AUDIT_UNAVAILABLE */
  opened(rule: string, pty: PtyRequest | undefined, logs?: LogsRequest): Promise<StoredEvent> {
    const terminal = pty && { pty: { term: escapePeerText(pty.term, 64), columns: pty.size.columns, rows: pty.size.rows } }
    return this.#audit.write({ ...this.#subject, type: 'session.open', rule, ...terminal, ...(logs && { logs: loggable(logs) }) })
  }

  /** An exec line with its verdict; a command runs only after this has resolved. @throws OpsError AUDIT_UNAVAILABLE */
  async vetted(line: string, { verdict, asked }: Settled): Promise<void> {
    const { seq } = await this.#audit.write({
      ...this.#subject,
      type: 'command',
      ...lineField(line),
      verdict: asked?.verdict ?? (verdict.allow ? 'allow' : 'deny'),
      ...(verdict.rule !== undefined && { rule: verdict.rule }),
      ...(!verdict.allow && { reason: verdict.reason }),
      commands: verdict.analysis?.commands ?? [],
      confidence: verdict.analysis?.confidence ?? 'advisory',
      ...(asked?.approver !== undefined && { approver: asked.approver }),
      ...(asked?.note !== undefined && { note: asked.note }),
    })
    if (verdict.allow) this.#commandSeq = seq
  }

  started(via: string): void {
    void this.#note({ ...this.#subject, type: 'session.start', via })
  }

  /** A window that is dragged changes its size with every pixel: one event a second, the last size always among them. */
  resized(size: WindowSize): void {
    if (this.#resize) this.#resize.pending = size
    else this.#noteResize(size)
  }

  #noteResize({ columns, rows }: WindowSize): void {
    void this.#note({ ...this.#subject, type: 'session.resize', columns, rows })
    this.#resize = { pending: undefined, timer: setTimeout(() => this.#resizeQuiet(), RESIZE_QUIET_MS) }
  }

  #resizeQuiet(): void {
    const pending = this.#resize?.pending
    clearTimeout(this.#resize?.timer)
    this.#resize = undefined
    if (pending) this.#noteResize(pending)
  }

  /** A refusal is told even when it cannot be kept: nothing runs either way. */
  async refused(error: OpsError, address: string): Promise<void> {
    const named = address === '' ? {} : { address: escapePeerText(address) }
    await this.#note({ ...this.#subject, type: 'session.refused', reason: error.userText, ...named })
  }

  /** The last events. That they cannot be kept is logged: the program has run. */
  async closed(rule: string, reason: string, exit: number, meters: Meters, stages: readonly Stage[]): Promise<void> {
    this.#resizeQuiet()
    clearTimeout(this.#resize?.timer)
    const ms = Math.round(performance.now() - this.#startedMs)
    const bytes = { bytesIn: meters.up, bytesOut: meters.down + meters.err }
    const facts = Object.assign({}, ...stages.map((stage) => stage.facts?.() ?? {})) as Readonly<Record<string, string | number>>
    const ended =
      this.#commandSeq === undefined ? undefined : this.#note({ ...this.#subject, type: 'command.exit', command: this.#commandSeq, status: exit, ms })
    await Promise.all([ended, this.#note({ ...this.#subject, type: 'session.close', rule, reason, exit, ...bytes, ms, ...facts })])
  }

  /** Events after the fact: kept in order with the others. Never rejects: a failure is the log's to tell. */
  async #note(event: AuditEvent): Promise<void> {
    await this.#audit.write(event).catch((error: unknown) => this.#log.error({ error, type: event.type }, 'audit.failed'))
  }
}

/** How a session ended, for the event and the log. */
export function endOf(outcome: ExitStatus | OpsError): { readonly exit: number; readonly reason: string } {
  if (!('kind' in outcome)) return { exit: outcome.exit, reason: outcome.userText }
  return { exit: exitCode(outcome), reason: outcome.kind === 'signaled' ? `killed by SIG${outcome.signal}` : 'exited' }
}

function loggable({ since, ...rest }: LogsRequest): Omit<LogsRequest, 'since'> & { readonly since?: string } {
  return { ...rest, ...(since && { since: since.toISOString() }) }
}

function lineField(line: string): { line: string } | { lineBase64: string } {
  // ssh hands the command over as a string decoded from UTF-8: a replacement character says that it was something else
  return line.includes('\ufffd') ? { lineBase64: Buffer.from(line).toString('base64') } : { line }
}

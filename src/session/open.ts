/**
 * The one way in. Every door ends here: find the target, ask the policy, make the audit durable, start the program,
 * relay, say how it ended. What goes wrong is told to the client in one line and to the audit with its reason.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as later } from 'node:timers/promises'
import { ERRORS, OpsError, toOpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import {
  type Allowed,
  type AuditSink,
  type ClientEnd,
  type Door,
  type Executor,
  type ExitStatus,
  type Identity,
  type Interceptor,
  type LogsRequest,
  type Policy,
  type PtyRequest,
  type Refused,
  type Resolution,
  type Session,
  type Stage,
  type Target,
  type TargetListing,
  type TargetResolver,
  targetText,
  type Verdict,
} from '../core/types.js'
import type { Approvals } from './approvals.js'
import { type Settled, settle } from './demand.js'
import { endOf, Journal } from './journal.js'
import { InputGate } from './lock.js'
import { startLogs } from './logs.js'
import type { LiveSession, SessionRegistry } from './registry.js'
import { createMeters, relay } from './relay.js'
import { readRsync } from './rsync.js'
import { refuseUnheldRsyncLine } from './rsync-line.js'
import { type GuardedShell, startProgram, VETTED_CWD } from './start.js'
import { type FileErrand, filesOf, isServedTransfer, refuseUnheldRsync, refuseWithoutFiles, type StartTransfer } from './transfer.js'

/** What a door asks for. */
export interface OpenRequest {
  readonly door: Door
  readonly identity: Identity
  /** The TARGET part of the login name; empty when none was given. */
  readonly address: string
  /** For exec, scp and rsync: the command line as the client sent it. */
  readonly command?: string
  /** For scp and rsync: the words of `command`, which needs no shell to be known. */
  readonly words?: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly pty?: PtyRequest
  /** In place of a command: work on the target's files, each operation decided and told to the audit. */
  readonly errand?: FileErrand
  /** In place of a command, and only at door logs: the container's log; it may have ended. */
  readonly logs?: LogsRequest
  /** One id over the sessions of a batch; it stands in every event of this one. */
  readonly batch?: string
  /** For doors whose protocol carries facts and errors beside the streams. */
  readonly observer?: SessionObserver
}

/** What a session tells its door beside the streams. Must not throw. */
export interface SessionObserver {
  /** The session is decided and its events rest; nothing runs yet. */
  opened?(facts: { readonly session: string; readonly rule: string; readonly target: Target; readonly note?: string }): void
  /** The program runs. */
  started?(via: string): void
  /** In place of the line on stderr, before `finish`: refused, or broken later. */
  failed?(error: OpsError, session: string): void
}

export interface EntranceParts {
  readonly resolver: TargetResolver
  readonly policy: Policy
  readonly audit: AuditSink
  /** The executor of a cluster; undefined when there is none of that name. */
  readonly executor: (cluster: string) => Executor | undefined
  /** In the order seen from the client. */
  readonly interceptors: readonly Interceptor[]
  readonly registry: SessionRegistry
  readonly pick: (client: ClientEnd, listings: () => readonly TargetListing[], pty: PtyRequest, signal: AbortSignal) => Promise<Target | undefined>
  /** Calls back when the pod of `target` is deleted or replaced. Returns the way to stop listening. */
  readonly onGone: (target: Target, gone: () => void) => () => void
  readonly guardedShell?: GuardedShell
  /** Whom exec lines wait for; without it a line that needs another person's yes is refused. */
  readonly approvals?: Approvals
  /** Serves sftp and scp; without it they are refused. */
  readonly transfer?: StartTransfer
  readonly log: Logger
  /** Longest life of a session; undefined means none. */
  readonly maxSessionMs?: number
}

/** How long a client's answer waits for the last events of its session to rest. */
const BOOK_GRACE_MS = 250

/** Opens sessions until it is told to drain. */
export class Entrance {
  readonly #parts: EntranceParts
  #draining = false

  constructor(parts: EntranceParts) {
    this.#parts = parts
  }

  /** From now on every open is refused with DRAINING. */
  drain(): void {
    this.#draining = true
  }

  /** Runs one session from first question to last event. Never rejects: the client and the audit are told. */
  async open(request: OpenRequest, client: ClientEnd): Promise<void> {
    const run = new Run(this.#parts, request, client)
    let admission: Admission
    try {
      if (this.#draining) throw new OpsError('DRAINING', 'open refused: draining')
      admission = await run.admit()
    } catch (error) {
      return run.refuse(toOpsError(error))
    }
    return run.toTheEnd(admission)
  }
}

/** What `admit` found: where, and by which rule. */
interface Admission {
  readonly target: Target
  readonly grant: Allowed
}

/** One session on its way through the steps of `Entrance.open`. */
class Run {
  readonly #parts: EntranceParts
  readonly #request: OpenRequest
  readonly #client: ClientEnd
  readonly #log: Logger
  readonly #journal: Journal
  readonly #id = newSessionId()
  readonly #startedAt = new Date()
  readonly #switch = new AbortController()
  readonly #meters = createMeters()
  readonly #gate = new InputGate()
  #via: string | undefined

  constructor(parts: EntranceParts, request: OpenRequest, client: ClientEnd) {
    this.#parts = parts
    // a file server has no terminal, whatever its client asked for
    const { pty, ...rest } = request
    this.#request = pty && !isServedTransfer(request.door) ? request : rest
    this.#client = client
    this.#log = parts.log.child({ session: this.#id, user: request.identity.user })
    this.#journal = new Journal(parts.audit, this.#log, this.#id, request.identity, request.door, request.batch)
  }

  /** Target, verdict, durable events. Whatever it throws, nothing has been started. */
  async admit(): Promise<Admission> {
    const { policy, audit } = this.#parts
    const { identity, door, command, pty, logs } = this.#request
    const { target, note } = await this.#resolve()
    this.#journal.aim(target)
    const grant = policy.decide({ kind: 'open', identity, target, door })
    if (!grant.allow) throw refusal('POLICY_REFUSED', grant)
    if (isServedTransfer(door) || this.#request.errand) refuseWithoutFiles(grant)
    if (door === 'rsync') refuseUnheldRsync(grant, readRsync(this.#request.words ?? []))
    else if (command !== undefined && door !== 'scp') refuseUnheldRsyncLine(grant, command)
    const unavailable = audit.unavailable()
    if (unavailable !== undefined) throw new OpsError('AUDIT_UNAVAILABLE', `open refused: ${unavailable}`)
    // scp's line starts no program: each file is decided on its own
    const decides = command !== undefined && door !== 'scp'
    const opened = this.#journal.opened(grant.rule, pty, logs)
    const settled = decides ? this.#settle(command, target) : undefined
    // both go into one commit of the log, and both must rest before anything starts
    await Promise.all([opened, settled?.then((line) => this.#journal.vetted(command ?? '', line))])
    const verdict = (await settled)?.verdict
    if (verdict && !verdict.allow) throw refusal('COMMAND_REFUSED', verdict)
    if (note !== undefined && pty && door === 'shell') this.#tell(note)
    this.#request.observer?.opened?.({ session: this.#id, rule: grant.rule, target, ...(note !== undefined && { note }) })
    return { target, grant }
  }

  /** The verdict of an exec line; waits where the rule asks another person first. */
  #settle(line: string, target: Target): Promise<Settled> {
    const { policy, approvals } = this.#parts
    const { identity, door } = this.#request
    return settle({
      line,
      session: { id: this.#id, identity, door, target },
      decide: () => measurable(policy.decide({ kind: 'run', identity, target, door, line, dialect: 'any', cwd: VETTED_CWD })),
      approvals,
      tell: (text) => this.#tell(text),
      signal: this.#ending(),
    })
  }

  async #resolve(): Promise<Resolution> {
    const { resolver, pick } = this.#parts
    const { address, identity, door, pty, logs } = this.#request
    if (address !== '') return resolver.resolve(address, identity, this.#ending(), logs !== undefined)
    if (door !== 'shell' || !pty) throw new OpsError('TARGET_REQUIRED', 'no target named')
    const target = await pick(this.#client, () => resolver.list(identity), pty, this.#ending())
    if (!target) throw new OpsError('TARGET_REQUIRED', 'the picker was left without a choice')
    return { target }
  }

  /** Starts the program, relays, and closes the books. */
  async toTheEnd(admission: Admission): Promise<void> {
    const session = this.#session(admission)
    const closed = this.#register(session, admission)
    const { target, grant } = admission
    const stopWatching = this.#parts.onGone(target, () => this.#switch.abort(new OpsError('TARGET_GONE', 'the pod was deleted or replaced')))
    const { maxSessionMs } = this.#parts
    const timer = maxSessionMs === undefined ? undefined : setTimeout(() => this.#end('its time limit was reached'), maxSessionMs)
    this.#log.info({ door: session.door, target: targetText(target), rule: grant.rule }, 'session.open')
    const stages: Stage[] = []
    const outcome = await this.#run(session, grant, stages).catch((error: unknown) => toOpsError(error))
    clearTimeout(timer)
    stopWatching()
    const { exit, reason } = endOf(outcome)
    const failure = outcome instanceof OpsError ? { code: outcome.code, cause: outcome.message } : {}
    this.#log.info({ exit, via: this.#via, ...failure }, 'session.close')
    const booked = this.#journal.closed(grant.rule, reason, exit, this.#meters, stages)
    // whoever looks after the client has its answer finds the session closed in the log; a slow log does not hold the client
    await Promise.race([booked, later(BOOK_GRACE_MS)])
    this.#answer(outcome)
    await booked
    closed()
  }

  async #run(session: Session, grant: Allowed, stages: Stage[]): Promise<ExitStatus> {
    const { interceptors, executor, guardedShell, transfer } = this.#parts
    const { target } = session
    let isRelaying = false
    try {
      stages.push(this.#gate.stage())
      // stages first: a session that must be recorded does not start while it cannot be
      for (const intercept of interceptors) {
        const stage = await intercept(session)
        if (stage) stages.push(stage)
      }
      const cluster = executor(target.cluster)
      if (!cluster) throw new OpsError('TARGET_UNREACHABLE', `cluster "${target.cluster}" is not configured`)
      const remote = await startProgram(
        {
          session,
          grant,
          guardedShell,
          transfer,
          env: this.#request.env,
          exec: (request, signal) => cluster.exec(target, request, signal),
          files: (signal) => filesOf(cluster, target, signal),
          ...(this.#request.logs && { logs: this.#logsOf(cluster, target, this.#request.logs) }),
          ...(this.#request.words && { words: this.#request.words }),
          ...(this.#request.errand && { errand: this.#request.errand }),
        },
        this.#ending(),
      )
      this.#via = remote.via
      if (remote.facts) stages.push({ name: 'process', facts: () => remote.facts?.() ?? {} })
      this.#journal.started(remote.via)
      this.#request.observer?.started?.(remote.via)
      this.#client.subscribe({ resize: (size) => this.#journal.resized(size) })
      isRelaying = true
      return (await relay(this.#client, remote, stages, this.#meters, session.signal)).status
    } catch (error) {
      // the relay finishes the stages it was given; before it, they already hold files and timers
      if (!isRelaying) await Promise.allSettled(stages.map((stage) => stage.finish?.(undefined)))
      throw session.signal.aborted ? session.signal.reason : error
    }
  }

  #logsOf(cluster: Executor, target: Target, request: LogsRequest) {
    return (signal: AbortSignal) => startLogs(cluster, target, request, signal)
  }

  /** Before anything was started: the client reads the reason, the audit keeps it. */
  async refuse(error: OpsError): Promise<void> {
    const { address } = this.#request
    this.#log.info({ code: error.code, reason: error.message, address: escapePeerText(address) }, 'session.refused')
    await this.#journal.refused(error, address)
    this.#answer(error)
  }

  #answer(outcome: ExitStatus | OpsError): void {
    if (outcome instanceof OpsError) {
      const { observer } = this.#request
      if (observer?.failed) observer.failed(outcome, this.#id)
      else if (!this.#client.gone.aborted) this.#tell(outcome.userText)
      this.#client.finish({ kind: 'exited', code: outcome.exit })
    } else {
      this.#client.finish(outcome)
    }
  }

  #session({ target, grant: { record } }: Admission): Session {
    const { door, identity, pty, command } = this.#request
    const optional = { ...(pty && { pty }), ...(command !== undefined && { command }) }
    return { id: this.#id, door, identity, target, startedAt: this.#startedAt, signal: this.#switch.signal, ...optional, ...(record && { record }) }
  }

  /** Makes the session findable until the answered function is called. */
  #register(session: Session, { grant }: Admission): () => void {
    let close = (): void => {}
    const closed = new Promise<void>((resolve) => {
      close = resolve
    })
    const live: LiveSession = {
      session,
      rule: grant.rule,
      isGuarded: grant.commands !== undefined,
      via: () => this.#via,
      bytes: () => ({ in: this.#meters.up, out: this.#meters.down + this.#meters.err }),
      notify: (text) => session.pty && this.#tell(text),
      end: (reason) => this.#switch.abort(reason),
      gate: this.#gate,
      closed,
    }
    this.#parts.registry.add(live)
    return close
  }

  #end(detail: string): void {
    this.#switch.abort(new OpsError('SESSION_ENDED', detail, { detail }))
  }

  /** One line on the user's stderr. With a terminal the line starts at its left edge. */
  #tell(text: string): void {
    this.#client.stderr.write(this.#request.pty ? `\r\ndockin: ${text}\r\n` : `dockin: ${text}\n`)
  }

  #ending(): AbortSignal {
    return AbortSignal.any([this.#switch.signal, this.#client.gone])
  }
}

/** A line that is allowed only below a file size cannot be measured on its way into an exec: it is refused. */
function measurable(verdict: Verdict): Verdict {
  const [check] = verdict.analysis?.sizeChecks ?? []
  if (!(verdict.allow || verdict.demand) || !check) return verdict
  const reason = `${check.command} on a file needs a shell, where its size can be asked first`
  return { allow: false, ...(verdict.rule !== undefined && { rule: verdict.rule }), reason, ...(verdict.analysis && { analysis: verdict.analysis }) }
}

/** The rule and its message reach the user: which rule, why, whom to ask. */
function refusal(code: 'POLICY_REFUSED' | 'COMMAND_REFUSED', { reason, rule, message }: Refused): OpsError {
  const parts = [reason, rule === undefined ? '' : `rule ${rule}`, message ?? ''].filter((part) => part !== '')
  return new OpsError(code, `${ERRORS[code].text}: ${reason}`, { detail: parts.join('; '), ...(rule !== undefined && { rule }) })
}

/** Milliseconds in base 36, so that ids sort by time, then 48 random bits. */
function newSessionId(): string {
  return `${Date.now().toString(36)}-${randomBytes(6).toString('hex')}`
}

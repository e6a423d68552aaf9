/**
 * The one way in. Every door ends here: find the target, ask the policy, make the audit durable, start the program,
 * relay, say how it ended. What goes wrong is told to the client in one line and to the audit with its reason.
 */
import { randomBytes } from 'node:crypto'
import { ERRORS, OpsError, toOpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type {
  Allowed,
  AuditSink,
  ClientEnd,
  Door,
  ExecRequest,
  Executor,
  ExitStatus,
  Identity,
  Interceptor,
  Policy,
  PtyRequest,
  Refused,
  RemoteProcess,
  Resolution,
  Session,
  Stage,
  Target,
  TargetListing,
  TargetResolver,
} from '../core/types.js'
import { targetText } from '../core/types.js'
import { execArgv, plainWords, shellArgv } from './command.js'
import type { LiveSession, SessionRegistry } from './registry.js'
import { createMeters, type Meters, relay } from './relay.js'
import { exitCode } from './status.js'

/** What a door asks for. */
export interface OpenRequest {
  readonly door: Door
  readonly identity: Identity
  /** The TARGET part of the login name; empty when none was given. */
  readonly address: string
  /** For exec, scp and rsync: the command line as the client sent it. */
  readonly command?: string
  readonly env: Readonly<Record<string, string>>
  readonly pty?: PtyRequest
}

/** Starts the guarded shell of a session whose rule has a command list. */
export type GuardedShell = (context: GuardContext) => Promise<RemoteProcess>
export interface GuardContext {
  readonly session: Session
  readonly pty: PtyRequest
  readonly env: Readonly<Record<string, string>>
  readonly grant: Allowed
  readonly exec: (request: ExecRequest, signal: AbortSignal) => Promise<RemoteProcess>
}

export interface EntranceParts {
  readonly resolver: TargetResolver
  readonly policy: Policy
  readonly audit: AuditSink
  /** The executor of a cluster; undefined when there is no such cluster any more. */
  readonly executor: (cluster: string) => Executor | undefined
  /** Stages in the order seen from the client. */
  readonly interceptors: readonly Interceptor[]
  readonly registry: SessionRegistry
  readonly pick: (client: ClientEnd, listings: () => readonly TargetListing[], pty: PtyRequest, signal: AbortSignal) => Promise<Target | undefined>
  /** Calls back when the pod of `target` is deleted or replaced. Returns the way to stop listening. */
  readonly onGone: (target: Target, gone: () => void) => () => void
  readonly guardedShell?: GuardedShell
  readonly log: Logger
  /** Limits of one session's life; undefined means none. */
  readonly maxSessionMs?: number
}

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
    try {
      if (this.#draining) throw new OpsError('DRAINING', 'open refused: draining')
      await run.admit()
    } catch (error) {
      await run.refuse(toOpsError(error))
      return
    }
    await run.toTheEnd()
  }
}

/** One session on its way through the steps of `Entrance.open`. */
class Run {
  readonly #parts: EntranceParts
  readonly #request: OpenRequest
  readonly #client: ClientEnd
  readonly #log: Logger
  readonly #id = newSessionId()
  readonly #switch = new AbortController()
  readonly #meters: Meters = createMeters()
  readonly #startedAt = new Date()
  #target: Target | undefined
  #grant: Allowed | undefined
  #via: string | undefined
  #commandSeq: number | undefined

  constructor(parts: EntranceParts, request: OpenRequest, client: ClientEnd) {
    this.#parts = parts
    this.#request = request
    this.#client = client
    this.#log = parts.log.child({ session: this.#id, user: request.identity.user })
  }

  get #session(): Session {
    const { door, identity, pty, command } = this.#request
    const target = this.#target as Target
    return {
      id: this.#id,
      door,
      identity,
      target,
      startedAt: this.#startedAt,
      signal: this.#switch.signal,
      ...(pty && { pty }),
      ...(command !== undefined && { command }),
    }
  }

  /** Target, verdict, durable events. Whatever it throws, nothing has been started. */
  async admit(): Promise<void> {
    const { policy, audit } = this.#parts
    const { identity, door, command, pty } = this.#request
    const { target, note } = await this.#resolve()
    this.#target = target
    const verdict = policy.decide({ kind: 'open', identity, target, door })
    if (!verdict.allow) throw refusal('POLICY_REFUSED', verdict)
    this.#grant = verdict
    const unavailable = audit.unavailable()
    if (unavailable !== undefined) throw new OpsError('AUDIT_UNAVAILABLE', `open refused: ${unavailable}`)
    // both writes go into one commit of the log, and both must rest before anything starts
    const opened = audit.write({
      ...this.#subject(),
      type: 'session.open',
      rule: verdict.rule,
      ...(pty && { pty: { term: pty.term, columns: pty.size.columns, rows: pty.size.rows } }),
    })
    const vetted = command === undefined ? undefined : this.#vet(command)
    const [, commandEvent] = await Promise.all([opened, vetted])
    this.#commandSeq = commandEvent
    if (note !== undefined && pty) this.#tell(note)
  }

  async #resolve(): Promise<Resolution> {
    const { resolver, pick } = this.#parts
    const { address, identity, door, pty } = this.#request
    if (address !== '') return resolver.resolve(address, identity, this.#ending())
    if (door !== 'shell' || !pty) throw new OpsError('TARGET_REQUIRED', 'no target named')
    const target = await pick(this.#client, () => resolver.list(identity), pty, this.#ending())
    if (!target) throw new OpsError('TARGET_REQUIRED', 'the picker was left without a choice')
    return { target }
  }

  /** An exec line: decided, logged with its verdict, and only then run. @returns seq of its event */
  async #vet(line: string): Promise<number> {
    const { policy, audit } = this.#parts
    const { identity, door } = this.#request
    const verdict = policy.decide({ kind: 'run', identity, target: this.#target as Target, door, line, dialect: 'posix', cwd: '/' })
    const event = await audit.write({
      ...this.#subject(),
      type: 'command',
      ...lineField(line),
      verdict: verdict.allow ? 'allow' : 'deny',
      ...(verdict.rule !== undefined && { rule: verdict.rule }),
      ...(!verdict.allow && { reason: verdict.reason }),
      commands: verdict.analysis?.commands ?? [],
      confidence: verdict.analysis?.confidence ?? 'advisory',
    })
    if (!verdict.allow) throw refusal('COMMAND_REFUSED', verdict)
    return event.seq
  }

  /** Starts the program, relays, and closes the books. */
  async toTheEnd(): Promise<void> {
    const { registry, log } = { registry: this.#parts.registry, log: this.#log }
    let closed = (): void => {}
    registry.add(this.#live(new Promise((resolve) => (closed = resolve))))
    const stopWatching = this.#parts.onGone(this.#target as Target, () => this.#switch.abort(new OpsError('TARGET_GONE', 'the pod was deleted or replaced')))
    const timer = this.#parts.maxSessionMs === undefined ? undefined : setTimeout(() => this.#end('session time limit'), this.#parts.maxSessionMs)
    log.info({ door: this.#request.door, target: targetText(this.#target as Target), rule: this.#grant?.rule }, 'session.open')
    const stages: Stage[] = []
    let outcome: ExitStatus | OpsError
    try {
      outcome = await this.#run(stages)
    } catch (error) {
      outcome = toOpsError(error)
    } finally {
      clearTimeout(timer)
      stopWatching()
    }
    this.#answer(outcome)
    await this.#book(outcome, stages)
    closed()
  }

  async #run(stages: Stage[]): Promise<ExitStatus> {
    const session = this.#session
    const signal = this.#ending()
    // stages first: a session that must be recorded does not start while it cannot be
    for (const intercept of this.#parts.interceptors) {
      const stage = await intercept(session)
      if (stage) stages.push(stage)
    }
    const remote = await this.#start(signal)
    this.#via = remote.via
    const started = this.#parts.audit.write({ ...this.#subject(), type: 'session.start', via: remote.via })
    started.catch((error: unknown) => this.#log.error({ error }, 'audit.failed'))
    if (this.#request.pty && this.#request.door === 'shell') {
      this.#client.subscribe({ resize: (size) => this.#resized(size) })
    }
    const { status } = await relay(this.#client, remote, stages, this.#meters, session.signal)
    return status
  }

  #resized({ columns, rows }: { columns: number; rows: number }): void {
    this.#parts.audit.write({ ...this.#subject(), type: 'session.resize', columns, rows }).catch((error: unknown) => this.#log.error({ error }, 'audit.failed'))
  }

  async #start(signal: AbortSignal): Promise<RemoteProcess> {
    const { door, command, pty, env } = this.#request
    const target = this.#target as Target
    const executor = this.#parts.executor(target.cluster)
    if (!executor) throw new OpsError('TARGET_UNREACHABLE', `cluster "${target.cluster}" is not configured`)
    const exec = (request: ExecRequest, until: AbortSignal): Promise<RemoteProcess> => executor.exec(target, request, until)
    if (door === 'sftp')
      throw new OpsError('BAD_REQUEST', 'sftp is not served', { detail: 'sftp is not served by this gateway; use scp -O or rsync where the image has them' })
    if (command !== undefined) return startLine(exec, command, env, pty, signal)
    if (this.#grant?.commands) return this.#startGuarded(exec, env, pty)
    return exec({ argv: shellArgv(pty), env, ...(pty && { pty }) }, signal).catch((error: unknown) => {
      throw noShell(error)
    })
  }

  #startGuarded(exec: GuardContext['exec'], env: Readonly<Record<string, string>>, pty: PtyRequest | undefined): Promise<RemoteProcess> {
    const guardedShell = this.#parts.guardedShell
    if (!guardedShell) throw new OpsError('NOT_GUARDABLE', 'no guard configured')
    if (!pty) throw new OpsError('NOT_GUARDABLE', 'no pty', { detail: 'your rule has a command list, and such a shell needs a terminal (ssh -t)' })
    return guardedShell({ session: this.#session, pty, env, grant: this.#grant as Allowed, exec })
  }

  /** Before anything was started: the client reads the reason, the audit keeps it. */
  async refuse(error: OpsError): Promise<void> {
    const { address } = this.#request
    this.#log.info({ code: error.code, reason: error.message, address: escapePeerText(address) }, 'session.refused')
    const write = this.#parts.audit.write({
      ...this.#subject(),
      type: 'session.refused',
      reason: error.userText,
      ...(address !== '' && { address: escapePeerText(address) }),
    })
    // a refusal is told even when it cannot be kept; nothing runs either way
    await write.catch((cause: unknown) => this.#log.error({ error: cause }, 'audit.failed'))
    this.#answer(error)
  }

  #answer(outcome: ExitStatus | OpsError): void {
    if (!(outcome instanceof OpsError)) {
      this.#client.finish(outcome)
      return
    }
    if (!this.#client.gone.aborted) this.#tell(outcome.userText)
    this.#client.finish({ kind: 'exited', code: outcome.exit })
  }

  /** The last events. They may fail only by the audit's own failure, which is logged: the program has run. */
  async #book(outcome: ExitStatus | OpsError, stages: readonly Stage[]): Promise<void> {
    const ms = Date.now() - this.#startedAt.getTime()
    const exit = outcome instanceof OpsError ? outcome.exit : exitCode(outcome)
    const reason = outcome instanceof OpsError ? outcome.userText : outcome.kind === 'signaled' ? `killed by SIG${outcome.signal}` : 'exited'
    const writes = [
      this.#parts.audit.write({
        ...this.#subject(),
        type: 'session.close',
        rule: this.#grant?.rule ?? '',
        reason,
        exit,
        bytesIn: this.#meters.up.bytes,
        bytesOut: this.#meters.down.bytes + this.#meters.err.bytes,
        ms,
        ...recordingFacts(stages),
      }),
    ]
    if (this.#commandSeq !== undefined) {
      writes.unshift(this.#parts.audit.write({ ...this.#subject(), type: 'command.exit', command: this.#commandSeq, status: exit, ms }))
    }
    const error = outcome instanceof OpsError ? { code: outcome.code, cause: outcome.message } : {}
    this.#log.info({ exit, ms, via: this.#via, ...error }, 'session.close')
    for (const result of await Promise.allSettled(writes)) {
      if (result.status === 'rejected') this.#log.error({ error: result.reason as unknown }, 'audit.failed')
    }
  }

  #live(closed: Promise<void>): LiveSession {
    return {
      session: this.#session,
      rule: this.#grant?.rule ?? '',
      via: () => this.#via,
      bytes: () => ({ in: this.#meters.up.bytes, out: this.#meters.down.bytes + this.#meters.err.bytes }),
      notify: (text) => {
        if (this.#request.pty) this.#tell(text)
      },
      end: (reason) => this.#switch.abort(reason),
      closed,
    }
  }

  #end(detail: string): void {
    this.#switch.abort(new OpsError('SESSION_ENDED', detail, { detail }))
  }

  /** One line on the user's stderr. With a terminal the line starts at its left edge. */
  #tell(text: string): void {
    const line = this.#request.pty ? `\r\ndockin: ${text}\r\n` : `dockin: ${text}\n`
    this.#client.stderr.write(line)
  }

  #ending(): AbortSignal {
    return AbortSignal.any([this.#switch.signal, this.#client.gone])
  }

  #subject(): { session: string; user: string; from: string; door: Door; target?: Omit<Target, 'containerId' | 'labels'> } {
    const { identity, door } = this.#request
    const base = { session: this.#id, user: identity.user, from: `${identity.from.host}:${identity.from.port}`, door }
    if (!this.#target) return base
    const { cluster, namespace, pod, container, uid, node } = this.#target
    return { ...base, target: { cluster, namespace, pod, container, uid, node } }
  }
}

/** Runs a line in the image's /bin/sh; in an image without one, a line of plain words is run as it stands. */
async function startLine(
  exec: GuardContext['exec'],
  line: string,
  env: Readonly<Record<string, string>>,
  pty: PtyRequest | undefined,
  signal: AbortSignal,
): Promise<RemoteProcess> {
  const options = { env, ...(pty && { pty }) }
  try {
    return await exec({ argv: execArgv(line, pty), ...options }, signal)
  } catch (error) {
    const words = plainWords(line)
    if (!isMissingProgram(error)) throw error
    if (!words) throw noShell(error)
    return exec({ argv: words, ...options }, signal)
  }
}

function isMissingProgram(error: unknown): boolean {
  return error instanceof OpsError && error.code === 'COMMAND_NOT_FOUND'
}

function noShell(error: unknown): unknown {
  if (!isMissingProgram(error)) return error
  const detail = 'the image has no shell; name a program and its arguments instead'
  return new OpsError('COMMAND_NOT_FOUND', 'the image has no /bin/sh', { cause: error, detail })
}

/** The rule and its message reach the user: which rule, why, whom to ask. */
function refusal(code: 'POLICY_REFUSED' | 'COMMAND_REFUSED', verdict: Refused): OpsError {
  const parts = [verdict.reason, verdict.rule === undefined ? '' : `rule ${verdict.rule}`, verdict.message ?? ''].filter((part) => part !== '')
  return new OpsError(code, `${ERRORS[code].text}: ${verdict.reason}`, { detail: parts.join('; ') })
}

function lineField(line: string): { line: string } | { lineBase64: string } {
  // ssh hands the command as a string decoded from UTF-8; a replacement character says that it was not
  return line.includes('�') ? { lineBase64: Buffer.from(line).toString('base64') } : { line }
}

function recordingFacts(stages: readonly Stage[]): Readonly<Record<string, string | number>> {
  return Object.assign({}, ...stages.map((stage) => stage.facts?.() ?? {})) as Record<string, string | number>
}

/** Sorts by time: milliseconds in base 36, then 50 random bits. */
function newSessionId(): string {
  return `${Date.now().toString(36)}-${randomBytes(8).toString('hex').slice(0, 12)}`
}

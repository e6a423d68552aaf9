/**
 * The guarded shell: a RemoteProcess that runs no line it has not vetted.
 *
 * The client's bytes change a line that only exists here. Enter asks the policy, the audit log and, where a rule says so,
 * the size of files; then the whole line goes down a pipe that is the shell's source. Between that and the next mark the
 * client's bytes go to the terminal, where programs read them and the shell does not. Output never opens that way.
 */
import { OpsError, toOpsError } from '../core/errors.js'
import type { CommandRule, Dialect, ExitStatus, RemoteProcess, WindowSize } from '../core/types.js'
import { type Boot, bootRefusal, bootShell, removeFifo } from './bootstrap.js'
import { type Clock, REAL_CLOCK } from './clock.js'
import { Completer } from './completion.js'
import { Confirmation } from './confirmation.js'
import { Drain } from './drain.js'
import { expandHistory } from './expand.js'
import { KeyDecoder } from './keys.js'
import { ClientOutput, clientInput, MAX_QUEUE_BYTES } from './lanes.js'
import { LineDesk } from './line-desk.js'
import type { GuardParts, LineDecision } from './parts.js'
import type { MarkFacts } from './pipe-lines.js'
import { printable } from './prompt.js'
import { Running } from './running.js'
import { askOver } from './side-exec.js'
import { type ShellEvent, TargetShell } from './target-shell.js'
import { Vetting, type Wait } from './vetting.js'

/** As in guarded-shell.md. CONT is `edit` with an unfinished line; `drain` is the end of RUN. */
type State = 'boot' | 'edit' | 'check' | 'wait' | 'run' | 'drain' | 'closed'

const BOOT_LIMIT_MS = 5000
const ESCAPE_MS = 50
/** How long the terminal's last bytes may take after the shell has ended. */
const LAST_BYTES_MS = 2000
/** A container that stops takes both processes; the shell's own end is then the better reason. */
const PIPE_LOST_MS = 50
/** Keys behind a Tab wait so long for its answer: `ls ke<Tab><Enter>`, typed fast, is to run the completed line, as in bash. */
const COMPLETION_MS = 400
const CTRL_C = 0x03
/** What `$?` is after a line that was denied, and after Ctrl-C: as if the command could not be executed, and as in bash. */
const STATUS_DENIED = 126
const STATUS_INTERRUPTED = 130

/**
 * Starts a guarded shell and resolves once it is ready for the first line.
 * @throws OpsError NOT_GUARDABLE when the image cannot have one; never answers an unguarded shell
 */
export async function openGuardedShell(parts: GuardParts): Promise<RemoteProcess> {
  const { exec, pty, env, rule, signal } = parts
  const boot = await bootShell({ exec, pty, env, shells: rule.commands.shells, signal })
  const shell = new GuardedShell(parts, boot)
  try {
    await shell.ready
    return shell
  } catch (error) {
    await shell.close()
    throw error
  }
}

class GuardedShell implements RemoteProcess {
  readonly stdin
  readonly exit: Promise<ExitStatus>
  readonly via: string
  /** Settles with the first mark. */
  readonly ready: Promise<void>

  readonly #parts: GuardParts
  readonly #clock: Clock
  readonly #shell: TargetShell
  readonly #out: ClientOutput
  readonly #desk: LineDesk
  readonly #vetting: Vetting
  readonly #decoder = new KeyDecoder()
  readonly #abort = new AbortController()
  readonly #timers = new Set<() => void>()

  readonly #fifoName: string
  #removed: Promise<void> | undefined

  #state: State = 'boot'
  #dialect: Dialect = 'posix'
  #cwd = '/'
  #lastStatus = 0
  #running: Running | undefined
  #drain: Drain | undefined
  #withdraw: () => void = () => {}
  #confirmation: Confirmation | undefined
  /** Client bytes that no state has taken yet, and what to call when they are within the limit. */
  #queue: Buffer[] = []
  #queueBytes = 0
  #blocked: (() => void) | undefined
  #inputEnded = false
  #pumping = false
  #cancelEscape: (() => void) | undefined
  #settleReady: { resolve: () => void; reject: (error: unknown) => void } = { resolve: () => {}, reject: () => {} }
  #settleExit: { resolve: (status: ExitStatus) => void; reject: (error: unknown) => void } = { resolve: () => {}, reject: () => {} }

  constructor(parts: GuardParts, boot: Boot) {
    const { pty, user, targetLabel, rule, ask, exec } = parts
    this.#parts = parts
    this.#clock = parts.clock ?? REAL_CLOCK
    this.#shell = new TargetShell(boot)
    this.#fifoName = boot.fifoName
    this.via = boot.terminal.via
    this.#out = new ClientOutput(() => this.#onRoom())
    this.#vetting = new Vetting(parts, this.#abort.signal)
    this.#desk = new LineDesk({
      user,
      targetLabel,
      term: pty.term,
      columns: pty.size.columns,
      rows: pty.size.rows,
      allowed: allowedNames(rule.commands),
      completer: new Completer(ask ?? askOver(exec), this.#clock),
      write: (bytes) => this.#out.write(bytes),
      signal: this.#abort.signal,
      completed: () => this.#pump(),
    })
    this.stdin = clientInput(
      (bytes, taken) => this.#onClient(bytes, taken),
      () => this.#onClientEnd(),
    )
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject }
    })
    this.exit = new Promise((resolve, reject) => {
      this.#settleExit = { resolve, reject }
    })
    // Whoever awaits it learns of a failure; without this line a failure before anybody does would end the gateway.
    this.exit.catch(() => {})
    this.#listen(boot)
  }

  get stdout() {
    return this.#out.stream
  }

  // ---------------------------------------------------------------- from outside

  resize(size: WindowSize): void {
    if (this.#state === 'closed') return
    this.#shell.terminal.resize(size)
    this.#desk.resize(size.columns, size.rows)
  }

  kill(signal: string): void {
    if (this.#state === 'closed') return
    if (signal === 'INT' && this.#state === 'edit') this.#interrupt()
    else if (signal === 'HUP' || signal === 'TERM' || signal === 'KILL') this.#fail(new OpsError('SESSION_ENDED', `the guarded shell was sent SIG${signal}`))
    else this.#shell.terminal.kill(signal)
  }

  async close(): Promise<void> {
    this.#shutDown()
    this.#settleExit.reject(new OpsError('SESSION_ENDED', 'the guarded shell was closed'))
    await Promise.all([this.#shell.terminal.close(), this.#shell.pipe.close()])
    if (!this.#shell.settled) await (this.#removed ??= removeFifo(this.#parts.exec, this.#fifoName))
  }

  // ---------------------------------------------------------------- the two processes

  #listen({ terminal, pipe }: Boot): void {
    terminal.stdout.on('data', (chunk: Buffer) => this.#onOutput(chunk))
    terminal.stdout.on('error', (error) => this.#fail(error))
    pipe.stdout.resume()
    pipe.stderr?.resume()
    // The process's own end says more than a stream that broke because of it; it has this long to come.
    const broke = (error: Error) => this.#later(LAST_BYTES_MS, () => this.#fail(error))
    for (const stream of [terminal.stdin, pipe.stdin, pipe.stdout, pipe.stderr]) stream?.on('error', broke)
    terminal.exit.then(
      (status) => this.#onShellEnd(status),
      (error) => this.#fail(error),
    )
    // The pipe ends before the shell only when something broke: the shell then reads an end of file, and its status says nothing.
    const lost = (why: string) => {
      this.#later(this.#state === 'boot' ? LAST_BYTES_MS : PIPE_LOST_MS, () => this.#lose(`its command pipe was lost: ${why}`))
    }
    pipe.exit.then(
      (status) => lost(JSON.stringify(status)),
      (error) => lost(toOpsError(error).message),
    )
    this.#later(BOOT_LIMIT_MS, () => {
      if (this.#state === 'boot') this.#notGuardable('the shell did not become ready in 5 s')
    })
    const { signal } = this.#parts
    const abort = () => this.#fail(signal.reason)
    signal.addEventListener('abort', abort, { once: true, signal: this.#abort.signal })
    if (signal.aborted) abort()
  }

  #onShellEnd(status: ExitStatus): void {
    if (this.#state === 'boot') {
      this.#fail(bootRefusal(status))
      return
    }
    // Known before the last output has been passed on, as the interface has it.
    this.#settleExit.resolve(status)
    this.#recordEnd(status.kind === 'exited' ? status.code : 128)
    const finish = () => {
      if (this.#state === 'closed') return
      this.#out.write(this.#shell.flush())
      this.#shutDown()
      // The shell has ended and left its streams; what is left to end is the pipe's cat.
      void this.#shell.pipe.close()
    }
    const { stdout } = this.#shell.terminal
    if (stdout.readableEnded || stdout.destroyed) finish()
    else {
      stdout.once('end', finish)
      stdout.once('close', finish)
      this.#later(LAST_BYTES_MS, finish)
    }
  }

  #lose(why: string): void {
    this.#fail(new OpsError('PROTOCOL_ERROR', `a guarded shell was lost: ${why}`))
  }

  #notGuardable(why: string): void {
    this.#fail(new OpsError('NOT_GUARDABLE', `Cannot boot a guarded shell: ${why}`, { detail: why }))
  }

  #fail(error: unknown): void {
    if (this.#state === 'closed') return
    const reason = toOpsError(error, 'PROTOCOL_ERROR')
    if (this.#state === 'edit') this.#desk.close()
    this.#shutDown()
    this.#settleReady.reject(reason)
    this.#settleExit.reject(reason)
    // Both promise never to reject.
    void this.#shell.terminal.close()
    void this.#shell.pipe.close()
  }

  /** CLOSED: no timer, no question and no queued byte is left. */
  #shutDown(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    this.#abort.abort(new OpsError('SESSION_ENDED', 'the guarded shell has ended'))
    this.#takeQueue()
    this.#out.end()
  }

  readonly #later = (ms: number, callback: () => void): (() => void) => {
    if (this.#state === 'closed') return () => {}
    const cancel = this.#clock.after(ms, () => {
      this.#timers.delete(stop)
      if (this.#state !== 'closed') callback()
    })
    const stop = () => {
      this.#timers.delete(stop)
      cancel()
    }
    this.#timers.add(stop)
    return stop
  }

  // ---------------------------------------------------------------- client bytes

  #onClient(bytes: Buffer, taken: () => void): void {
    if (this.#state === 'run' && this.#running?.holds === false) {
      this.#toTerminal(bytes, taken)
      return
    }
    if (this.#state === 'closed' || this.#state === 'wait') {
      if (this.#state === 'wait') this.#onAnswer(bytes)
      taken()
      return
    }
    this.#queue.push(bytes)
    this.#queueBytes += bytes.length
    if (this.#queueBytes > MAX_QUEUE_BYTES) this.#blocked = taken
    else taken()
    this.#pump()
  }

  /** WAIT: the answer to a question, or Ctrl-C. What follows the answer at once is type-ahead. */
  #onAnswer(bytes: Buffer): void {
    const confirmation = this.#confirmation
    if (!confirmation) {
      if (bytes.includes(CTRL_C)) this.#withdraw()
      return
    }
    const rest = confirmation.feed(bytes)
    if (rest === undefined) return
    this.#confirmation = undefined
    // until the answer is on record, as in CHECK
    this.#state = 'check'
    if (rest.length === 0) return
    this.#queue.push(rest)
    this.#queueBytes += rest.length
  }

  #onClientEnd(): void {
    this.#inputEnded = true
    this.#pump()
  }

  #toTerminal(bytes: Buffer, taken: () => void): void {
    const { stdin } = this.#shell.terminal
    this.#running?.touch(bytes)
    if (stdin.destroyed || stdin.writableEnded || stdin.write(bytes)) {
      taken()
      return
    }
    // Whichever comes first: the terminal reads again, or there is no terminal any more.
    const go = () => {
      stdin.off('drain', go)
      stdin.off('close', go)
      taken()
    }
    stdin.once('drain', go)
    stdin.once('close', go)
  }

  #takeQueue(): readonly Buffer[] {
    const queue = this.#queue
    this.#queue = []
    this.#queueBytes = 0
    const taken = this.#blocked
    this.#blocked = undefined
    // Not at once: it may bring the next bytes, and these must come behind what is being taken.
    if (taken) queueMicrotask(taken)
    return queue
  }

  #onRoom(): void {
    if (this.#state === 'closed') return
    this.#shell.terminal.stdout.resume()
    this.#pump()
  }

  /** EDIT: keys change the line until there are no more, or one of them ends EDIT. */
  #pump(): void {
    // A key may lead back here (Enter on an empty line): the loop that is running goes on with the next one.
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#state === 'edit' && this.#out.hasRoom && !this.#desk.completing && this.#nextKey()) this.#desk.draw()
    } finally {
      this.#pumping = false
    }
    this.#watchEscape()
    if (this.#state === 'edit' && this.#inputEnded && this.#queue.length === 0 && this.#decoder.pending === 0) this.#leaveShell()
  }

  /** Does what was typed, up to the end of what has come; false when there is nothing more. */
  #nextKey(): boolean {
    for (let key = this.#decoder.next(); key !== undefined; key = this.#decoder.next()) {
      const effect = this.#desk.press(key)
      if (this.#desk.completing) {
        this.#later(COMPLETION_MS, () => {
          this.#desk.goOnWithoutCompletion()
          this.#pump()
        })
        return true
      }
      if (effect === undefined) continue
      if (effect === 'accept') this.#accept()
      else if (effect === 'interrupt') this.#interrupt()
      else this.#leaveShell()
      return true
    }
    this.#desk.draw()
    if (this.#queue.length === 0) return false
    for (const bytes of this.#takeQueue()) this.#decoder.feed(bytes)
    return true
  }

  #watchEscape(): void {
    this.#cancelEscape?.()
    this.#cancelEscape = undefined
    if (this.#state !== 'edit' || !this.#decoder.escaping) return
    this.#cancelEscape = this.#later(ESCAPE_MS, () => {
      const key = this.#state === 'edit' ? this.#decoder.settle() : undefined
      if (key) this.#desk.press(key)
      this.#pump()
    })
  }

  // ---------------------------------------------------------------- EDIT and CONT

  /** A new line, with a prompt of its own. */
  #edit(text?: string): void {
    this.#state = 'edit'
    this.#desk.open(this.#cwd, this.#lastStatus, text)
    this.#pump()
  }

  #interrupt(): void {
    this.#desk.abandon()
    this.#lastStatus = STATUS_INTERRUPTED
    this.#edit()
  }

  /** Ctrl-D on an empty line, or the end of the client's input. */
  #leaveShell(): void {
    this.#desk.close()
    this.#startRun(undefined, false)
    this.#shell.exit(this.#lastStatus)
  }

  #accept(): void {
    const typed = this.#desk.line
    if (typed.text.trim() === '' && !typed.overflow) {
      this.#desk.close()
      this.#edit()
      return
    }
    const expanded = this.#dialect === 'bash' && !typed.overflow ? expandHistory(typed.text, typed.history) : { text: typed.text }
    if ('problem' in expanded) {
      this.#desk.close()
      this.#say(expanded.problem)
      this.#edit()
      return
    }
    const line = expanded.text
    const decision = this.#vetting.decide(line, this.#where, typed.overflow)
    if (decision.verdict === 'incomplete' && line === typed.text) {
      // CONT: all of it is vetted at the next Enter.
      this.#desk.goOn()
      return
    }
    this.#desk.close()
    if (line !== typed.text) for (const part of line.split('\n')) this.#say(part)
    this.#check(line, decision)
  }

  // ---------------------------------------------------------------- CHECK and WAIT

  get #where() {
    return { dialect: this.#dialect, cwd: this.#cwd }
  }

  #check(line: string, first: LineDecision): void {
    this.#state = 'check'
    this.#desk.keep(line)
    const onWait = ({ text, answer, withdraw }: Wait) => {
      if (this.#state !== 'check') return
      this.#state = 'wait'
      this.#withdraw = withdraw
      if (!answer) {
        this.#say(`dockin: ${text}`)
        return
      }
      this.#out.write(`${printable(`dockin: ${text}`)} `)
      this.#confirmation = new Confirmation(
        (echo) => this.#out.write(echo),
        (end) => (end.kind === 'answer' ? answer(end.text) : withdraw()),
      )
    }
    this.#vetting.vet(line, first, this.#where, onWait).then(
      ({ runs, decision, seq }) => {
        if (this.#state === 'closed') return
        this.#confirmation = undefined
        if (runs) this.#commit(line, decision, seq)
        else this.#deny(decision)
      },
      (error) => {
        this.#confirmation = undefined
        if (this.#state !== 'closed') this.#hold(line, error)
      },
    )
  }

  #deny(decision: LineDecision): void {
    this.#say(this.#vetting.refusal(decision))
    this.#lastStatus = STATUS_DENIED
    this.#edit()
  }

  /** Its event cannot be kept: the line comes back, and what was typed behind it must not join it. */
  #hold(line: string, error: unknown): void {
    this.#takeQueue()
    this.#decoder.take()
    this.#say(`dockin: ${toOpsError(error).userText}; the line is held, nothing was run`)
    this.#edit(line)
  }

  #say(text: string): void {
    this.#out.write(`${printable(text)}\r\n`)
  }

  // ---------------------------------------------------------------- RUN

  #commit(line: string, decision: LineDecision, seq: number): void {
    const names = decision.commands?.map(([name]) => name?.split('/').at(-1)) ?? []
    const changesSettings = names.some((name) => name === 'stty' || name === 'reset' || name === 'tset')
    if (decision.opaque) this.#parts.onOpaque?.(decision.rule ?? this.#parts.rule.name)
    this.#startRun(seq, changesSettings)
    this.#shell.run(line, this.#lastStatus)
  }

  #startRun(seq: number | undefined, changesSettings: boolean): void {
    const rest = this.#decoder.take()
    if (rest.length > 0) {
      this.#queue.unshift(rest)
      this.#queueBytes += rest.length
    }
    this.#state = 'run'
    this.#running = new Running(seq, changesSettings, {
      shell: this.#shell,
      clock: this.#clock,
      later: this.#later,
      over: (facts) => this.#endRun(facts),
      letGo: () => {
        for (const bytes of this.#takeQueue()) this.#toTerminal(bytes, () => {})
      },
      lost: (why) => this.#lose(why),
      hasTypeAhead: () => this.#queue.length > 0,
    })
  }

  #onOutput(chunk: Buffer): void {
    for (const event of this.#shell.read(chunk)) if (this.#state !== 'closed') this.#onShellEvent(event)
    if (!this.#out.hasRoom) this.#shell.terminal.stdout.pause()
  }

  #onShellEvent(event: ShellEvent): void {
    if (event.kind === 'output') this.#show(event.bytes)
    else if (event.kind === 'mark') this.#onMark(event.purpose, event.facts)
    else if (event.idle && this.#state === 'run') this.#running?.prompted()
    else if (event.idle && this.#state === 'drain') this.#drain?.prompted()
  }

  #onMark(purpose: string, facts: MarkFacts | undefined): void {
    if (purpose === 'ready' && this.#state === 'boot') this.#onReady(facts)
    else if (purpose === 'begin' && this.#state === 'run') this.#running?.begun()
    else if (purpose === 'knock' && this.#state === 'run') this.#running?.answered()
    else if ((purpose === 'run' || purpose === 'query') && this.#state === 'run') this.#running?.marked(facts)
    else if (purpose === 'drain' && this.#state === 'drain') this.#drain?.answered(facts)
  }

  #onReady(facts: MarkFacts | undefined): void {
    if (!facts) {
      this.#notGuardable('its terminal changes what is printed')
      return
    }
    this.#dialect = facts.fields[0] ? 'bash' : 'posix'
    if (facts.cwd !== '') this.#cwd = facts.cwd
    this.#shell.settle()
    this.#edit()
    this.#settleReady.resolve()
  }

  #show(bytes: Buffer): void {
    if (this.#state === 'boot') return
    this.#desk.show(this.#state === 'drain' && this.#drain ? this.#drain.filter(bytes, MAX_QUEUE_BYTES) : bytes)
  }

  /** The line is over. What went to the terminal and was not read comes back first. */
  #endRun({ status, cwd }: MarkFacts): void {
    const running = this.#running
    this.#lastStatus = status
    if (cwd !== '') this.#cwd = cwd
    this.#recordEnd(status)
    const changed = running?.changesSettings === true
    if (changed) this.#shell.learnSettings()
    if (running?.touched) this.#startDrain(!changed)
    else {
      if (status > 128 && !changed) this.#shell.restoreSettings()
      this.#edit()
    }
  }

  /** When this event cannot be kept, the next line's cannot either, and that one is held. */
  #recordEnd(status: number): void {
    const running = this.#running
    this.#running = undefined
    this.#parts.onOpaque?.(undefined)
    if (running?.seq === undefined) return
    const ms = Math.round(this.#clock.now() - running.startedAt)
    this.#parts.record({ type: 'command.exit', command: running.seq, status, ms }).catch(() => {})
  }

  #startDrain(restoreSettings: boolean): void {
    this.#state = 'drain'
    this.#drain = new Drain({
      ask: (sentinel) => this.#shell.drain(sentinel, restoreSettings),
      write: (text) => this.#shell.terminal.stdin.write(text),
      later: this.#later,
      done: (unread) => this.#endDrain(unread),
    })
  }

  #endDrain(unread: Buffer | undefined): void {
    if (unread === undefined) {
      // A byte that is still on its way could hit the next line while the shell reads it.
      this.#lose('its terminal could not be read empty')
      return
    }
    if (this.#drain) this.#desk.show(this.#drain.filter(undefined, 0))
    this.#drain = undefined
    if (unread.length > MAX_QUEUE_BYTES) this.#say('dockin: more than 64 KiB were typed ahead; they were dropped')
    else this.#decoder.feed(unread)
    this.#edit()
  }
}

/** Names that Tab offers under a white list; undefined: every program. */
function allowedNames({ mode, entries, confirm = [], approve }: CommandRule): readonly string[] | undefined {
  return mode === 'allow' ? [...entries, ...confirm, ...(approve?.entries ?? [])].map(({ cmd }) => cmd) : undefined
}

/**
 * The guarded shell: a RemoteProcess that runs no line it has not vetted.
 *
 * The client's bytes change a line that only exists here. Enter asks the policy, the audit log and, where a rule says so,
 * the size of files; then the whole line goes down a pipe that is the shell's source. Between that and the next mark the
 * client's bytes go to the terminal, where programs read them and the shell does not. Output never opens that way.
 */
import { OpsError, toOpsError } from '../core/errors.js'
import type { Dialect, ExitStatus, RemoteProcess, WindowSize } from '../core/types.js'
import { type Boot, bootRefusal, bootShell, removeFifo } from './bootstrap.js'
import { type Clock, REAL_CLOCK } from './clock.js'
import { Completer } from './completion.js'
import { type EditorState, edited, newLine, type Step } from './edit-state.js'
import { press } from './editor.js'
import { expandHistory } from './expand.js'
import { remember } from './history.js'
import { type Key, KeyDecoder } from './keys.js'
import { ClientOutput, clientInput, MAX_QUEUE_BYTES } from './lanes.js'
import { OutputTail } from './output-tail.js'
import type { GuardEvent, GuardParts, LineDecision } from './parts.js'
import { DRAINED, type MarkFacts, makeNonce } from './pipe-lines.js'
import { printable, promptOfSearch, shellPrompt } from './prompt.js'
import { Screen, type View } from './screen.js'
import { askOver, fileSizeOver } from './side-exec.js'
import { type ShellEvent, TargetShell } from './target-shell.js'

/** BOOT is over when the first mark came; CONT is EDIT with an unfinished line. */
type State = 'boot' | 'edit' | 'check' | 'wait' | 'run' | 'drain' | 'closed'

const BOOT_LIMIT_MS = 5000
const ESCAPE_MS = 50
/**
 * What was typed before the line ran waits so long before it goes to the terminal. A program that reads has it then;
 * after one that does not, the next line is here already and need not be read back.
 */
const TYPE_AHEAD_MS = 30
/** Mark and prompt are printed together; a prompt that was taken away is waited for this long. */
const PROMPT_MS = 100
const DRAIN_MS = 2000
const MAX_DRAINS = 5
/** After a prompt without a mark in a drain: time for the mark, which comes first unless the drain was interrupted. */
const REDRAIN_MS = 150
/** Between two questions where the shell stands; doubles each time, so that a program that prints our prompt all day fills no pipe. */
const REQUERY_MS = 250
/** In a shell without prompts the question is asked after so long, and again after a key that may have interrupted the line. */
const PROBE_MS = 50
const MAX_PROBES = 64
const MAX_REQUERY_MS = 60_000
const MAX_UNREADABLE = 6
/** How long the terminal's last bytes may take after the shell has ended, or the shell after its pipe has. */
const LAST_BYTES_MS = 2000

const PASTE_ON = '\x1b[?2004h'
const PASTE_OFF = '\x1b[?2004l'
const CTRL_C = 0x03
const CTRL_BACKSLASH = 0x1c

/** One line that runs. */
interface Run {
  /** Of its command event; undefined for the `exit` of Ctrl-D. */
  readonly seq: number | undefined
  readonly startedAt: number
  readonly changesSettings: boolean
  facts: MarkFacts | undefined
  /** Client bytes went to the terminal. */
  touched: boolean
  /** It has not begun, or bytes typed before it began still wait: what comes now queues behind them. */
  holds: boolean
  /** Questions where the shell stands, and the one that will be asked. */
  queries: number
  querying: boolean
  /** Marks that could not be read. */
  unreadable: number
}

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
    await removeFifo(exec, boot.fifoName)
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
  readonly #screen: Screen
  readonly #completer: Completer
  readonly #tail = new OutputTail()
  readonly #decoder = new KeyDecoder()
  readonly #abort = new AbortController()
  readonly #timers = new Set<() => void>()

  #state: State = 'boot'
  #editor: EditorState = newLine()
  #dialect: Dialect = 'posix'
  #cwd = '/'
  #lastStatus = 0
  #run: Run | undefined
  /** Client bytes that no state has taken yet, and what to call when they are within the limit. */
  #queue: Buffer[] = []
  #queueBytes = 0
  #blocked: (() => void) | undefined
  #inputEnded = false
  #tabs = 0
  #dirty = false
  #pumping = false
  #drains = 0
  /** Output during a drain: the sentinel's echo is taken out of it. */
  #drainOutput: Buffer[] = []
  #sentinels: string[] = []
  #cancelEscape: (() => void) | undefined
  #settleReady: { resolve: () => void; reject: (error: unknown) => void } = { resolve: () => {}, reject: () => {} }
  #settleExit: { resolve: (status: ExitStatus) => void; reject: (error: unknown) => void } = { resolve: () => {}, reject: () => {} }

  constructor(parts: GuardParts, boot: Boot) {
    this.#parts = parts
    this.#clock = parts.clock ?? REAL_CLOCK
    this.#shell = new TargetShell(boot)
    this.via = boot.terminal.via
    this.#out = new ClientOutput(() => this.#onRoom())
    this.#screen = new Screen(parts.pty.size.columns || 80, parts.pty.size.rows || 24)
    this.#completer = new Completer(parts.ask ?? askOver(parts.exec), this.#clock)
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
    this.#out.write(this.#screen.resize(size.columns || 80, size.rows || 24, this.#state === 'edit' ? this.#view() : undefined))
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
  }

  // ---------------------------------------------------------------- the two processes

  #listen({ terminal, pipe }: Boot): void {
    terminal.stdout.on('data', (chunk: Buffer) => this.#onOutput(chunk))
    terminal.stdout.on('error', (error) => this.#fail(error))
    terminal.stdin.on('error', (error) => this.#later(LAST_BYTES_MS, () => this.#fail(error)))
    pipe.stdin.on('error', (error) => this.#later(LAST_BYTES_MS, () => this.#fail(error)))
    pipe.stdout.on('error', (error) => this.#later(LAST_BYTES_MS, () => this.#fail(error)))
    pipe.stdout.resume()
    pipe.stderr?.on('error', (error) => this.#later(LAST_BYTES_MS, () => this.#fail(error)))
    pipe.stderr?.resume()
    terminal.exit.then(
      (status) => this.#onShellEnd(status),
      (error) => this.#fail(error),
    )
    // The pipe ends before the shell only when something broke: the shell then reads an end of file, and its status says nothing.
    const lost = (why: string) => this.#fail(new OpsError('PROTOCOL_ERROR', `the command pipe of a guarded shell was lost: ${why}`))
    pipe.exit.then(
      (status) => this.#later(this.#state === 'boot' ? LAST_BYTES_MS : 50, () => lost(JSON.stringify(status))),
      (error) => this.#later(50, () => lost(toOpsError(error).message)),
    )
    this.#later(BOOT_LIMIT_MS, () => {
      if (this.#state === 'boot')
        this.#fail(new OpsError('NOT_GUARDABLE', 'the guarded shell gave no sign of life in 5 s', { detail: 'the shell did not become ready' }))
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
    const { stdout } = this.#shell.terminal
    const finish = () => {
      if (this.#state === 'closed') return
      this.#finishRun(status.kind === 'exited' ? status.code : 128)
      this.#out.write(this.#shell.flush())
      this.#out.end()
      this.#shutDown()
      // The shell has ended and left its streams; what is left to end is the pipe's cat.
      void this.#shell.pipe.close()
    }
    // Known before the last output has been passed on, as the interface has it.
    this.#settleExit.resolve(status)
    if (stdout.readableEnded || stdout.destroyed) finish()
    else {
      stdout.once('end', finish)
      stdout.once('close', finish)
      this.#later(LAST_BYTES_MS, finish)
    }
  }

  #fail(error: unknown): void {
    if (this.#state === 'closed') return
    const reason = toOpsError(error, 'PROTOCOL_ERROR')
    if (this.#screen && this.#state === 'edit') this.#out.write(`${this.#screen.leave()}${PASTE_OFF}`)
    this.#shutDown()
    this.#settleReady.reject(reason)
    this.#settleExit.reject(reason)
    this.#out.end()
    void this.#shell.terminal.close()
    void this.#shell.pipe.close()
  }

  /** CLOSED: no timer, no question and no queued byte is left. */
  #shutDown(): void {
    this.#state = 'closed'
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
    this.#abort.abort()
    this.#queue = []
    this.#run = undefined
    const taken = this.#blocked
    this.#blocked = undefined
    taken?.()
    this.#out.end()
  }

  #later(ms: number, callback: () => void): () => void {
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
    if (this.#state === 'closed') {
      taken()
      return
    }
    if (this.#state === 'wait') {
      if (bytes.includes(CTRL_C)) this.#withdraw()
      taken()
      return
    }
    if (this.#state === 'run' && !this.#run?.holds) {
      this.#toTerminal(bytes, taken)
      return
    }
    this.#queue.push(bytes)
    this.#queueBytes += bytes.length
    if (this.#queueBytes > MAX_QUEUE_BYTES) this.#blocked = taken
    else taken()
    this.#pump()
  }

  #onClientEnd(): void {
    this.#inputEnded = true
    this.#pump()
  }

  #toTerminal(bytes: Buffer, taken?: () => void): void {
    const { stdin } = this.#shell.terminal
    if (this.#run) {
      this.#run.touched = true
      if (!this.#shell.printsPrompt && this.#run.queries < MAX_PROBES && (bytes.includes(CTRL_C) || bytes.includes(CTRL_BACKSLASH))) this.#query(this.#run)
    }
    if (stdin.destroyed || stdin.writableEnded) {
      taken?.()
      return
    }
    if (stdin.write(bytes) || taken === undefined) {
      taken?.()
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

  #takeQueue(): Buffer[] {
    const queue = this.#queue
    this.#queue = []
    this.#queueBytes = 0
    const taken = this.#blocked
    this.#blocked = undefined
    if (taken) queueMicrotask(taken)
    return queue
  }

  #onRoom(): void {
    if (this.#shell?.terminal.stdout.isPaused()) this.#shell.terminal.stdout.resume()
    this.#pump()
  }

  /** EDIT: keys change the line until there are no more, or one of them ends EDIT. */
  #pump(): void {
    // A key may lead back here (Enter on an empty line): the loop that is running goes on with the next one.
    if (this.#pumping) return
    this.#pumping = true
    while (this.#state === 'edit' && this.#out.hasRoom) {
      const key = this.#decoder.next()
      if (key !== undefined) this.#press(key)
      else if (this.#queue.length > 0) for (const bytes of this.#takeQueue()) this.#decoder.feed(bytes)
      else break
    }
    this.#pumping = false
    this.#draw()
    this.#watchEscape()
    if (this.#state === 'edit' && this.#inputEnded && this.#queue.length === 0 && this.#decoder.pending === 0) this.#leaveShell()
  }

  #watchEscape(): void {
    this.#cancelEscape?.()
    this.#cancelEscape = undefined
    if (this.#state !== 'edit' || !this.#decoder.escaping) return
    this.#cancelEscape = this.#later(ESCAPE_MS, () => {
      const key = this.#state === 'edit' ? this.#decoder.settle() : undefined
      if (key) this.#press(key)
      this.#pump()
    })
  }

  // ---------------------------------------------------------------- EDIT and CONT

  #press(key: Key): void {
    const step: Step = press(this.#editor, key)
    this.#editor = step.state
    this.#dirty = true
    this.#tabs = step.effect === 'complete' ? this.#tabs + 1 : 0
    if (step.effect === 'accept') this.#accept()
    else if (step.effect === 'eof') this.#leaveShell()
    else if (step.effect === 'interrupt') this.#interrupt()
    else if (step.effect === 'complete') this.#complete()
    else if (step.effect === 'clear') {
      this.#screen.forget()
      this.#out.write('\x1b[H\x1b[2J')
    } else if (step.effect === 'bell') this.#out.write('\x07')
  }

  #view(): View {
    const { columns } = this.#screen
    const { user, targetLabel, pty } = this.#parts
    const { search, text, cursor } = this.#editor
    const facts = { user, targetLabel, cwd: this.#cwd, status: this.#lastStatus, colours: pty.term !== 'dumb' }
    return { prompt: search ? promptOfSearch(search, columns) : shellPrompt(facts, columns), text, cursor }
  }

  #draw(): void {
    if (!this.#dirty || this.#state !== 'edit') return
    this.#dirty = false
    this.#out.write(this.#screen.render(this.#view()))
  }

  /** Shows the whole line and leaves it standing, as Enter does. */
  #leaveLine(after = ''): void {
    this.#dirty = false
    const view = this.#view()
    const shown = this.#screen.render({ ...view, cursor: view.text.length })
    this.#out.write(`${shown}${after}${this.#parts.pty.term === 'dumb' ? '' : PASTE_OFF}${this.#screen.leave()}`)
    this.#tail.clear()
  }

  /** A new line, with a prompt of its own. */
  #edit(editor: EditorState = newLine(this.#editor)): void {
    this.#state = 'edit'
    this.#editor = editor
    const start = this.#tail.atLineStart ? '' : '\r\n'
    this.#tail.clear()
    this.#out.write(`${start}${this.#parts.pty.term === 'dumb' ? '' : PASTE_ON}`)
    this.#dirty = true
    this.#pump()
  }

  #interrupt(): void {
    this.#editor = { ...this.#editor, search: undefined }
    this.#leaveLine('^C')
    this.#lastStatus = 130
    this.#edit(newLine({ ...this.#editor, next: undefined }))
  }

  /** Ctrl-D on an empty line, or the end of the client's input. */
  #leaveShell(): void {
    this.#leaveLine()
    this.#startRun(undefined, false)
    this.#shell.exit(this.#lastStatus)
  }

  #complete(): void {
    const { text, cursor } = this.#editor
    const again = this.#tabs > 1
    const allowed = this.#parts.rule.commands.mode === 'allow' ? this.#parts.rule.commands.entries.map((entry) => entry.cmd) : undefined
    const answer = this.#completer.complete({ text, cursor, cwd: this.#cwd, allowed }, this.#abort.signal)
    answer.then(
      (completion) => {
        // The key has long been over: the answer counts only while the line is still the one that was asked about.
        if (this.#state !== 'edit' || this.#editor.text !== text || this.#editor.cursor !== cursor || this.#editor.search) return
        if (completion.insert !== '') {
          this.#editor = edited(this.#editor, text.slice(0, cursor) + completion.insert + text.slice(cursor), cursor + completion.insert.length)
          this.#tabs = 0
        } else if (again && completion.names.length > 1) this.#list(completion.names)
        else this.#out.write('\x07')
        this.#dirty = true
        this.#pump()
      },
      () => this.#out.write('\x07'),
    )
  }

  #list(names: readonly string[]): void {
    const view = this.#view()
    this.#out.write(this.#screen.render({ ...view, cursor: view.text.length }) + this.#screen.leave())
    this.#out.write(this.#completer.columns(names, this.#screen.columns))
  }

  // ---------------------------------------------------------------- CHECK and WAIT

  #accept(): void {
    const typed = this.#editor
    if (typed.overflow) {
      this.#hold(typed.text, { verdict: 'deny', reason: 'the line is longer than 64 KiB', confidence: 'exact' })
      return
    }
    if (typed.text.trim() === '') {
      this.#leaveLine()
      this.#edit()
      return
    }
    const expanded = this.#dialect === 'bash' ? expandHistory(typed.text, typed.history) : { text: typed.text }
    if ('problem' in expanded) {
      this.#leaveLine()
      this.#say(expanded.problem)
      this.#edit()
      return
    }
    const line = expanded.text
    const decision = this.#decide(line)
    if (decision.verdict === 'incomplete' && line === typed.text) {
      // CONT: the same line goes on below; all of it is vetted at the next Enter.
      this.#editor = edited(typed, `${line}\n`, line.length + 1)
      return
    }
    this.#leaveLine()
    if (line !== typed.text) this.#out.write(`${printable(line)}\r\n`)
    this.#check(line, decision)
  }

  #hold(line: string, decision: LineDecision): void {
    this.#leaveLine()
    this.#check(line, decision)
  }

  #decide(line: string): LineDecision {
    if (/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(line)) return { verdict: 'deny', reason: 'the line holds a control character', confidence: 'exact' }
    try {
      return this.#parts.decide(line, { dialect: this.#dialect, cwd: this.#cwd })
    } catch (error) {
      return { verdict: 'deny', reason: `the policy could not read the line (${toOpsError(error).code})`, confidence: 'exact' }
    }
  }

  /** Everything that must be known and kept before a line may run; then runs it, or says why not. */
  #check(line: string, first: LineDecision): void {
    this.#state = 'check'
    this.#editor = { ...this.#editor, history: remember(this.#editor.history, line) }
    this.#vet(line, first).then(
      ({ decision, seq, approved }) => {
        if (this.#state !== 'check' && this.#state !== 'wait') return
        if (decision.verdict === 'allow' || approved) {
          this.#commit(line, decision, seq)
          return
        }
        this.#sayRefusal(decision)
        this.#lastStatus = 126
        this.#edit()
      },
      (error) => {
        if (this.#state !== 'check' && this.#state !== 'wait') return
        // What was typed behind a line that is held must not join it.
        this.#takeQueue()
        this.#decoder.take()
        this.#say(`dockin: ${toOpsError(error).userText}; the line is held, nothing was run`)
        this.#edit({ ...newLine(this.#editor), text: line, cursor: line.length })
      },
    )
  }

  async #vet(line: string, first: LineDecision): Promise<{ decision: LineDecision; seq: number; approved: boolean }> {
    let decision = first.verdict === 'incomplete' ? { ...first, verdict: 'deny' as const, reason: first.reason ?? 'the line is not finished' } : first
    if (decision.verdict === 'allow') decision = await this.#measure(decision)
    if (decision.verdict === 'approve') return this.#approve(line, decision)
    const { seq } = await this.#record(line, decision, decision.verdict === 'allow' ? 'allow' : 'deny')
    return { decision, seq, approved: false }
  }

  /** editLimit: an editor or pager that would load more is denied. A file that cannot be measured counts as too large. */
  async #measure(decision: LineDecision): Promise<LineDecision> {
    const limit = this.#parts.rule.commands.editLimit
    if (limit === undefined || !decision.sizeChecks || decision.sizeChecks.length === 0) return decision
    const fileSize = this.#parts.fileSize ?? fileSizeOver(this.#parts.ask ?? askOver(this.#parts.exec))
    for (const { command, path } of decision.sizeChecks) {
      const absolute = path.startsWith('/') ? path : `${this.#cwd}/${path}`
      try {
        const bytes = await fileSize(absolute, this.#abort.signal)
        if (bytes === undefined || bytes <= limit) continue
        const size = Number.isFinite(bytes) ? `has ${bytes} bytes` : 'has no end'
        return { ...decision, verdict: 'deny', reason: `${command} ${path}: the file ${size}, the limit is ${limit}` }
      } catch (error) {
        return { ...decision, verdict: 'deny', reason: `${command} ${path}: the file cannot be measured (${toOpsError(error).code})` }
      }
    }
    return decision
  }

  async #approve(line: string, decision: LineDecision): Promise<{ decision: LineDecision; seq: number; approved: boolean }> {
    this.#state = 'wait'
    this.#say(`dockin: this line waits for approval (${decision.reason ?? 'as the rule says'}); Ctrl-C withdraws it`)
    const { approve } = this.#parts
    const withdrawn = new AbortController()
    this.#withdraw = () => withdrawn.abort(new OpsError('COMMAND_REFUSED', 'the user withdrew the line', { detail: 'withdrawn' }))
    const signal = AbortSignal.any([withdrawn.signal, this.#abort.signal])
    const stopped = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
    const answer = await Promise.race([approve?.(line, decision, signal) ?? 'refused', stopped]).catch((error) => {
      decision = { ...decision, reason: toOpsError(error).detail ?? toOpsError(error).userText }
      return 'refused' as const
    })
    // Vetted again: what the line means may have changed while it waited.
    const again = answer === 'approved' ? this.#decide(line) : decision
    const approved = answer === 'approved' && (again.verdict === 'approve' || again.verdict === 'allow')
    const { seq } = await this.#record(line, again, approved ? 'approved' : 'refused')
    return { decision: again, seq, approved }
  }
  #withdraw: () => void = () => {}

  #record(line: string, decision: LineDecision, verdict: 'allow' | 'deny' | 'approved' | 'refused'): Promise<{ readonly seq: number }> {
    const rule = decision.rule ?? this.#parts.rule.name
    const event: GuardEvent = {
      type: 'command',
      line,
      cwd: this.#cwd,
      verdict,
      rule,
      confidence: decision.confidence,
      ...(decision.reason === undefined ? {} : { reason: decision.reason }),
      ...(decision.commands === undefined ? {} : { commands: decision.commands }),
    }
    return this.#parts.record(event)
  }

  #sayRefusal(decision: LineDecision): void {
    const message = decision.message ?? this.#parts.rule.message
    this.#say(`dockin: refused: ${decision.reason ?? 'not allowed'} (rule ${decision.rule ?? this.#parts.rule.name})${message ? `: ${message}` : ''}`)
  }

  #say(text: string): void {
    this.#out.write(`${printable(text)}\r\n`)
  }

  // ---------------------------------------------------------------- RUN

  #commit(line: string, decision: LineDecision, seq: number): void {
    const names = decision.commands?.map(([name]) => name?.split('/').at(-1)) ?? []
    const changesSettings = names.some((name) => name === 'stty' || name === 'reset' || name === 'tset')
    this.#startRun(seq, changesSettings)
    this.#shell.run(line, this.#lastStatus)
  }

  #startRun(seq: number | undefined, changesSettings: boolean): void {
    const rest = this.#decoder.take()
    this.#state = 'run'
    if (rest.length > 0) {
      this.#queue.unshift(rest)
      this.#queueBytes += rest.length
    }
    this.#run = {
      seq,
      startedAt: this.#clock.now(),
      changesSettings,
      facts: undefined,
      touched: false,
      holds: true,
      queries: 0,
      querying: false,
      unreadable: 0,
    }
  }

  /** The shell has read the whole line and runs it: from now on a Ctrl-C is the program's, and the terminal may be written to. */
  #onBegin(): void {
    const run = this.#run
    if (this.#state !== 'run' || !run) return
    if (!this.#shell.printsPrompt) {
      this.#later(PROBE_MS, () => {
        if (this.#run === run) this.#query(run)
      })
    }
    const letGo = () => {
      if (this.#run !== run || this.#state !== 'run') return
      run.holds = false
      for (const bytes of this.#takeQueue()) this.#toTerminal(bytes)
    }
    if (this.#queue.length === 0) letGo()
    else this.#later(TYPE_AHEAD_MS, letGo)
  }

  #onOutput(chunk: Buffer): void {
    if (this.#state === 'closed') return
    for (const event of this.#shell.read(chunk)) this.#onShellEvent(event)
    if (!this.#out.hasRoom) this.#shell.terminal.stdout.pause()
  }

  #onShellEvent(event: ShellEvent): void {
    if (this.#state === 'closed') return
    if (event.kind === 'output') {
      this.#show(event.bytes)
      return
    }
    if (event.kind === 'prompt') {
      this.#onPrompt(event.idle)
      return
    }
    const { purpose, facts } = event
    if (purpose === 'ready') {
      this.#onReady(facts)
      return
    }
    if (purpose === 'begin') {
      this.#onBegin()
      return
    }
    if (purpose === 'drain' && this.#state === 'drain') {
      this.#onDrained(facts)
      return
    }
    if ((purpose !== 'run' && purpose !== 'query') || this.#state !== 'run' || !this.#run) return
    const run = this.#run
    if (!facts) {
      run.unreadable += 1
      if (run.unreadable > MAX_UNREADABLE) this.#fail(new OpsError('PROTOCOL_ERROR', 'the marks of a guarded shell cannot be read'))
      return
    }
    run.facts = facts
    if (!this.#shell.printsPrompt) {
      this.#endRun()
      return
    }
    this.#later(PROMPT_MS, () => {
      if (this.#run === run && this.#state === 'run') this.#endRun()
    })
  }

  #onReady(facts: MarkFacts | undefined): void {
    if (this.#state !== 'boot') return
    if (!facts) {
      this.#fail(new OpsError('NOT_GUARDABLE', 'the first mark of a guarded shell could not be read', { detail: 'its terminal changes what is printed' }))
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
    if (this.#state === 'drain') {
      this.#drainOutput.push(bytes)
      if (this.#drainOutput.reduce((sum, part) => sum + part.length, 0) > MAX_QUEUE_BYTES) this.#flushDrainOutput()
      return
    }
    if (this.#state === 'edit') this.#out.write(this.#screen.erase())
    this.#out.write(bytes)
    this.#tail.note(bytes)
    if (this.#state !== 'edit') return
    if (!this.#tail.atLineStart) this.#out.write('\r\n')
    this.#tail.clear()
    this.#dirty = true
    this.#draw()
  }

  /** The prompt comes after the mark; alone, it says that the line was interrupted or lost, and the shell is asked where it stands. */
  #onPrompt(idle: boolean): void {
    if (!idle) return
    if (this.#state === 'drain') {
      const tries = this.#drains
      this.#later(REDRAIN_MS, () => {
        if (this.#state === 'drain' && this.#drains === tries) this.#drain()
      })
      return
    }
    const run = this.#run
    if (this.#state !== 'run' || !run) return
    if (run.facts) {
      this.#endRun()
      return
    }
    this.#query(run)
  }

  /** Only the answer to a question that was asked now says that the shell is there; the prompt can be forged. */
  #query(run: Run): void {
    if (run.querying) return
    run.querying = true
    const wait = run.queries === 0 ? 0 : Math.min(this.#shell.printsPrompt ? MAX_REQUERY_MS : REQUERY_MS, REQUERY_MS * 2 ** run.queries)
    this.#later(wait, () => {
      if (this.#run !== run || this.#state !== 'run' || run.facts) return
      run.querying = false
      run.queries += 1
      // The terminal's settings may be what makes the mark unreadable.
      if (run.unreadable > 0) this.#shell.restoreSettings()
      this.#shell.query()
    })
  }

  /** The line is over. What went to the terminal and was not read comes back first. */
  #endRun(): void {
    const run = this.#run
    if (!run?.facts) return
    this.#lastStatus = run.facts.status
    if (run.facts.cwd !== '') this.#cwd = run.facts.cwd
    this.#finishRun(run.facts.status)
    this.#drains = 0
    if (run.changesSettings) this.#shell.learnSettings()
    if (run.touched) {
      this.#state = 'drain'
      this.#drain()
      return
    }
    if (run.facts.status > 128 && !run.changesSettings) this.#shell.restoreSettings()
    this.#edit()
  }

  /** The event of its end. When it cannot be kept, the next line's event cannot either, and that one holds. */
  #finishRun(status: number): void {
    const run = this.#run
    this.#run = undefined
    if (run?.seq === undefined) return
    const ms = Math.round(this.#clock.now() - run.startedAt)
    this.#parts.record({ type: 'command.exit', command: run.seq, status, ms }).catch(() => {})
  }

  // ---------------------------------------------------------------- the drain

  /**
   * Has the shell read the terminal up to a line that we write behind everything else. Several tries: an interrupt
   * that was on its way empties the queue, and the sentinel with it.
   */
  #drain(): void {
    this.#drains += 1
    if (this.#drains > MAX_DRAINS) {
      this.#notDrained()
      return
    }
    const tries = this.#drains
    const sentinel = makeNonce()
    this.#sentinels.push(sentinel)
    this.#shell.drain(sentinel)
    this.#shell.terminal.stdin.write(`${sentinel}\n`)
    const repeat = (prefix: string) => {
      if (this.#state !== 'drain' || this.#drains !== tries) return
      this.#shell.terminal.stdin.write(`${prefix}${sentinel}\n`)
    }
    // A line of more than 4095 bytes lost its end, and the sentinel: Ctrl-U empties it. At last Ctrl-C ends the reading.
    this.#later(DRAIN_MS, () => repeat('\x15'))
    this.#later(2 * DRAIN_MS, () => repeat('\x03'))
    this.#later(3 * DRAIN_MS, () => {
      if (this.#state === 'drain' && this.#drains === tries) this.#notDrained()
    })
  }

  #onDrained(facts: MarkFacts | undefined): void {
    // Interrupted, or written into by a background program: what is missing may still be in the queue.
    if (facts?.fields.at(-1) !== DRAINED) this.#drain()
    else this.#afterDrain(Buffer.from(facts.fields.slice(0, -1).join('\n')))
  }

  #flushDrainOutput(): void {
    let output = Buffer.concat(this.#drainOutput).toString('latin1')
    this.#drainOutput = []
    for (const sentinel of this.#sentinels) output = output.replaceAll(new RegExp(`(?:\\^U)?${sentinel}\\r?\\n?`, 'g'), '')
    const bytes = Buffer.from(output, 'latin1')
    this.#out.write(bytes)
    this.#tail.note(bytes)
  }

  /** A byte on its way could hit the next line: without knowing that there is none, no line is sent. */
  #notDrained(): void {
    this.#fail(new OpsError('PROTOCOL_ERROR', 'the terminal of a guarded shell could not be read empty'))
  }

  #afterDrain(unread: Buffer): void {
    this.#flushDrainOutput()
    this.#sentinels = []
    if (unread.length > MAX_QUEUE_BYTES) this.#say('dockin: more than 64 KiB were typed ahead; they were dropped')
    else if (unread.length > 0) this.#decoder.feed(unread)
    this.#edit()
  }
}

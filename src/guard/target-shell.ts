/**
 * The shell in the target as the state machine sees it: lines go in, marks come out.
 * Keeps count of which line asked for which mark, so that nothing a program prints can stand for one.
 */
import type { RemoteProcess } from '../core/types.js'
import type { Boot } from './bootstrap.js'
import { type MarkEvent, MarkScanner } from './marks.js'
import * as lines from './pipe-lines.js'

/** What a line on the pipe was for. */
export type Purpose = 'status' | 'ready' | 'settle' | 'begin' | 'run' | 'knock' | 'query' | 'drain' | 'settings' | 'stale'

export type ShellEvent =
  | { readonly kind: 'output'; readonly bytes: Buffer }
  /** `facts` is undefined when the mark could not be read: the shell must be asked again. */
  | { readonly kind: 'mark'; readonly purpose: Purpose; readonly facts: lines.MarkFacts | undefined }
  /** The shell wants a line; `idle` when it has been sent none that it has not yet prompted for. Only a hint: it can be forged. */
  | { readonly kind: 'prompt'; readonly idle: boolean }

/** Marks that may still come of lines that were given up; older ones are forgotten. */
const MAX_STALE = 16

const SETTINGS = /^[0-9a-fA-F:]{8,512}$/

export class TargetShell {
  readonly #boot: Boot
  readonly #scanner: MarkScanner
  readonly #purposes = new Map<string, Purpose>()
  /** Lines sent whose prompt has not come. */
  #owed = 1
  #tty = '/dev/tty'
  /** From the status mark, until the end mark that belongs to it. */
  #status: number | undefined
  /** What the first knock after an interrupt found; a second one finds the status of the first. */
  #interrupted: number | undefined
  #sentinels: readonly string[] = []
  #settled = false
  #printsPrompt = false
  #started = false
  /** The terminal's settings as they should be (`stty -g`); undefined when the image has no stty. */
  #settings: string | undefined

  constructor(boot: Boot) {
    this.#boot = boot
    this.#scanner = new MarkScanner(boot.promptNonce)
    this.#expect('status', boot.readyNonces.status)
    this.#expect('ready', boot.readyNonces.end)
  }

  get terminal(): RemoteProcess {
    return this.#boot.terminal
  }
  get pipe(): RemoteProcess {
    return this.#boot.pipe
  }

  /** The FIFO has lost its name. */
  get settled(): boolean {
    return this.#settled
  }

  /** False in busybox ash; then nothing but a question tells that an interrupted line is over. Counts from before the first line on. */
  get printsPrompt(): boolean {
    return this.#printsPrompt
  }

  /** Output of the terminal -> what is left of it for the user, and what our marks said. */
  read(chunk: Buffer): ShellEvent[] {
    return this.#scanner.push(chunk).map((event) => this.#event(event))
  }

  /** What was held back in case it became a mark. */
  flush(): Buffer {
    return this.#scanner.flush()
  }

  /** Sends a vetted line. Answered by a `begin` and a `run` mark, or by nothing but a prompt when it was interrupted. */
  run(line: string, lastStatus: number): void {
    this.#outdate()
    const begin = this.#expect('begin')
    this.#send('run', (nonces) => lines.commitLine(line, { begin, ...nonces }, this.#tty, lastStatus))
  }
  /** Sends `exit`. */
  exit(lastStatus: number): void {
    this.#outdate()
    const begin = this.#expect('begin')
    this.#send('run', (nonces) => lines.exitLine({ begin, ...nonces }, this.#tty, lastStatus))
  }
  /** Asks whether the shell takes lines; it answers when it does, however late. */
  knock(): void {
    this.#send('knock', lines.knockLine)
  }
  /** Asks where a shell stands that has answered a knock. */
  query(): void {
    this.#send('query', (nonces) => lines.queryLine(nonces, this.#tty))
  }
  /** Answers, in the mark's fields, the lines that nobody read; the caller writes `sentinel` to the terminal. */
  drain(sentinel: string, restoreSettings: boolean): void {
    this.#sentinels = [...this.#sentinels.slice(-3), sentinel]
    this.#send('drain', (nonces) => lines.drainLine(nonces, sentinel, this.#tty, restoreSettings ? this.#settings : undefined))
  }
  settle(): void {
    this.#send('settle', (nonces) => lines.settleLine(nonces, this.#boot.fifoName))
  }
  /** A program may have left the terminal raw: puts the settings back. */
  restoreSettings(): void {
    if (this.#settings !== undefined) this.#send('settings', (nonces) => lines.settingsLine(nonces, this.#tty, this.#settings))
  }
  /** The user changed the settings: from now on these are what is put back. */
  learnSettings(): void {
    if (this.#settings !== undefined) this.#send('settings', (nonces) => lines.settingsLine(nonces, this.#tty, undefined))
  }

  /** What an earlier line did not answer says nothing about the next one; when it comes, it is taken out and ignored. */
  #outdate(): void {
    this.#started = true
    this.#interrupted = undefined
    for (const [nonce, purpose] of this.#purposes)
      if (purpose !== 'settle' && purpose !== 'settings' && purpose !== 'status') this.#purposes.set(nonce, 'stale')
    const stale = [...this.#purposes].filter(([, purpose]) => purpose === 'stale' || purpose === 'status')
    for (const [nonce] of stale.slice(0, -MAX_STALE)) {
      this.#purposes.delete(nonce)
      this.#scanner.forget(nonce)
    }
  }

  #send(purpose: Purpose, line: (nonces: lines.MarkNonces) => string): void {
    const nonces = { status: this.#expect('status'), end: this.#expect(purpose) }
    this.#owed += 1
    this.#boot.pipe.stdin.write(line(nonces))
  }

  #expect(purpose: Purpose, nonce = lines.makeNonce()): string {
    this.#purposes.set(nonce, purpose)
    this.#scanner.expect(nonce)
    return nonce
  }

  #event(event: MarkEvent): ShellEvent {
    if (event.kind === 'output') return event
    if (event.kind === 'prompt') {
      if (!this.#started) this.#printsPrompt = true
      this.#owed = Math.max(0, this.#owed - 1)
      return { kind: 'prompt', idle: this.#owed === 0 }
    }
    const purpose = this.#purposes.get(event.nonce) ?? 'stale'
    this.#purposes.delete(event.nonce)
    if (purpose === 'status') {
      this.#status = lines.readStatus(event.payload)
      return { kind: 'mark', purpose, facts: undefined }
    }
    const end = event.payload && lines.readMark(withoutEcho(event.payload, this.#sentinels), event.nonce)
    // What a question finds in $? is the status of the knock before it.
    const status = purpose === 'query' ? (this.#interrupted ?? this.#status) : this.#status
    const facts = end && status !== undefined ? { ...end, status } : undefined
    if (purpose === 'knock') this.#interrupted ??= this.#status
    if (purpose !== 'begin') this.#status = undefined
    if (facts) this.#learn(purpose, facts.fields)
    return { kind: 'mark', purpose, facts }
  }

  #learn(purpose: Purpose, fields: readonly string[]): void {
    if (purpose === 'settle') this.#settled = true
    const [settings, name] = fields
    if ((purpose === 'settle' || purpose === 'settings') && settings !== undefined && SETTINGS.test(settings)) this.#settings = settings
    if (purpose === 'settle' && name !== undefined && /^\/dev\/pts\/\d+$/.test(name)) this.#tty = name
  }
}

/** The terminal may echo a sentinel into the mark that answers it, in an image without stty. */
function withoutEcho(payload: Buffer, sentinels: readonly string[]): Buffer {
  if (!sentinels.some((sentinel) => payload.includes(sentinel))) return payload
  let text = payload.toString('latin1')
  for (const sentinel of sentinels) text = text.replaceAll(`${sentinel}\r\n`, '').replaceAll(sentinel, '')
  return Buffer.from(text, 'latin1')
}

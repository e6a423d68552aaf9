/**
 * The shell in the target as the state machine sees it: lines go in, marks come out.
 * Keeps count of which line asked for which mark, so that nothing a program prints can stand for one.
 */
import type { RemoteProcess } from '../core/types.js'
import type { Boot } from './bootstrap.js'
import { type MarkEvent, MarkScanner } from './marks.js'
import * as lines from './pipe-lines.js'

/** What a line on the pipe was for. */
export type Purpose = 'ready' | 'settle' | 'begin' | 'run' | 'query' | 'drain' | 'settings' | 'stale'

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
  #sentinels: readonly string[] = []
  #printsPrompt = false
  #started = false
  /** The terminal's settings as they should be (`stty -g`); undefined when the image has no stty. */
  #settings: string | undefined

  constructor(boot: Boot) {
    this.#boot = boot
    this.#scanner = new MarkScanner(boot.promptNonce)
    this.#scanner.expect(boot.readyNonce)
    this.#purposes.set(boot.readyNonce, 'ready')
  }

  get terminal(): RemoteProcess {
    return this.#boot.terminal
  }
  get pipe(): RemoteProcess {
    return this.#boot.pipe
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
    this.#send('run', (end) => lines.commitLine(line, { begin, end }, this.#tty, lastStatus))
  }
  /** Sends `exit`. */
  exit(lastStatus: number): void {
    this.#outdate()
    const begin = this.#expect('begin')
    this.#send('run', (end) => lines.exitLine({ begin, end }, this.#tty, lastStatus))
  }
  query(): void {
    this.#send('query', (nonce) => lines.queryLine(nonce, this.#tty))
  }
  /** Answers, in the mark's fields, the lines that nobody read; the caller writes `sentinel` to the terminal. */
  drain(sentinel: string, restoreSettings: boolean): void {
    this.#sentinels = [...this.#sentinels.slice(-3), sentinel]
    this.#send('drain', (nonce) => lines.drainLine(nonce, sentinel, this.#tty, restoreSettings ? this.#settings : undefined))
  }
  settle(): void {
    this.#send('settle', (nonce) => lines.settleLine(nonce, this.#boot.fifoName))
  }
  /** A program may have left the terminal raw: puts the settings back. */
  restoreSettings(): void {
    if (this.#settings !== undefined) this.#send('settings', (nonce) => lines.settingsLine(nonce, this.#tty, this.#settings))
  }
  /** The user changed the settings: from now on these are what is put back. */
  learnSettings(): void {
    if (this.#settings !== undefined) this.#send('settings', (nonce) => lines.settingsLine(nonce, this.#tty, undefined))
  }

  /** What an earlier line did not answer says nothing about the next one; when it comes, it is taken out and ignored. */
  #outdate(): void {
    this.#started = true
    for (const [nonce, purpose] of this.#purposes) if (purpose !== 'settle' && purpose !== 'settings') this.#purposes.set(nonce, 'stale')
    const stale = [...this.#purposes].filter(([, purpose]) => purpose === 'stale')
    for (const [nonce] of stale.slice(0, -MAX_STALE)) {
      this.#purposes.delete(nonce)
      this.#scanner.forget(nonce)
    }
  }

  #send(purpose: Purpose, line: (nonce: string) => string): void {
    const nonce = this.#expect(purpose)
    this.#owed += 1
    this.#boot.pipe.stdin.write(line(nonce))
  }

  #expect(purpose: Purpose): string {
    const nonce = lines.makeNonce()
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
    const facts = event.payload && lines.readMark(withoutEcho(event.payload, this.#sentinels), event.nonce)
    if (facts) this.#learn(purpose, facts.fields)
    return { kind: 'mark', purpose, facts }
  }

  #learn(purpose: Purpose, fields: readonly string[]): void {
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

/** A terminal as a person has it: tmux, whose screen can be read, resized and typed into. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './world.js'

export class Tmux {
  readonly #dir = mkdtempSync(join(tmpdir(), 'dockin-tmux-'))

  /** Runs `argv` in a window of its own. @returns its name */
  open(name: string, columns: number, rows: number, argv: readonly string[]): Screen {
    const quoted = argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
    this.#run('new-session', '-d', '-s', name, '-x', String(columns), '-y', String(rows), `TERM=xterm-256color exec ${quoted}`)
    return new Screen(name, (...args) => this.#run(...args))
  }

  close(): void {
    try {
      this.#run('kill-server')
    } catch {
      // no window was left, and with it no server
    }
    rmSync(this.#dir, { recursive: true, force: true })
  }

  #run(...args: string[]): string {
    const env = { ...process.env, TMUX: '', LC_ALL: 'C.UTF-8' }
    return execFileSync('tmux', ['-f', '/dev/null', '-S', join(this.#dir, 's'), ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env })
  }
}

export class Screen {
  readonly #name: string
  readonly #run: (...args: string[]) => string

  constructor(name: string, run: (...args: string[]) => string) {
    this.#name = name
    this.#run = run
  }

  /** What stands there, without blanks at the ends of rows. */
  text(): string {
    return this.#run('capture-pane', '-p', '-t', this.#name)
  }
  type(text: string): void {
    this.#run('send-keys', '-t', this.#name, '-l', text)
  }
  /** Names of tmux: Enter, Escape, C-c, Up. */
  press(...keys: string[]): void {
    this.#run('send-keys', '-t', this.#name, ...keys)
  }
  resize(columns: number, rows: number): void {
    this.#run('resize-window', '-t', this.#name, '-x', String(columns), '-y', String(rows))
  }
  /** @returns the screen once it matches */
  shows(pattern: RegExp): Promise<string> {
    return until(
      `${this.#name} to show ${pattern}`,
      () => {
        const text = this.text()
        return pattern.test(text) && text
      },
      60_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it shows\n${this.text()}`)
    })
  }
}

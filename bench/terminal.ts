/** A program under a pty of this machine, for timing keys: what a person at a terminal would feel. */
import { type IPty, spawn } from 'node-pty'

export class Terminal {
  readonly #pty: IPty
  #seen = ''
  #wake: () => void = () => {}

  constructor(command: string, args: readonly string[]) {
    this.#pty = spawn(command, [...args], { name: 'xterm-256color', cols: 120, rows: 30 })
    this.#pty.onData((data) => {
      this.#seen += data
      this.#wake()
    })
  }

  /** Waits until what has been shown since the last `expect` or `write` holds `text`. */
  async expect(text: string, limitMs = 15_000): Promise<void> {
    const end = Date.now() + limitMs
    while (!this.#seen.includes(text)) {
      if (Date.now() > end) throw new Error(`never saw ${JSON.stringify(text)}, only ${JSON.stringify(this.#seen.slice(-300))}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  write(text: string): void {
    this.#seen = ''
    this.#pty.write(text)
  }

  /** Milliseconds from key to echo. */
  async key(key: string): Promise<number> {
    const start = performance.now()
    this.write(key)
    await this.expect(key)
    return performance.now() - start
  }

  close(): void {
    this.#pty.kill('SIGKILL')
  }
}

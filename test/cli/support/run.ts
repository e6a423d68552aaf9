/** Runs a client program in this process, with streams of the test's own. */
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import type { Command } from 'commander'
import { type Cli, createCli } from '../../../src/cli/cli.js'
import { opsctlProgram } from '../../../src/cli/opsctl-program.js'
import { runProgram } from '../../../src/cli/program.js'
import type { CliStreams } from '../../../src/cli/streams.js'
import { tempDir } from '../../support/temp-dir.js'

export interface RanCli {
  readonly code: number
  readonly stdout: Buffer
  readonly text: string
  readonly stderr: string
}
export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly input?: string | Buffer
  /** Pretends that stdout is a terminal so wide. */
  readonly columns?: number
  readonly program?: (cli: Cli) => Command
}

/** A terminal that keeps what is written to it; `stdin` is typed into it. */
export class FakeTerminal {
  readonly stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    raw: [] as boolean[],
    setRawMode(this: { raw: boolean[] }, on: boolean) {
      this.raw.push(on)
    },
  })
  readonly stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 })
  readonly stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 80, rows: 24 })
  #shown = ''
  readonly #wakers = new Set<() => void>()

  constructor() {
    for (const stream of [this.stdout, this.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#shown += chunk.toString()
        for (const wake of this.#wakers) wake()
      })
    }
  }

  get shown(): string {
    return this.#shown
  }

  type(keys: string): void {
    this.stdin.write(keys)
  }

  /** Resolves when the screen has shown `what`. */
  until(what: string | RegExp): Promise<string> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (typeof what === 'string' ? !this.#shown.includes(what) : !what.test(this.#shown)) return
        this.#wakers.delete(look)
        resolve(this.#shown)
      }
      this.#wakers.add(look)
      look()
    })
  }

  streams(env: NodeJS.ProcessEnv): CliStreams {
    return { stdin: this.stdin, stdout: this.stdout, stderr: this.stderr, env }
  }
}

export class CliRunner {
  readonly dir: string
  readonly env: NodeJS.ProcessEnv

  private constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.dir = dir
    this.env = { HOME: dir, XDG_CONFIG_HOME: join(dir, 'config'), TERM: 'xterm', ...env }
  }

  /** With a home of its own. */
  static async create(t: TestContext, env: NodeJS.ProcessEnv = {}): Promise<CliRunner> {
    return new CliRunner(await tempDir(t), env)
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<RanCli> {
    const stdin = new PassThrough()
    stdin.end(options.input ?? '')
    const stdout = Object.assign(new PassThrough(), options.columns !== undefined && { isTTY: true, columns: options.columns, rows: 24 })
    const stderr = new PassThrough()
    const chunks: Buffer[] = []
    let errors = ''
    stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    const code = await this.#main({ stdin, stdout, stderr, env: { ...this.env, ...options.env } }, args, options.program)
    const bytes = Buffer.concat(chunks)
    return { code, stdout: bytes, text: bytes.toString(), stderr: errors }
  }

  /** At a terminal of the test's own. */
  at(terminal: FakeTerminal, args: readonly string[], options: RunOptions = {}): Promise<number> {
    return this.#main(terminal.streams({ ...this.env, ...options.env }), args, options.program)
  }

  async #main(streams: CliStreams, args: readonly string[], program: RunOptions['program'] = opsctlProgram): Promise<number> {
    const cli = createCli('opsctl', streams)
    const code = await runProgram(cli, program(cli), args)
    // what was written last is read in the next turn
    await new Promise((resolve) => setImmediate(resolve))
    return code
  }
}

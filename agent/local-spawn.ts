/** Starts programs of this machine on pipes. */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { OpsError } from '../src/core/errors.js'
import { Children, exitStatus } from './children.js'
import { PipedProcess, type ProcessHost } from './held-process.js'
import { type Libc, loadLibc, type PipeEnds, SpawnError } from './libc.js'

export interface LocalStart {
  /** Path of the program; the first word of `argv` is what it is called. */
  readonly file: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

const PIPE_BYTES = 1024 * 1024

export class LocalSpawner {
  readonly #libc: Libc
  readonly #children: Children

  /** @throws Error where libc cannot be called */
  constructor() {
    this.#libc = loadLibc()
    this.#children = new Children(this.#libc)
  }

  close(): void {
    this.#children.close()
  }

  /** @throws OpsError COMMAND_NOT_EXECUTABLE */
  onPipes(host: ProcessHost, start: LocalStart): PipedProcess {
    const { read, write, spawned } = this.#spawn(start)
    const reader = (fd: number) => new Socket({ fd, readable: true, writable: false })
    const [stdout = -1, stderr = -1] = read
    const piped = { pid: spawned, stdin: new Socket({ fd: write, readable: false, writable: true }), stdout: reader(stdout), stderr: reader(stderr) }
    return new PipedProcess(host, piped, this.#children.ended(spawned).then(exitStatus))
  }

  #spawn(start: LocalStart): { readonly spawned: number; readonly write: number; readonly read: readonly number[] } {
    const pipes: PipeEnds[] = []
    const ours = () => pipes.map(({ read, write }, index) => (index === 0 ? write : read))
    try {
      for (const end of ['write', 'read', 'read'] as const) pipes.push(this.#libc.pipe(end, PIPE_BYTES))
      const [stdin, stdout, stderr] = pipes as [PipeEnds, PipeEnds, PipeEnds]
      const spawned = this.#libc.spawn({ ...start, stdio: [stdin.read, stdout.write, stderr.write] })
      return { spawned, write: stdin.write, read: [stdout.read, stderr.read] }
    } catch (error) {
      for (const fd of ours()) closeSync(fd)
      if (!(error instanceof SpawnError)) throw error
      const { argv } = start
      throw new OpsError('COMMAND_NOT_EXECUTABLE', `Cannot start ${JSON.stringify(argv[0])}: ${error.message}`, { cause: error, detail: argv[0] ?? '' })
    } finally {
      for (const [index, { read, write }] of pipes.entries()) closeSync(index === 0 ? read : write)
    }
  }
}

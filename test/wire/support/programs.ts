/** Programs on this machine, behind the lanes of an exec. */
import { spawn } from 'node:child_process'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { spawn as spawnPty } from 'node-pty'
import { OpsError } from '../../../src/core/errors.js'
import type { ExitStatus } from '../../../src/core/types.js'
import type { ExecLanes } from '../../../src/wire/exec-lanes-server.js'

export type ProgramLanes = Pick<ExecLanes, 'stdin' | 'stdout' | 'stderr' | 'onResize' | 'gone'> & { started?(): void; onSignal?: ExecLanes['onSignal'] }

/** Resolves when the program has ended and its output is written. @throws OpsError COMMAND_NOT_FOUND */
export function runProgram(argv: readonly string[], tty: boolean, lanes: ProgramLanes, env: Readonly<Record<string, string>> = {}): Promise<ExitStatus> {
  return tty ? runPty(argv, lanes) : run(argv, lanes, { ...process.env, ...env })
}

async function run(argv: readonly string[], lanes: ProgramLanes, env: NodeJS.ProcessEnv): Promise<ExitStatus> {
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: 'pipe', env })
  lanes.gone.addEventListener('abort', () => child.kill('SIGKILL'))
  const started = new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (error) => reject(new OpsError('COMMAND_NOT_FOUND', error.message)))
  })
  await started
  lanes.started?.()
  lanes.onSignal?.((name) => child.kill(`SIG${name}` as NodeJS.Signals))
  // The program may stop reading before its input ends; what it says on the other lanes counts.
  child.stdin.on('error', () => lanes.stdin?.resume())
  if (lanes.stdin) lanes.stdin.pipe(child.stdin)
  else child.stdin.end()
  const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() })
  const exit = new Promise<ExitStatus>((resolve) => {
    child.on('exit', (code, signal) =>
      resolve(signal ? { kind: 'signaled', signal: signal.slice(3), coreDumped: false } : { kind: 'exited', code: code ?? 255 }),
    )
  })
  const outputs = [pipeline(child.stdout, lanes.stdout ?? nowhere(), { end: false }), pipeline(child.stderr, lanes.stderr ?? nowhere(), { end: false })]
  // A caller that left takes no output; how the program ended is still to be known.
  await Promise.all(outputs).catch(() => child.kill('SIGKILL'))
  return exit
}

async function runPty(argv: readonly string[], lanes: ProgramLanes): Promise<ExitStatus> {
  const pty = spawnPty(argv[0] ?? '', argv.slice(1), { cols: 80, rows: 24, name: 'xterm' })
  lanes.started?.()
  let isOver = false
  lanes.onResize((size) => {
    try {
      if (!isOver) pty.resize(size.columns, size.rows)
    } catch {
      // node-pty closes a terminal a moment before it says that its program has ended
    }
  })
  lanes.gone.addEventListener('abort', () => pty.kill('SIGKILL'))
  lanes.stdin?.on('data', (chunk: Buffer) => pty.write(chunk.toString()))
  pty.onData((text) => lanes.stdout?.write(text))
  return new Promise((resolve) => {
    pty.onExit(({ exitCode }) => {
      isOver = true
      resolve({ kind: 'exited', code: exitCode })
    })
  })
}

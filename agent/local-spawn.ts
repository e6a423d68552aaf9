/** Starts a program of this machine on pipes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { OpsError } from '../src/core/errors.js'
import type { ExitStatus } from '../src/core/types.js'
import { PipedProcess, type ProcessHost } from './held-process.js'

export interface LocalStart {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
}

/** @throws OpsError COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE */
export async function spawnPiped(host: ProcessHost, { argv, env, cwd }: LocalStart): Promise<PipedProcess> {
  const [file = '', ...args] = argv
  // Detached: node then calls setsid(2), and the program's session is its pid.
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  const exit = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve(signal ? { kind: 'signaled', signal: signal.slice('SIG'.length), coreDumped: false } : { kind: 'exited', code: code ?? 0 })
    })
  })
  try {
    await once(child, 'spawn')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'COMMAND_NOT_FOUND' : 'COMMAND_NOT_EXECUTABLE'
    throw new OpsError(code, `Cannot start ${JSON.stringify(file)}: ${(error as Error).message}`, { cause: error, detail: file })
  }
  // A later error is a signal that could not be sent; kill() does not go through the child.
  child.on('error', (error) => host.log.warn({ error }, 'process.child.failed'))
  const { pid = 0, stdin, stdout, stderr } = child
  return new PipedProcess(host, { pid, stdin, stdout, stderr }, exit)
}

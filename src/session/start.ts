/** Starts what a session asks for: a plain shell, a guarded one, or a command line. */
import { cleanEnvironment } from '../core/clean-environment.js'
import { OpsError } from '../core/errors.js'
import type { FileAccess } from '../core/files.js'
import type { Allowed, ExecRequest, PtyRequest, RemoteProcess, Session } from '../core/types.js'
import { execArgv, plainWords, shellArgv, vettedArgv } from './command.js'
import { type FileErrand, isServedTransfer, noRsync, type StartTransfer, startTransfer } from './transfer.js'

/** The directory against which an exec line's relative paths are vetted, and in which it therefore runs. */
export const VETTED_CWD = '/'

export type Exec = (request: ExecRequest, signal: AbortSignal) => Promise<RemoteProcess>

/** Starts the guarded shell of a session whose rule has a command list. @throws OpsError NOT_GUARDABLE: never an unguarded shell instead */
export type GuardedShell = (context: GuardContext) => Promise<RemoteProcess>
export interface GuardContext {
  readonly session: Session
  readonly pty: PtyRequest
  readonly env: Readonly<Record<string, string>>
  readonly grant: Allowed
  readonly exec: Exec
  readonly signal: AbortSignal
}

export interface StartRequest {
  readonly session: Session
  readonly env: Readonly<Record<string, string>>
  readonly grant: Allowed
  readonly exec: Exec
  readonly guardedShell: GuardedShell | undefined
  /** Doors scp and rsync: the words of the line. */
  readonly words?: readonly string[]
  /** @throws OpsError BAD_REQUEST where no way leads to the container's files */
  readonly files: (signal: AbortSignal) => Promise<FileAccess>
  readonly transfer: StartTransfer | undefined
  /** Of door logs, in place of a program. */
  readonly logs?: (signal: AbortSignal) => Promise<RemoteProcess>
  /** Of a door that moves files without a protocol of its own. */
  readonly errand?: FileErrand
}

/** @throws OpsError of the executor, NOT_GUARDABLE, BAD_REQUEST where files are not served */
export function startProgram(request: StartRequest, signal: AbortSignal): Promise<RemoteProcess> {
  const { session, exec, grant, logs } = request
  if (logs) return logs(signal)
  const env = grant.commands ? cleanEnvironment(request.env, session.pty?.term) : request.env
  const options = { env, ...(session.pty && { pty: session.pty }) }
  if (isServedTransfer(session.door) || request.errand) {
    return startTransfer(session, request.words, request.files, request.transfer, signal, request.errand)
  }
  if (session.door === 'rsync' && request.words && !grant.commands) {
    // the words of rsync's line need no shell, so it runs without one
    return exec({ argv: request.words, ...options }, signal).catch((error: unknown) => {
      throw noRsync(error)
    })
  }
  if (session.command !== undefined) return startLine(exec, session.command, options, grant.commands !== undefined, signal)
  if (grant.commands) return startGuarded(request, signal)
  return exec({ argv: shellArgv(session.pty), ...options }, signal).catch((error: unknown) => {
    throw noShell(error)
  })
}

function startGuarded({ session, env, exec, grant, guardedShell }: StartRequest, signal: AbortSignal): Promise<RemoteProcess> {
  if (!guardedShell) throw new OpsError('NOT_GUARDABLE', 'no guard configured')
  if (!session.pty) throw new OpsError('NOT_GUARDABLE', 'no pty', { detail: 'your rule has a command list, and such a shell needs a terminal (ssh -t)' })
  return guardedShell({ session, pty: session.pty, env, grant, exec, signal })
}

/** Runs a line in the image's /bin/sh; in an image without one, a line of plain words is run as it stands. */
async function startLine(
  exec: Exec,
  line: string,
  options: { env: Readonly<Record<string, string>>; pty?: PtyRequest },
  isVetted: boolean,
  signal: AbortSignal,
): Promise<RemoteProcess> {
  // what was vetted for one directory runs in that directory: the image's own could turn `cat shadow` into another file
  const where = isVetted ? { cwd: VETTED_CWD } : {}
  try {
    if (isVetted) return await exec({ argv: vettedArgv(line, options.env, options.pty), ...options, env: {}, ...where }, signal)
    return await exec({ argv: execArgv(line, options.pty), ...options }, signal)
  } catch (error) {
    if (!isMissingProgram(error)) throw error
    const words = plainWords(line)
    if (!words) throw noShell(error)
    return exec({ argv: words, ...options, ...where }, signal)
  }
}

function isMissingProgram(error: unknown): boolean {
  return error instanceof OpsError && error.code === 'COMMAND_NOT_FOUND'
}

function noShell(error: unknown): unknown {
  if (!isMissingProgram(error)) return error
  const detail = 'the image has no shell; name a program and its arguments instead'
  return new OpsError('COMMAND_NOT_FOUND', 'the image has no /bin/sh', { cause: error, detail })
}

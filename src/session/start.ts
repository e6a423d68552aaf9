/** Starts what a session asks for: a plain shell, a guarded one, or a command line. */
import { OpsError } from '../core/errors.js'
import type { Allowed, ExecRequest, PtyRequest, RemoteProcess, Session } from '../core/types.js'
import { execArgv, plainWords, shellArgv } from './command.js'

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
}

/** Encodings in which a byte of one character is never taken for another: what was vetted is what the shell reads. */
const SAFE_LOCALE = /^(C|POSIX|(C|[a-z]{2,3}_[A-Z]{2})\.(UTF-8|utf-?8))$/
/** A name of the time zone database; POSIX' ":path" form would open files. */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z][A-Za-z0-9_+-]*){0,2}$/

/** What a client may set where lines are vetted: in GBK a shell takes the backslash of "中\\;" for a part of the character. */
export function vettedEnv(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => (name === 'TZ' ? ZONE_NAME : name === 'COLORTERM' ? /^[\w-]{1,32}$/ : SAFE_LOCALE).test(value)),
  )
}

/** @throws OpsError of the executor, NOT_GUARDABLE, BAD_REQUEST for a door that is not served */
export function startProgram(request: StartRequest, signal: AbortSignal): Promise<RemoteProcess> {
  const { session, exec, grant } = request
  const env = grant.commands ? vettedEnv(request.env) : request.env
  const options = { env, ...(session.pty && { pty: session.pty }) }
  if (session.door === 'sftp')
    throw new OpsError('BAD_REQUEST', 'sftp is not served', {
      detail: 'sftp is not served by this gateway yet; scp -O and rsync work where the image has them',
    })
  // what was vetted for one directory runs in that directory: the image's own could turn `cat shadow` into another file
  if (session.command !== undefined) return startLine(exec, session.command, { ...options, ...(grant.commands && { cwd: VETTED_CWD }) }, signal)
  if (grant.commands) return startGuarded({ ...request, env }, signal)
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
  signal: AbortSignal,
): Promise<RemoteProcess> {
  try {
    return await exec({ argv: execArgv(line, options.pty), ...options }, signal)
  } catch (error) {
    if (!isMissingProgram(error)) throw error
    const words = plainWords(line)
    if (!words) throw noShell(error)
    return exec({ argv: words, ...options }, signal)
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

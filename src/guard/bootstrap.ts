/** Starts a shell whose source is a pipe of ours: two execs in one container, joined by a FIFO that has a name for a moment. */
import { randomBytes } from 'node:crypto'
import { CLEAN_PATH, cleanEnvironment, environmentWords } from '../core/clean-environment.js'
import { OpsError, toOpsError } from '../core/errors.js'
import type { ExecRequest, ExitStatus, PtyRequest, RemoteProcess, ShellName } from '../core/types.js'
import { initLine, type MarkNonces, makeNonce } from './pipe-lines.js'

export type Exec = (request: ExecRequest, signal: AbortSignal) => Promise<RemoteProcess>

export interface BootParts {
  readonly exec: Exec
  readonly pty: PtyRequest
  /** What the client asked to set; only the allow-list below passes. */
  readonly env: Readonly<Record<string, string>>
  /** In order of preference. */
  readonly shells: readonly ShellName[]
  readonly signal: AbortSignal
}
export interface Boot {
  /** The shell, on its terminal. */
  readonly terminal: RemoteProcess
  /** Its stdin is the shell's source. */
  readonly pipe: RemoteProcess
  readonly promptNonce: string
  /** Of the marks that the shell prints when it is ready. */
  readonly readyNonces: MarkNonces
  /** Name of the FIFO's directory in /dev/shm or /tmp, to be removed once the shell is ready. */
  readonly fifoName: string
}

/** Exit statuses of the script below, and what they mean to the user. */
const REFUSALS: Readonly<Record<number, string>> = {
  81: 'neither /dev/shm nor /tmp of the container can hold a FIFO',
  82: 'the image has none of the shells that your rule allows',
  83: 'the image lacks env',
  127: 'the image lacks a program that the guarded shell needs (mkfifo, env, cat)',
  126: 'the image holds a shell that cannot be executed',
}

/**
 * Both sides make it; the one that comes second finds it. So neither waits for the other.
 * In a directory of its own, because busybox ash shows the file's name in its messages: it is called ash.
 */
const MAKE_FIFO = [
  `PATH=${CLEAN_PATH}`,
  'for d in /dev/shm /tmp; do',
  '{ mkdir -m 700 "$d/$1"; mkfifo -m 600 "$d/$1/ash" || mknod -m 600 "$d/$1/ash" p; } 2>/dev/null; [ -p "$d/$1/ash" ] && break',
  'done',
  'd=$d/$1; f=$d/ash; [ -p "$f" ] || exit 81',
].join('\n')

/**
 * $1 the FIFO's directory, $2 shells in order, then the environment. An unknown sh counts as POSIX, but not one that is
 * really something larger.
 * bash and dash read the pipe as their standard input. busybox ash would read that with fgets, and take the end of a
 * background job (EINTR) for the end of file; as a script it reads properly, but prints no prompts.
 */
const START_SHELL = [
  MAKE_FIFO,
  's=$2; shift 2; c=; a=',
  'has() { command -v "$1" >/dev/null 2>&1; }',
  'for n in $s; do case $n in',
  "bash) has bash && c='bash --noprofile --norc --noediting -i';;",
  "dash) has dash && c='dash -i';;",
  "ash) if has ash; then c='ash -i'; elif has busybox; then c='busybox ash -i'",
  '  elif [ -z "$BASH_VERSION$ZSH_VERSION$KSH_VERSION" ]; then c=\'sh -i\'; fi; a=ash;;',
  'esac; [ -n "$c" ] && break; done',
  '[ -n "$c" ] || { rm -rf "$d"; exit 82; }',
  'has env || { rm -rf "$d"; exit 83; }',
  'h=$HOME; [ -n "$h" ] || h=/',
  // The agent may find a session's processes by this variable; without it, closing would leave some behind.
  'm=; [ -n "$DOCKIN_EXEC" ] && m=DOCKIN_EXEC=$DOCKIN_EXEC; [ -n "$DOCKIN_SESSION" ] && m="$m DOCKIN_SESSION=$DOCKIN_SESSION"',
  '[ -n "$a" ] || exec env -i HOME="$h" "$@" $m $c <"$f"',
  'set -- "$@" "DOCKIN_CWD=$PWD"; cd "$d" || exit 81',
  'exec env -i HOME="$h" "$@" $m $c $a',
].join('\n')

/** Opened for reading too, so that opening never waits; `cat` ends with the gateway's stream, and the shell with it. */
const FEED_PIPE = [MAKE_FIFO, 'exec 3<>"$f"', 'exec cat >&3'].join('\n')

/**
 * Starts both execs at once and sends the first line.
 * @returns as soon as both run; the shell is ready when the mark `readyNonces.end` comes
 * @throws OpsError NOT_GUARDABLE when the image has no shell; what the executor throws otherwise
 */
export async function bootShell(parts: BootParts): Promise<Boot> {
  const { exec, pty, env, shells, signal } = parts
  const fifoName = `.dockin-${randomBytes(16).toString('hex')}`
  const promptNonce = makeNonce()
  const readyNonces = { status: makeNonce(), end: makeNonce() }
  const start = ['/bin/sh', '-c', START_SHELL, 'sh', fifoName, shells.join(' '), ...environmentWords(cleanEnvironment(env, pty.term))]
  const [terminal, pipe] = await Promise.allSettled([
    exec({ argv: start, env: {}, pty }, signal),
    exec({ argv: ['/bin/sh', '-c', FEED_PIPE, 'sh', fifoName], env: {} }, signal),
  ])
  if (terminal.status === 'fulfilled' && pipe.status === 'fulfilled') {
    pipe.value.stdin.write(initLine(readyNonces, promptNonce))
    return { terminal: terminal.value, pipe: pipe.value, promptNonce, readyNonces, fifoName }
  }
  const started = [terminal, pipe].flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  await Promise.all(started.map((process) => process.close()))
  if (started.length > 0) await removeFifo(exec, fifoName)
  throw startFailure([terminal, pipe].flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : [])))
}

function startFailure(reasons: readonly unknown[]): OpsError {
  const cause = toOpsError(reasons[0])
  if (cause.code !== 'COMMAND_NOT_FOUND' && cause.code !== 'COMMAND_NOT_EXECUTABLE') return cause
  return new OpsError('NOT_GUARDABLE', `Cannot start /bin/sh for a guarded shell: ${cause.message}`, { cause, detail: 'the image has no shell' })
}

/** Why the shell ended before it was ready. */
export function bootRefusal(status: ExitStatus): OpsError {
  const code = status.kind === 'exited' ? status.code : undefined
  const known = code === undefined ? undefined : REFUSALS[code]
  const how = status.kind === 'exited' ? `exit status ${status.code}` : `signal ${status.signal}`
  return new OpsError('NOT_GUARDABLE', `Cannot boot a guarded shell: it ended with ${how}`, { detail: known ?? `the shell ended at once with ${how}` })
}

/** Best effort, after a boot that failed half-way: an empty FIFO that stays harms nobody. */
export async function removeFifo(exec: Exec, fifoName: string): Promise<void> {
  const limit = AbortSignal.timeout(2000)
  try {
    const rm = await exec({ argv: ['/bin/sh', '-c', 'rm -rf "/dev/shm/$1" "/tmp/$1"', 'sh', fifoName], env: {} }, limit)
    rm.stdin.end()
    rm.stdout.resume()
    rm.stderr?.resume()
    const late = new Promise<never>((_, reject) => limit.addEventListener('abort', () => reject(limit.reason), { once: true }))
    await Promise.race([rm.exit, late]).finally(() => rm.close())
  } catch {
    // The target is gone or has no shell: there is nothing to remove it with, and the boot's own error is the one to tell.
  }
}

/** What a request for an exec asks for: kubelet's path and parameters, the API server's spellings, and extensions of ours. */
import { OpsError } from '../src/core/errors.js'
import { escapePeerText } from '../src/core/log.js'
import type { ExecRequest, WindowSize } from '../src/core/types.js'
import type { AnnouncedLanes } from '../src/wire/exec-lanes-server.js'

export interface AskedExec {
  readonly namespace: string
  readonly pod: string
  /** Absent in kubelet's short form of the path. */
  readonly uid?: string
  readonly container: string
  /** With its scheme, as kubelet prints it. */
  readonly containerId?: string
  readonly request: ExecRequest
  readonly lanes: AnnouncedLanes
}

/** A terminal whose size nobody has said yet. */
export const UNKNOWN_SIZE: WindowSize = { columns: 0, rows: 0, widthPx: 0, heightPx: 0 }

/** Parameter of ours -> the same of kubelet (pkg/kubelet/server/remotecommand) and of the API server (core/v1 PodExecOptions). */
const SPELLINGS = { stdin: ['input', 'stdin'], stdout: ['output', 'stdout'], stderr: ['error', 'stderr'], tty: ['tty'] } as const
const TRUE: ReadonlySet<string> = new Set(['1', 'true', 'True', 'TRUE', 't', 'T'])
const FALSE: ReadonlySet<string> = new Set(['0', 'false', 'False', 'FALSE', 'f', 'F', ''])
const CELLS_MAX = 65_535

/** Whether the path is one that `parseExec` reads. */
export function isExecPath(path: string): boolean {
  return path.startsWith('/exec/')
}

/**
 * Reads `/exec/NAMESPACE/POD[/UID]/CONTAINER?command=…`. Parameters that are not known are passed over, as Kubernetes does.
 * Ours: `env` (K=V, repeated), `cwd`, `containerId`, `columns` and `rows`.
 * @throws OpsError BAD_REQUEST saying what is wrong
 */
export function parseExec(target: string): AskedExec {
  // Not with URL: that resolves "." and ".." (also as %2e), and another path would be judged than was sent.
  const mark = target.includes('?') ? target.indexOf('?') : target.length
  const query = new URLSearchParams(target.slice(mark + 1))
  const words = target.slice(0, mark).split('/').slice(2).map(decode)
  if ((words.length !== 3 && words.length !== 4) || words.includes('')) throw bad('the path is not /exec/NAMESPACE/POD[/UID]/CONTAINER')
  const [namespace = '', pod = '', third = '', fourth] = words
  const lanes = { stdin: flag(query, 'stdin'), stdout: flag(query, 'stdout'), stderr: flag(query, 'stderr'), tty: flag(query, 'tty') }
  if (!lanes.stdin && !lanes.stdout && !lanes.stderr) throw bad('at least one of input, output and error must be asked for')
  const containerId = query.get('containerId')
  return {
    namespace,
    pod,
    ...(fourth === undefined ? {} : { uid: third }),
    container: fourth ?? third,
    ...(containerId ? { containerId } : {}),
    request: readRequest(query, lanes.tty),
    lanes,
  }
}

function readRequest(query: URLSearchParams, tty: boolean): ExecRequest {
  const argv = query.getAll('command')
  if (argv.length === 0 || argv[0] === '') throw bad('no command was given')
  const env = readEnv(query.getAll('env'))
  const cwd = query.get('cwd')
  for (const text of [...argv, ...Object.keys(env), ...Object.values(env), cwd ?? '']) {
    if (text.includes('\0')) throw bad('a NUL byte cannot be passed to a program')
  }
  return {
    argv,
    env,
    ...(cwd === null ? {} : { cwd }),
    ...(tty ? { pty: { term: env.TERM ?? 'xterm', size: readSize(query), modes: {} } } : {}),
  }
}

function readEnv(pairs: readonly string[]): Record<string, string> {
  const env = new Map<string, string>()
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    // The value may be a secret: only the position is told.
    if (equals < 1) throw bad(`env number ${pairs.indexOf(pair) + 1} is not NAME=VALUE`)
    env.set(pair.slice(0, equals), pair.slice(equals + 1))
  }
  return Object.fromEntries(env)
}

function readSize(query: URLSearchParams): WindowSize {
  const [columns, rows] = [query.get('columns'), query.get('rows')]
  if (columns === null && rows === null) return UNKNOWN_SIZE
  return { columns: cells(columns, 'columns'), rows: cells(rows, 'rows'), widthPx: 0, heightPx: 0 }
}

function cells(text: string | null, name: string): number {
  const count = Number(text)
  if (!/^\d{1,5}$/.test(text ?? '') || count < 1 || count > CELLS_MAX) throw bad(`${name} is not a number from 1 to ${CELLS_MAX}`)
  return count
}

function flag(query: URLSearchParams, name: keyof typeof SPELLINGS): boolean {
  let is = false
  for (const spelling of SPELLINGS[name]) {
    const text = query.get(spelling)
    if (text === null) continue
    if (!TRUE.has(text) && !FALSE.has(text)) throw bad(`${spelling}=${escapePeerText(text, 32)} is neither true nor false`)
    is ||= TRUE.has(text)
  }
  return is
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw bad('the path is not encoded right')
  }
}

function bad(why: string): OpsError {
  return new OpsError('BAD_REQUEST', `Cannot start an exec: ${why}`, { detail: why })
}

/** What the URL of an upgrade asks for: our own path, or Kubernetes' with or without a cluster before it. Outside text in, values out. */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import type { PtyRequest } from '../core/types.js'
import { isShellRequest, lineOf } from './exec-line.js'
import { addressOf } from './exec-parts.js'

export interface AskedExec {
  readonly address: string
  /** Absent: a shell. */
  readonly command?: string
  readonly pty?: PtyRequest
  /** The URL said how large the terminal is; otherwise the client's first message may. */
  readonly isSized: boolean
  readonly stdin: boolean
  readonly stdout: boolean
  /** Never with a terminal. */
  readonly stderr: boolean
}

const KUBE_PATH = /^(?:\/k8s\/(?<cluster>[^/]+))?\/api\/v1\/namespaces\/(?<namespace>[^/]+)\/pods\/(?<pod>[^/]+)\/exec$/
const OWN_PATH = '/api/v1/exec'
const MAX_URL_CHARS = 64 * 1024
const MAX_CELLS = 0xffff
const DEFAULT_SIZE = { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }
/** What kubelet sets for a terminal. */
const DEFAULT_TERM = 'xterm'

export function isExecUrl(url: string): boolean {
  const path = url.split('?', 1)[0] ?? ''
  return path === OWN_PATH || KUBE_PATH.test(path)
}

/** @throws OpsError BAD_REQUEST, TARGET_SYNTAX, TARGET_REQUIRED */
export function parseExecUrl(url: string): AskedExec {
  if (url.length > MAX_URL_CHARS) throw bad(`the URL is longer than ${MAX_URL_CHARS} characters`)
  const [path = '', search = ''] = split(url, '?')
  const query = new URLSearchParams(search)
  const tty = flag(query, 'tty', false)
  const argv = query.getAll('command')
  const line = one(query, 'line')
  if (line !== undefined && argv.length > 0) throw bad('give either command or line')
  if ([...argv, line ?? ''].some((word) => word.includes('\0'))) throw bad('a command must not hold a NUL')
  if (argv[0] === '' || line === '') throw bad('a command must not be empty')
  const isShell = line === undefined && (tty ? isShellRequest(argv) : argv.length === 0)
  if (isShell && !tty) throw bad('name a command, or ask for a terminal with tty=true')
  return {
    address: addressIn(path, query),
    ...(!isShell && { command: line ?? lineOf(argv) }),
    ...(tty && { pty: ptyOf(query) }),
    isSized: query.has('columns') && query.has('rows'),
    stdin: flag(query, 'stdin', false),
    stdout: flag(query, 'stdout', true),
    stderr: !tty && flag(query, 'stderr', true),
  }
}

function addressIn(path: string, query: URLSearchParams): string {
  const container = one(query, 'container')
  const named = KUBE_PATH.exec(path)?.groups
  if (named) {
    const cluster = named.cluster ?? one(query, 'cluster')
    return addressOf({ cluster: cluster && decoded(cluster), namespace: decoded(named.namespace ?? ''), pod: decoded(named.pod ?? ''), container })
  }
  const target = one(query, 'target')
  if (target === undefined)
    throw new OpsError('TARGET_REQUIRED', 'exec refused: no target', { detail: 'target=POD[.NAMESPACE[.CLUSTER]][+CONTAINER] is missing' })
  if (container !== undefined && target.includes('+')) throw bad('the target names a container already')
  return container === undefined ? target : `${target}+${container}`
}

function ptyOf(query: URLSearchParams): PtyRequest {
  const term = one(query, 'term') ?? DEFAULT_TERM
  if (!/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/.test(term)) throw bad('term is not the name of a terminal')
  const columns = cells(query, 'columns') ?? DEFAULT_SIZE.columns
  const rows = cells(query, 'rows') ?? DEFAULT_SIZE.rows
  return { term, size: { ...DEFAULT_SIZE, columns, rows }, modes: {} }
}

function cells(query: URLSearchParams, name: string): number | undefined {
  const text = one(query, name)
  if (text === undefined) return undefined
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > MAX_CELLS) throw bad(`${name} is not a number of cells`)
  return value
}

/** As Go's strconv.ParseBool, which Kubernetes uses. */
function flag(query: URLSearchParams, name: string, byDefault: boolean): boolean {
  const text = one(query, name)
  if (text === undefined || text === '') return byDefault
  if (/^(1|t|true)$/i.test(text)) return true
  if (/^(0|f|false)$/i.test(text)) return false
  throw bad(`${name}=${escapePeerText(text, 32)} is neither true nor false`)
}

function one(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name)
  if (values.length > 1) throw bad(`${name} is given ${values.length} times`)
  return values[0]
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new OpsError('BAD_REQUEST', 'a path that cannot be decoded', { cause: error, detail: 'the path cannot be decoded' })
  }
}

function split(text: string, mark: string): readonly string[] {
  const at = text.indexOf(mark)
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function bad(detail: string): OpsError {
  return new OpsError('BAD_REQUEST', `exec refused: ${detail}`, { detail })
}

/** opagent's configuration: one YAML file, every mistake in it with file, line and key. */
import { readFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { isMap, isNode, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml'
import { z } from 'zod'
import { OpsError } from '../src/core/errors.js'
import { escapePeerText, type LogLevel } from '../src/core/log.js'
import { parseDuration } from '../src/core/units.js'
import { type AgentAuth, type AgentListen, isLoopback } from './listener.js'

export interface AgentConfig {
  readonly listen: AgentListen
  readonly node: string
  /** "unix:///var/run/docker.sock" */
  readonly docker: string
  /** How programs are started: by runc itself where it can be reached, or always by the docker daemon. */
  readonly starts: 'auto' | 'docker'
  readonly auth?: AgentAuth
  readonly maxExecs: number
  /** How long SIGTERM waits for running programs. */
  readonly drainTimeoutMs: number
  readonly logLevel: LogLevel
}

/** A key stands at a path; what is wrong with it. */
interface Mistake {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

const DEFAULT_DOCKER = 'unix:///var/run/docker.sock'
const OTHERS = 0o077

const listenSchema = z.string().transform((text, context): AgentListen => {
  const parsed = parseListen(text)
  if (parsed) return parsed
  context.addIssue({ code: 'custom', message: `"${text}" is not an address: write HOST:PORT, [IPV6]:PORT or unix:///PATH` })
  return z.NEVER
})
const durationSchema = z.string().transform((text, context) => {
  try {
    return parseDuration(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
    return z.NEVER
  }
})
const schema = z.strictObject({
  listen: listenSchema,
  node: z.string().min(1).optional(),
  docker: z
    .string()
    .regex(/^unix:\/\/\/./, { error: 'only unix:///PATH is taken: an open docker port is root on the node' })
    .default(DEFAULT_DOCKER),
  starts: z.enum(['auto', 'docker']).default('auto'),
  auth: z.strictObject({ ca: z.string(), cert: z.string(), key: z.string(), gateways: z.array(z.string().min(1)).min(1).default(['opserver']) }).optional(),
  maxExecs: z.int().min(1).max(100_000).default(2000),
  drainTimeout: durationSchema.default(30_000),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
})

/**
 * Reads and checks `file`; paths in it are relative to its folder.
 * @param env for NODE_NAME, the default of `node`
 * @throws OpsError CONFIG_INVALID whose message lists every mistake as FILE:LINE: KEY: MESSAGE
 */
export async function loadAgentConfig(file: string, env: Readonly<Record<string, string | undefined>> = process.env): Promise<AgentConfig> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new OpsError('CONFIG_INVALID', `Cannot read config "${file}": ${error.message}`, { cause: error })
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  if (document.errors.length > 0) {
    throw invalid(document.errors.map((error) => `${file}:${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}`))
  }
  const fail = (mistakes: readonly Mistake[]) =>
    invalid(mistakes.map(({ path, message }) => `${file}:${lineOf(document.contents, path, lines)}: ${keyText(path)}${message}`))
  const parsed = schema.safeParse(document.toJS() ?? {})
  if (!parsed.success) throw fail(parsed.error.issues.flatMap(mistakesOf))
  const { auth: files, node, drainTimeout, ...rest } = parsed.data
  const mistakes: Mistake[] = []
  const auth = files && (await readAuth(files, dirname(resolve(file)), mistakes))
  if (!files && 'host' in rest.listen && !isLoopback(rest.listen.host)) {
    mistakes.push({ path: ['listen'], message: `${rest.listen.host} can be reached by others: it needs auth (mutual TLS); without it write 127.0.0.1` })
  }
  if (mistakes.length > 0) throw fail(mistakes)
  return { ...rest, node: node ?? (env.NODE_NAME || hostname()), drainTimeoutMs: drainTimeout, ...(auth ? { auth } : {}) }
}

/** "0.0.0.0:8085", "[::1]:8085", "unix:///run/opagent.sock" */
export function parseListen(text: string): AgentListen | undefined {
  if (text.startsWith('unix:///')) return { path: text.slice('unix://'.length) }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port > 65_535 ? undefined : { host, port }
}

type AuthFiles = { readonly ca: string; readonly cert: string; readonly key: string; readonly gateways: readonly string[] }

async function readAuth(files: AuthFiles, folder: string, mistakes: Mistake[]): Promise<AgentAuth> {
  const read = async (key: 'ca' | 'cert' | 'key'): Promise<Buffer> => {
    const path = resolve(folder, files[key])
    try {
      const { mode } = await stat(path)
      if (key === 'key' && (mode & OTHERS) !== 0) {
        mistakes.push({ path: ['auth', key], message: `"${path}" may be used by others than its owner (mode 0${(mode & 0o777).toString(8)}): chmod 600 it` })
      }
      return await readFile(path)
    } catch (error) {
      mistakes.push({ path: ['auth', key], message: `cannot be read: ${(error as Error).message}` })
      return Buffer.of()
    }
  }
  const [ca, cert, key] = [await read('ca'), await read('cert'), await read('key')]
  return { ca, cert, key, gateways: files.gateways }
}

/** Of keys that are not known each is a mistake of its own. */
function mistakesOf(issue: z.core.$ZodIssue): Mistake[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: issue.path, message: issue.message }]
  return issue.keys.map((key) => ({ path: [...issue.path, key], message: 'is not a key of this configuration' }))
}

function invalid(lines: readonly string[]): OpsError {
  return new OpsError('CONFIG_INVALID', lines.join('\n'))
}

function keyText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return ''
  return `${path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${escapePeerText(String(part))}`)).join('')}: `.replace(/^\./, '')
}

/** The line of the key at `path`, or of the nearest one above that is there; 1-based. */
function lineOf(root: ParsedNode | null, path: readonly PropertyKey[], lines: LineCounter): number {
  let node: unknown = root
  let offset = 0
  for (const part of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => isNode(key) && String(key) === String(part)) : undefined
    const next: unknown = pair ? pair.value : isSeq(node) && typeof part === 'number' ? node.items[part] : undefined
    const at = pair ? pair.key : next
    if (!isNode(at)) break
    offset = (at as Node).range?.[0] ?? offset
    node = next
  }
  return lines.linePos(offset).line
}

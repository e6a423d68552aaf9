/** Gateways and logins that a person has: `$XDG_CONFIG_HOME/dockin/contexts.json`, 0600. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { UsageError } from '../problem.js'

const tokensSchema = z.object({
  access: z.string(),
  /** RFC 3339; absent: not known. */
  accessUntil: z.string().optional(),
  refresh: z.string().optional(),
})
export type Tokens = z.infer<typeof tokensSchema>

const contextSchema = z.object({
  server: z.string(),
  user: z.string().optional(),
  /** PEM file. */
  caFile: z.string().optional(),
  /** HOST:PORT of the SSH door, for ssh-config. */
  ssh: z.string().optional(),
  tokens: tokensSchema.optional(),
})
export type Context = z.infer<typeof contextSchema>

const fileSchema = z.object({ current: z.string().optional(), contexts: z.record(z.string(), contextSchema) })
export type ContextFile = z.infer<typeof fileSchema>

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Where they are kept. */
export function contextsPath(env: NodeJS.ProcessEnv): string {
  const base = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config')
  return join(base, 'dockin', 'contexts.json')
}

export class ContextStore {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Empty when there is no file. @throws UsageError when others may read it, or it is not ours */
  async read(): Promise<ContextFile> {
    let text: string
    try {
      const { mode } = await stat(this.path)
      if (mode & 0o077) throw new UsageError(`${this.path} holds tokens and may be read by others: chmod 600 it`)
      text = await readFile(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { contexts: {} }
      throw error
    }
    const parsed = fileSchema.safeParse(parseJson(text))
    if (!parsed.success)
      throw new UsageError(`${this.path} is not readable as contexts: ${parsed.error.issues[0]?.message ?? ''}; move it away and log in again`)
    return parsed.data
  }

  /** The named context, or the current one. @throws UsageError naming what there is */
  async find(name: string | undefined): Promise<{ readonly name: string; readonly context: Context }> {
    const { current, contexts } = await this.read()
    const wanted = name ?? current
    if (wanted === undefined) throw new UsageError('you are not logged in: opsctl login https://GATEWAY')
    const context = Object.hasOwn(contexts, wanted) ? contexts[wanted] : undefined
    const known = Object.keys(contexts)
    if (!context) throw new UsageError(`no context "${wanted}"${known.length > 0 ? `; there are ${known.join(', ')}` : ': opsctl login https://GATEWAY'}`)
    return { name: wanted, context }
  }

  /** Reads, changes, writes whole: a reader never meets half a file. */
  async change(change: (file: ContextFile) => ContextFile): Promise<void> {
    const file = change(await this.read())
    for (const name of Object.keys(file.contexts)) {
      if (!NAME.test(name)) throw new UsageError(`"${name}" is not a name for a context: letters, digits, ".", "_" and "-"`)
    }
    const dir = dirname(this.path)
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const fresh = `${this.path}.${randomBytes(6).toString('hex')}`
    try {
      await writeFile(fresh, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
      await chmod(fresh, 0o600)
      await rename(fresh, this.path)
    } finally {
      await rm(fresh, { force: true })
    }
  }

  async put(name: string, context: Context, makeCurrent: boolean): Promise<void> {
    await this.change((file) => ({ ...(makeCurrent ? { ...file, current: name } : file), contexts: { ...file.contexts, [name]: context } }))
  }

  /** Undefined removes them. A context that has gone meanwhile stays gone. */
  async putTokens(name: string, tokens: Tokens | undefined): Promise<void> {
    await this.change((file) => {
      const context = file.contexts[name]
      if (!context) return file
      const { tokens: _old, ...rest } = context
      return { ...file, contexts: { ...file.contexts, [name]: tokens ? { ...rest, tokens } : rest } }
    })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // not JSON is not a context file: the schema says so
    return undefined
  }
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/** "bastion" -> "https://bastion". @throws UsageError for what is no address, and for plain HTTP beyond this machine without `plainHttp` */
export function serverUrl(text: string, plainHttp: boolean): string {
  const url = tryUrl(text.includes('://') ? text : `https://${text}`)
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.pathname !== '/' || url.search !== '') {
    throw new UsageError(`"${text}" is not the address of a gateway: write https://HOST[:PORT]`)
  }
  if (url.protocol === 'http:' && !plainHttp && !LOOPBACK.test(url.hostname)) {
    throw new UsageError(`${url.origin} is not encrypted, and your password would cross the network in clear: use https, or --plain-http`)
  }
  return url.origin
}

function tryUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

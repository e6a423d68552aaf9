/** Gateways from dist/ that share a real Redis, as processes of their own: local pods, people with passwords, files for the audit. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { StoredEvent } from '../../src/core/types.js'
import { hashPassword } from '../../src/identity/password.js'
import { tempDir } from './temp-dir.js'
import { type Ran, type Running, repository, run, startProgram, stopProgram } from './world.js'

export const PASSWORD = 'correct horse'

export interface Answer {
  readonly status: number
  readonly etag: string
  readonly text: string
  readonly body: Readonly<Record<string, unknown>>
}

/** A hash that costs little: many logins on a busy machine. */
export function cheapHash(password = PASSWORD): Promise<string> {
  return hashPassword(password, { memoryKib: 1024, passes: 1 })
}

export class SharedGateway {
  readonly dir: string
  readonly #config: Readonly<Record<string, unknown>>
  #running: Running | undefined
  readonly #tokens = new Map<string, string>()

  private constructor(dir: string, config: Readonly<Record<string, unknown>>) {
    this.dir = dir
    this.#config = config
  }

  static async prepare(t: TestContext, config: Readonly<Record<string, unknown>>): Promise<SharedGateway> {
    const gateway = new SharedGateway(await tempDir(t), config)
    t.after(() => gateway.stop())
    return gateway
  }

  async start(): Promise<this> {
    const config = {
      dataDir: join(this.dir, 'data'),
      ssh: { listen: '127.0.0.1:0', hostKeys: [join(this.dir, 'host')] },
      http: { listen: '127.0.0.1:0' },
      clusters: [{ name: 'many', local: { pods: ['web-0', 'web-1'] } }],
      ...this.#config,
    }
    writeFileSync(join(this.dir, 'opserver.yaml'), JSON.stringify(config))
    this.#running = await startProgram('src/main.js', ['--config', join(this.dir, 'opserver.yaml')])
    this.#tokens.clear()
    return this
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#running) await stopProgram(this.#running, signal)
  }

  get url(): string {
    return `http://127.0.0.1:${/http=[^ ]*:(\d+)/.exec(this.#running?.ready ?? '')?.[1]}`
  }
  get sshPort(): number {
    return Number(/ssh=[^ ]*:(\d+)/.exec(this.#running?.ready ?? '')?.[1])
  }
  get pid(): number {
    return this.#running?.child.pid ?? 0
  }
  get logs(): string {
    return this.#running?.logs() ?? ''
  }

  async login(user: string, password = PASSWORD): Promise<string> {
    const answer = await this.ask('POST', '/api/v1/login', undefined, { user, password })
    if (answer.status !== 200) throw new Error(`login of ${user}: ${answer.status} ${answer.text}`)
    return String(answer.body.token)
  }

  /** @param who logs in at first */
  async ask(method: string, path: string, who?: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const token = who === undefined ? undefined : (this.#tokens.get(who) ?? (await this.login(who)))
    if (who !== undefined && token !== undefined) this.#tokens.set(who, token)
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, etag: response.headers.get('etag') ?? '', text, body: text.startsWith('{') ? JSON.parse(text) : {} }
  }

  /** What the policy would answer to a line of somebody in web-0. */
  async allows(user: string, line: string): Promise<boolean> {
    return (await this.ask('POST', '/api/v1/rules/test', user, { target: 'web-0', door: 'http', line })).body.allow === true
  }

  events(): StoredEvent[] {
    const folder = join(this.dir, 'data/audit')
    const names = readdirSync(folder).filter((name) => name.endsWith('.ndjson'))
    return names.flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as StoredEvent),
    )
  }
  admin(action: string): Extract<StoredEvent, { type: 'admin' }> | undefined {
    return this.events().findLast((event): event is Extract<StoredEvent, { type: 'admin' }> => event.type === 'admin' && event.action === action)
  }

  /** A client program, logged in as whoever `opsctl login` was. */
  cli(program: 'opsctl' | 'dockctl', args: readonly string[], input = ''): Promise<Ran> {
    const home = join(this.dir, 'home')
    mkdirSync(home, { recursive: true })
    const env = { PATH: process.env.PATH, HOME: home, TERM: 'xterm', LANG: 'C.UTF-8' }
    return run(process.execPath, [join(repository, 'dist/src/cli', `${program}.js`), ...args], input, env)
  }
}

/** The way a gateway that cannot start ends. */
export async function failedStart(gateway: SharedGateway): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const child = spawn(process.execPath, [join(repository, 'dist/src/main.js'), '--config', join(gateway.dir, 'opserver.yaml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stderr }
}

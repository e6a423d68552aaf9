/** The whole gateway in this process, over the embedded default: real logins, real sessions by the ssh of this machine. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildGateway, type Gateway } from '../../../src/build/gateway.js'
import { demoConfig } from '../../../src/config/demo.js'
import type { Config } from '../../../src/config/values.js'
import { createLogger } from '../../../src/core/log.js'
import type { StoredEvent } from '../../../src/core/types.js'
import { hashPassword } from '../../../src/identity/password.js'
import { until } from '../../support/world.js'

export type Person = 'alice' | 'bob' | 'carol' | 'audra'
export const PEOPLE: readonly Person[] = ['alice', 'bob', 'carol', 'audra']
const PASSWORD = 'correct horse'

/** alice is admin, audra auditor, bob (black list) and carol (white list) are users. */
export class ApiGateway {
  readonly dir = mkdtempSync(join(tmpdir(), 'dockin-api-'))
  readonly dataDir = join(this.dir, 'data')
  readonly keyFile = join(this.dir, 'id')
  readonly password = PASSWORD
  readonly tokens: Partial<Record<Person, string>> = {}
  gateway!: Gateway
  #clients: ChildProcess[] = []

  async start(change: (config: Config) => Config = (config) => config): Promise<this> {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', this.keyFile])
    const credentials = { password: await hashPassword(PASSWORD), keys: [readFileSync(`${this.keyFile}.pub`, 'utf8').trim()] }
    const config = demoConfig({ dataDir: this.dataDir, sshPort: 0, httpPort: 0, credentials: Object.fromEntries(PEOPLE.map((name) => [name, credentials])) })
    this.gateway = await buildGateway(
      change({ ...config, ssh: { ...config.ssh, hostKeys: [join(this.dir, 'host_ed25519')] } }),
      createLogger(process.env.TEST_LOG === '1' ? 'warn' : 'silent'),
    )
    for (const name of PEOPLE) this.tokens[name] = await this.login(name)
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${this.gateway.http.port}`
  }

  async login(user: Person): Promise<string> {
    const answer = await this.fetch('POST', '/api/v1/login', undefined, { user, password: PASSWORD })
    return ((await answer.json()) as { token: string }).token
  }

  /** @param who a person, a token, or nobody */
  fetch(method: string, path: string, who?: Person | { readonly token: string }, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const token = typeof who === 'string' ? this.tokens[who] : who?.token
    return fetch(this.url + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  }

  async json<T>(path: string, who: Person = 'alice'): Promise<T> {
    const answer = await this.fetch('GET', path, who)
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }

  /** A shell with a terminal by OpenSSH's client. */
  async shell(user: Person, pod = 'web-0'): Promise<SshShell> {
    const before = new Set(await this.live())
    const set = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes', 'IdentitiesOnly=yes']
    const options = ['-F', '/dev/null', '-i', this.keyFile, '-p', String(this.gateway.ssh.port), ...set.flatMap((one) => ['-o', one])]
    const child = spawn('ssh', [...options, '-tt', '-l', `${user}+${pod}`, '127.0.0.1'], { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#clients.push(child)
    const shell = new SshShell(child)
    const id = await until('the session to run', async () => (await this.live()).find((one) => !before.has(one)))
    return Object.assign(shell, { id })
  }

  async live(): Promise<string[]> {
    return (await this.json<{ items: { id: string }[] }>('/api/v1/sessions?state=live')).items.map(({ id }) => id)
  }

  async events(query: string): Promise<StoredEvent[]> {
    return (await this.json<{ items: StoredEvent[] }>(`/api/v1/audit?limit=1000&${query}`, 'audra')).items
  }

  async stop(): Promise<void> {
    for (const child of this.#clients) child.kill()
    await this.gateway?.drain(0)
    rmSync(this.dir, { recursive: true, force: true })
  }
}

export class SshShell {
  readonly child: ChildProcess
  /** Of the session; known once it runs. */
  id = ''
  /** What its terminal has shown. */
  shown = ''
  readonly ended: Promise<number | null>

  constructor(child: ChildProcess) {
    this.child = child
    const take = (chunk: Buffer): void => {
      this.shown += chunk.toString()
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    this.ended = new Promise((resolve) => child.once('close', (code) => resolve(code)))
  }

  type(text: string): void {
    this.child.stdin?.write(text)
  }

  /** Waits until the terminal shows it. */
  shows(text: string | RegExp): Promise<boolean> {
    return until(`the terminal to show ${text}, but: ${JSON.stringify(this.shown.slice(-300))}`, () =>
      typeof text === 'string' ? this.shown.includes(text) : text.test(this.shown),
    )
  }
}

/**
 * The whole thing, for real: agents and a gateway as processes of their own, in front of real clusters, with a real
 * OpenSSH client. Needs a build (`npm test` makes one). Everything it starts and writes goes away with `stop()`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { StoredEvent } from '../../src/core/types.js'
import { dockerSocketOf, kubeconfigOf } from './need.js'

export const repository = join(import.meta.dirname, '../..')

export interface WorldOptions {
  readonly clusters?: readonly ('a' | 'b')[]
  readonly via?: 'agent' | 'apiserver' | 'auto'
  /** YAML-able values for users and rules; alice with a key and every door on everything when absent. */
  readonly users?: readonly object[]
  readonly rules?: readonly object[]
  /** More top-level config. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly stores?: readonly object[]
}
export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** A program that printed its ready line. */
export interface Running {
  readonly child: ChildProcess
  readonly ready: string
  readonly logs: () => string
}

/** Starts one of our programs from dist/ and waits for its ready line. */
export async function startProgram(script: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Running> {
  const child = spawn(process.execPath, [join(repository, 'dist', script), ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let logs = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    logs = (logs + chunk.toString()).slice(-200_000)
  })
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const ready = new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => / ready /.test(line) && resolve(line))
    child.once('exit', (code, signal) => reject(new Error(`${script} ended before it was ready (${code ?? signal}):\n${logs}`)))
  })
  return { child, ready: await ready, logs: () => logs }
}

export async function stopProgram(running: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (running.child.exitCode !== null || running.child.signalCode !== null) return
  const exited = once(running.child, 'exit')
  running.child.kill(signal)
  const late = setTimeout(() => running.child.kill('SIGKILL'), 15_000)
  await exited
  clearTimeout(late)
}

export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'dockin-world-'))
  readonly dataDir = join(this.dir, 'data')
  readonly keyFile = join(this.dir, 'id_ed25519')
  readonly agents = new Map<string, Running>()
  gateway!: Running
  sshPort = 0
  httpPort = 0

  async start(options: WorldOptions = {}): Promise<this> {
    const names = options.clusters ?? ['a', 'b']
    const via = options.via ?? 'agent'
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', this.keyFile])
    if (via !== 'apiserver') this.#makeCertificates(names)
    const clusters = []
    for (const name of names) {
      const port = via === 'apiserver' ? undefined : await this.startAgent(name)
      clusters.push({ name, kubeconfig: kubeconfigOf(name), via, ...(port && { agent: { port, hosts: { [`node-${name}`]: '127.0.0.1' } } }) })
    }
    const key = readFileSync(`${this.keyFile}.pub`, 'utf8').trim()
    const config = {
      dataDir: this.dataDir,
      ssh: { listen: '127.0.0.1:0', hostKeys: [join(this.dir, 'host_ed25519'), join(this.dir, 'host_ecdsa')] },
      http: { listen: '127.0.0.1:0' },
      audit: { stores: options.stores ?? [{ type: 'file' }], onFailure: 'refuse' },
      clusters,
      ...(via !== 'apiserver' && { agentAuth: this.#certs('opserver') }),
      users: options.users ?? [{ name: 'alice', groups: ['sre'], keys: [key], roles: ['admin'] }],
      rules: options.rules ?? [{ name: 'everything', who: { groups: ['sre'] }, where: [{ cluster: '*', namespace: '*' }] }],
      ...options.config,
    }
    // JSON is YAML
    writeFileSync(this.configFile, JSON.stringify(config, null, 1))
    await this.startGateway()
    return this
  }

  #makeCertificates(names: readonly string[]): void {
    const agents = names.flatMap((name) => ['--agent', `node-${name}`])
    execFileSync(process.execPath, [join(repository, 'dist/src/main.js'), 'certs', join(this.dir, 'certs'), ...agents])
  }

  get configFile(): string {
    return join(this.dir, 'opserver.yaml')
  }

  #certs(name: string): { ca: string; cert: string; key: string } {
    const dir = join(this.dir, 'certs')
    return { ca: join(dir, 'ca.crt'), cert: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) }
  }

  async startAgent(name: 'a' | 'b', port = 0): Promise<number> {
    const file = join(this.dir, `opagent-${name}.yaml`)
    const config = {
      listen: `127.0.0.1:${port}`,
      node: `node-${name}`,
      docker: `unix://${dockerSocketOf(name)}`,
      auth: { ...this.#certs(`node-${name}`), gateways: ['opserver'] },
    }
    writeFileSync(file, JSON.stringify(config))
    const running = await startProgram('agent/main.js', ['--config', file])
    this.agents.set(name, running)
    return Number(/:(\d+)$/.exec(running.ready)?.[1])
  }

  async startGateway(): Promise<void> {
    this.gateway = await startProgram('src/main.js', ['--config', this.configFile])
    const match = /ssh=[^ ]*:(\d+) http=[^ ]*:(\d+)/.exec(this.gateway.ready)
    this.sshPort = Number(match?.[1])
    this.httpPort = Number(match?.[2])
  }

  /** Options that every ssh, scp and sftp call of a test needs; `-p`/`-P` differ and are left to the caller. */
  options(user?: { keyFile: string }): string[] {
    const set = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes', 'IdentitiesOnly=yes']
    return ['-F', '/dev/null', '-i', user?.keyFile ?? this.keyFile, ...set.flatMap((option) => ['-o', option])]
  }

  /** Runs `ssh LOGIN@gateway COMMAND` to its end. */
  ssh(login: string, command: string | undefined, input?: Buffer | string, ...flags: string[]): Promise<Ran> {
    return run('ssh', [...this.options(), '-p', String(this.sshPort), ...flags, '-l', login, '127.0.0.1', ...(command === undefined ? [] : [command])], input)
  }

  /** The audit as it rests on disk. */
  events(): StoredEvent[] {
    const folder = join(this.dataDir, 'audit')
    const files = readdirSync(folder)
      .filter((name) => name.endsWith('.ndjson'))
      .sort()
    return files.flatMap((name) =>
      readFileSync(join(folder, name), 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as StoredEvent),
    )
  }

  async stop(): Promise<void> {
    if (this.gateway) await stopProgram(this.gateway)
    for (const agent of this.agents.values()) await stopProgram(agent)
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** Runs a program to its end with `input` as its whole stdin. */
export async function run(command: string, args: readonly string[], input?: Buffer | string, env: NodeJS.ProcessEnv = process.env): Promise<Ran> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env })
  const out: Buffer[] = []
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  child.stdin.on('error', () => {}) // the program may end before it has read everything
  child.stdin.end(input)
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout: Buffer.concat(out), stderr }
}

/** Waits until `probe` answers something; for facts that only show in another process. */
export async function until<T>(what: string, probe: () => T | undefined | false | Promise<T | undefined | false>, limitMs = 15_000): Promise<T> {
  const end = Date.now() + limitMs
  for (;;) {
    const answer = await probe()
    if (answer !== undefined && answer !== false) return answer
    if (Date.now() > end) throw new Error(`gave up waiting for ${what} after ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

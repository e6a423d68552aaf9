/** A real SSH server on a free port with a login and programs of its own, and the real clients to drive it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { TestContext } from 'node:test'
import { type Logger, silentLogger } from '../../src/core/log.js'
import type { ClientEnd, Identity, Login, LoginAttempt } from '../../src/core/types.js'
import { loadSsh2 } from '../../src/ssh/hardening/load.js'
import { loadHostKeys } from '../../src/ssh/host-keys.js'
import type { ChannelRequest } from '../../src/ssh/request.js'
import { type SshServer, type SshServerParts, startSshServer } from '../../src/ssh/server.js'

export const PASSWORD = 'correct horse'
export const library = loadSsh2()

export type Open = SshServerParts['open']
export interface Gateway {
  readonly server: SshServer
  readonly port: number
  readonly dir: string
  readonly knownHosts: string
  readonly requests: ChannelRequest[]
  /** What `login` was asked. */
  readonly attempts: LoginAttempt[]
  readonly lines: { readonly event: string; readonly fields: Record<string, unknown> }[]
}

export function identityOf(attempt: LoginAttempt): Identity {
  return { user: attempt.user, groups: [], roles: ['user'], method: attempt.method, from: attempt.from }
}

/** Accepts PASSWORD, and any key whose signature is right. */
export function openDoorLogin(attempts: LoginAttempt[] = []): Login {
  return {
    async attempt(attempt) {
      attempts.push(attempt)
      const refused = { kind: 'refused', reason: 'wrong', locked: false } as const
      if (attempt.method === 'password') return attempt.password === PASSWORD ? { kind: 'accepted', identity: identityOf(attempt) } : refused
      if (!attempt.verify) return { kind: 'sign' }
      return attempt.verify() ? { kind: 'accepted', identity: identityOf(attempt) } : refused
    },
  }
}

export async function gateway(t: TestContext, parts: Partial<SshServerParts> = {}): Promise<Gateway> {
  const dir = mkdtempSync(join(tmpdir(), 'ssh-test-'))
  const requests: ChannelRequest[] = []
  const attempts: LoginAttempt[] = []
  const lines: Gateway['lines'] = []
  const open = parts.open ?? toyPrograms
  const hostKeys = parts.hostKeys ?? (await loadHostKeys([join(dir, 'ed25519'), join(dir, 'ecdsa')], library))
  const server = await startSshServer({
    listen: { host: '127.0.0.1', port: 0 },
    login: openDoorLogin(attempts),
    log: capture(lines),
    library,
    ...parts,
    hostKeys,
    open: (request, client) => {
      requests.push(request)
      return open(request, client)
    },
  })
  t.after(async () => {
    await server.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const { port } = server.address
  const knownHosts = join(dir, 'known_hosts')
  writeFileSync(knownHosts, hostKeys.map((key) => `[127.0.0.1]:${port} ${key.publicKey}\n`).join(''))
  return { server, port, dir, knownHosts, requests, attempts, lines }
}

function capture(lines: Gateway['lines']): Logger {
  const note = (fields: object, event: string): void => void lines.push({ event, fields: { ...fields } })
  const logger: Logger = { ...silentLogger, info: note, warn: note, error: note, child: () => logger }
  return logger
}

/** Small programs over node streams; a command line names one and its arguments. */
export const toyPrograms: Open = async ({ command, door, pty, env }, client) => {
  const [name = door, ...args] = (command ?? '').split(' ').filter(Boolean)
  const program = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined
  if (!program) {
    client.stderr.write(`no such program: ${name}\n`)
    client.finish({ kind: 'exited', code: 127 })
    return
  }
  await program(client, args, { env, ...(pty && { pty }) })
}

type Program = (client: ClientEnd, args: readonly string[], request: Pick<ChannelRequest, 'pty' | 'env'>) => void | Promise<void>
const PROGRAMS: Readonly<Record<string, Program>> = {
  exit: (client, [code]) => client.finish({ kind: 'exited', code: Number(code) }),
  die: (client, [signal = 'KILL']) => client.finish({ kind: 'signaled', signal, coreDumped: false }),
  cat: async (client) => {
    await pipeline(client.stdin, client.stdout, { end: false, signal: client.gone })
    client.finish({ kind: 'exited', code: 0 })
  },
  sha256: async (client) => {
    const hash = createHash('sha256')
    for await (const chunk of client.stdin) hash.update(chunk)
    client.stdout.write(hash.digest('hex'))
    client.finish({ kind: 'exited', code: 0 })
  },
  zeros: async (client, [bytes]) => {
    await pipeline(zeros(Number(bytes)), client.stdout, { end: false, signal: client.gone })
    client.finish({ kind: 'exited', code: 0 })
  },
  both: async (client, [bytes]) => {
    await Promise.all([client.stdout, client.stderr].map((lane) => pipeline(zeros(Number(bytes)), lane, { end: false })))
    client.finish({ kind: 'exited', code: 0 })
  },
  facts: (client, _args, { pty, env }) => {
    client.stdout.write(JSON.stringify({ pty, env }))
    client.finish({ kind: 'exited', code: 0 })
  },
  /** Prints sizes and signals until one is USR1. */
  watch: (client) => {
    client.stdout.write('watching\n')
    client.subscribe({
      resize: ({ columns, rows }) => client.stdout.write(`size ${columns}x${rows}\n`),
      signal: (signal) => {
        client.stdout.write(`signal ${signal}\n`)
        if (signal === 'USR1') client.finish({ kind: 'exited', code: 0 })
      },
    })
    return untilGone(client)
  },
  /** Never reads its input, writes nothing, stays. */
  hold: (client) => untilGone(client),
}
const FIRST_CHUNK = Buffer.alloc(64 * 1024)
function* zeros(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= FIRST_CHUNK.length) yield FIRST_CHUNK.subarray(0, Math.min(left, FIRST_CHUNK.length))
}
/** Resolves when the client has left or the program has finished. */
export function untilGone(client: ClientEnd): Promise<void> {
  return new Promise((resolve) => {
    client.gone.addEventListener('abort', () => resolve(), { once: true })
    client.stdout.once('close', () => resolve())
  })
}

export interface Ran {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** Options that keep OpenSSH away from this machine's own configuration. */
export function sshOptions({ knownHosts, port }: Gateway, ...more: string[]): string[] {
  const settings = [
    ...more,
    `UserKnownHostsFile=${knownHosts}`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'LogLevel=ERROR',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
  ]
  return ['-F', 'none', '-p', String(port), ...settings.flatMap((setting) => ['-o', setting])]
}

/** Where ssh asks for a password when it has no terminal. */
export function askPass(dir: string, password = PASSWORD): NodeJS.ProcessEnv {
  const script = join(dir, 'askpass')
  writeFileSync(script, `#!/bin/sh\nprintf '%s\\n' '${password}'\n`)
  chmodSync(script, 0o700)
  return { PATH: process.env.PATH, HOME: dir, SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force' }
}

export function clientKey(dir: string, type: string, bits?: number): string {
  const file = join(dir, `id_${type}_${bits ?? ''}`)
  execFileSync('ssh-keygen', ['-q', '-t', type, ...(bits ? ['-b', String(bits)] : []), '-N', '', '-f', file])
  return file
}

export async function run(program: string, args: readonly string[], options: { env?: NodeJS.ProcessEnv; input?: Buffer | string } = {}): Promise<Ran> {
  const child = spawn(program, args, { env: options.env ?? process.env, stdio: 'pipe' })
  return collect(child, options.input ?? '')
}

export async function collect(child: ChildProcess, input: Buffer | string = ''): Promise<Ran> {
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk))
  // A client that ends before it has read its input closes the pipe.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() }
}

/** OpenSSH with a password or, when given, a key. */
export function ssh(
  at: Gateway,
  command: readonly string[],
  options: { user?: string; key?: string; input?: Buffer | string; flags?: readonly string[]; settings?: readonly string[] } = {},
): Promise<Ran> {
  const auth = options.key
    ? ['PreferredAuthentications=publickey', `IdentityFile=${options.key}`]
    : ['PreferredAuthentications=password', 'NumberOfPasswordPrompts=1']
  const args = [...sshOptions(at, ...auth, ...(options.settings ?? [])), ...(options.flags ?? []), `${options.user ?? 'alice'}@127.0.0.1`, ...command]
  return run('ssh', args, { env: askPass(at.dir), ...(options.input !== undefined && { input: options.input }) })
}

export function publicKeyText(file: string): string {
  return readFileSync(`${file}.pub`, 'utf8')
}

/** Clients that move one file: what each is called with, and where it says what went wrong. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client, type SFTPWrapper } from 'ssh2'
import { needs } from './need.js'
import { type Ran, run, World } from './world.js'

/** A world whose users all have one key, made before the config is written. */
export class FileWorld extends World {
  readonly ownKey = join(this.dir, 'own')

  /** @returns users of these names, for the config */
  usersNamed(...names: readonly string[]): object[] {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', this.ownKey])
    const key = readFileSync(`${this.ownKey}.pub`, 'utf8').trim()
    return names.map((name) => ({ name, groups: [name], keys: [key] }))
  }

  override options(): string[] {
    return super.options({ keyFile: this.ownKey })
  }
}

export type Direction = 'put' | 'get'
export interface Moved {
  readonly code: number | null
  /** All that the user would read. */
  readonly stderr: string
}
export interface Mover {
  readonly name: string
  readonly skip: false | string
  move(world: FileWorld, login: string, direction: Direction, local: string, remote: string): Promise<Moved>
}

const port = (world: FileWorld): string => String(world.sshPort)
const said = ({ code, stderr, stdout }: Ran): Moved => ({ code, stderr: `${stderr}${stdout.toString()}` })

function scp(flags: readonly string[]): Mover['move'] {
  return async (world, login, direction, local, remote) => {
    const there = `127.0.0.1:${remote}`
    const ends = direction === 'put' ? [local, there] : [there, local]
    return said(await run('scp', [...world.options(), ...flags, '-P', port(world), '-o', `User=${login}`, ...ends]))
  }
}

const viaBatch: Mover['move'] = async (world, login, direction, local, remote) => {
  const file = join(world.dir, 'mover-batch')
  writeFileSync(file, direction === 'put' ? `put ${local} ${remote}\n` : `get ${remote} ${local}\n`)
  return said(await run('sftp', [...world.options(), '-P', port(world), '-o', `User=${login}`, '-b', file, '127.0.0.1']))
}
/** Commands on stdin, as a person types them; sftp then ends with 0 whatever happened, so its words count. */
const viaTyping: Mover['move'] = async (world, login, direction, local, remote) => {
  const line = direction === 'put' ? `put ${local} ${remote}\n` : `get ${remote} ${local}\n`
  const { stderr, stdout, code } = await run('sftp', [...world.options(), '-P', port(world), '-o', `User=${login}`, '127.0.0.1'], line)
  const failed = /refused|denied|No such|Failure|Couldn/.test(stderr)
  return { code: failed ? 1 : code, stderr: `${stderr}${stdout.toString()}` }
}

const viaSsh2: Mover['move'] = (world, login, direction, local, remote) => {
  const client = new Client()
  const moved = new Promise<Moved>((resolve, reject) => {
    const done = (error?: Error | null): void => resolve({ code: error ? 1 : 0, stderr: error?.message ?? '' })
    client.on('error', reject)
    client.on('ready', () =>
      client.sftp((error: Error | undefined, sftp: SFTPWrapper) => {
        if (error) return done(error)
        if (direction === 'put') sftp.fastPut(local, remote, done)
        else sftp.fastGet(remote, local, done)
      }),
    )
    client.connect({ host: '127.0.0.1', port: world.sshPort, username: login, privateKey: readFileSync(world.ownKey) })
  })
  return moved.finally(() => client.end())
}

const PARAMIKO = `
import paramiko, sys
port, key, user, direction, local, remote = sys.argv[1:]
t = paramiko.Transport(("127.0.0.1", int(port)))
t.connect(username=user, pkey=paramiko.Ed25519Key.from_private_key_file(key))
s = paramiko.SFTPClient.from_transport(t)
try:
    s.put(local, remote) if direction == "put" else s.get(remote, local)
except Exception as e:
    sys.stderr.write(str(e)); sys.exit(1)
finally:
    t.close()
`
const viaParamiko: Mover['move'] = async (world, login, direction, local, remote) =>
  said(await run('/usr/bin/python3', ['-c', PARAMIKO, port(world), world.ownKey, login, direction, local, remote]))

function hasParamiko(): false | string {
  try {
    execFileSync('/usr/bin/python3', ['-c', 'import paramiko'], { stdio: 'ignore' })
    return false
  } catch {
    return 'python3-paramiko is not installed'
  }
}

export const MOVERS: readonly Mover[] = [
  { name: 'scp', skip: needs.program('scp'), move: scp([]) },
  { name: 'scp -O', skip: needs.program('scp'), move: scp(['-O']) },
  { name: 'sftp -b', skip: needs.program('sftp'), move: viaBatch },
  { name: 'sftp', skip: needs.program('sftp'), move: viaTyping },
  { name: 'the ssh2 library', skip: false, move: viaSsh2 },
  { name: 'paramiko', skip: hasParamiko(), move: viaParamiko },
]

export function movedBy(mover: Mover, world: FileWorld, login: string, direction: Direction, local: string, remote: string): Promise<Moved> {
  return mover.move(world, login, direction, local, remote)
}

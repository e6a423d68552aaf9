/** Files to and from a pod with sftp, against the same sftp to a plain OpenSSH sshd of this machine that is started for the run. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { needs } from '../test/support/need.js'
import { run, type World } from '../test/support/world.js'
import { atLeast, type Goal, measurePair, type Row } from './pair.js'

const BIG_BYTES = 300_000_000
const SMALL_FILES = 2000
const PAIRS = 5
const SFTP_SERVER = '/usr/lib/openssh/sftp-server'

interface FileBench {
  readonly name: string
  readonly goal: Goal
  readonly measure: (world: World, bench: { readonly name: string; readonly goal: Goal }) => Promise<Row>
}

/** An sshd of this machine and files in memory on this side; the far side of both writes below a /tmp of its own. */
class Reference {
  readonly dir = mkdtempSync('/dev/shm/dockin-bench-')
  readonly #key = join(this.dir, 'user')
  #sshd: ChildProcess | undefined
  #port = 0

  async start(): Promise<this> {
    const missing = needs.program('/usr/sbin/sshd') || needs.program('sftp')
    if (missing) throw new Error(missing)
    for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(this.dir, name)])
    this.#port = await freePort()
    const config = [
      `Port ${this.#port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(this.dir, 'host')}`,
      `AuthorizedKeysFile ${this.#key}.pub`,
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PidFile none',
      `Subsystem sftp ${SFTP_SERVER}`,
    ]
    writeFileSync(join(this.dir, 'sshd_config'), `${config.join('\n')}\n`)
    // sshd wants its empty folder for the part that has no privileges
    mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    this.#sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', join(this.dir, 'sshd_config')], { stdio: 'ignore' })
    for (let tries = 0; (await run('sftp', [...this.args(), '/dev/null'], '')).code !== 0 && tries < 20; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return this
  }

  args(): string[] {
    const user = process.env.USER ?? 'root'
    const set = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes', 'IdentitiesOnly=yes', `User=${user}`]
    return ['-q', '-F', '/dev/null', '-i', this.#key, '-P', String(this.#port), ...set.flatMap((option) => ['-o', option]), '127.0.0.1']
  }

  async stop(): Promise<void> {
    if (this.#sshd && this.#sshd.exitCode === null) {
      const gone = once(this.#sshd, 'exit')
      this.#sshd.kill()
      await gone
    }
    rmSync(this.dir, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Seconds that a batch of sftp takes. */
async function seconds(dir: string, args: readonly string[], batch: string): Promise<number> {
  const file = join(dir, 'batch')
  writeFileSync(file, batch)
  const start = performance.now()
  const { code, stderr } = await run('sftp', ['-b', file, ...args])
  if (code !== 0) throw new Error(`sftp: exit ${String(code)}: ${stderr}`)
  return (performance.now() - start) / 1000
}

/**
 * @param login of the pod
 * @param prepare runs once on each side; @param work is timed
 * @param amount what one run moves, in `unit` per second of the row
 */
function sftpBench(name: string, login: string, goal: Goal, unit: string, amount: number, prepare: Script, work: Script): FileBench {
  return {
    name,
    goal,
    measure: async (world, bench) => {
      const reference = await new Reference().start()
      try {
        const { dir } = reference
        const far = `/tmp/dockin-bench-${process.pid}`
        const options = world.options().filter((each) => each !== '-q')
        const ours = ['-q', ...options, '-P', String(world.sshPort), '-o', `User=${login}`, '127.0.0.1']
        makeFiles(dir)
        for (const args of [reference.args(), ours]) await seconds(dir, args, `-mkdir ${far}\n${prepare(dir, far)}`)
        const before = residentBytes(world)
        const rate = (args: readonly string[]) => async () => amount / (await seconds(dir, args, work(dir, far)))
        const row = await measurePair(bench.name, unit, bench.goal, rate(reference.args()), rate(ours), PAIRS)
        const grown = (residentBytes(world) - before) / 2 ** 20
        await run('ssh', [...world.options(), '-p', String(world.sshPort), '-l', login, '127.0.0.1', `rm -rf ${far}`])
        rmSync(far, { recursive: true, force: true })
        return { ...row, note: `${row.note}; gateway ${grown >= 0 ? '+' : ''}${grown.toFixed(0)} MiB` }
      } finally {
        await reference.stop()
      }
    },
  }
}
type Script = (near: string, far: string) => string

function makeFiles(dir: string): void {
  mkdirSync(join(dir, 'small'))
  writeFileSync(join(dir, 'big'), Buffer.alloc(BIG_BYTES, 'dockin'))
  for (let i = 0; i < SMALL_FILES; i++) writeFileSync(join(dir, 'small', `f${i}`), `small file ${i}`)
}
function residentBytes(world: World): number {
  const status = readFileSync(`/proc/${world.gateway.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
}

const MB = BIG_BYTES / 1e6
const NOTHING: Script = () => ''
/** @param login of a pod, as ssh takes it */
export function fileBenches(login: string): readonly FileBench[] {
  return [
    sftpBench('sftp put of 300 MB, against sshd here', login, atLeast(0.8), 'MB/s', MB, NOTHING, (near, far) => `put ${near}/big ${far}/big\n`),
    sftpBench(
      'sftp get of 300 MB, against sshd here',
      login,
      atLeast(0.8),
      'MB/s',
      MB,
      (near, far) => `put ${near}/big ${far}/big\n`,
      (near, far) => `get ${far}/big ${near}/back\n`,
    ),
    sftpBench(
      `sftp put of ${SMALL_FILES} small files`,
      login,
      atLeast(0.5),
      'files/s',
      SMALL_FILES,
      (_near, far) => `-mkdir ${far}/small\n`,
      (near, far) => `put ${near}/small/* ${far}/small/\n`,
    ),
    sftpBench(
      `sftp get of ${SMALL_FILES} small files`,
      login,
      atLeast(0.5),
      'files/s',
      SMALL_FILES,
      (near, far) => `-mkdir ${far}/small\nput ${near}/small/* ${far}/small/\n-lmkdir ${near}/got\n`,
      (near, far) => `get ${far}/small/* ${near}/got/\n`,
    ),
  ]
}

/**
 * `npm run bench`: each goal beside its reference in one run, with recording and audit on.
 * Needs cluster a (and says so when it is not there). `--json FILE` also writes the rows; `--only TEXT` picks rows.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Client } from 'ssh2'
import { kubeconfigOf, needs } from '../test/support/need.js'
import { repository, run, World } from '../test/support/world.js'
import { auditBenches } from './audit.js'
import { batchBenches } from './batch.js'
import { consoleBenches } from './console.js'
import { fileBenches } from './files.js'
import { guardBenches } from './guard.js'
import { atLeast, atMost, type Goal, measurePair, pairedRow, printTable, type Row, skippedRow } from './pair.js'

const LOGIN = 'alice+web-0.shop.a'
const BULK_BYTES = 300_000_000
const KUBECTL = ['--kubeconfig', kubeconfigOf('a'), 'exec', '-n', 'shop', 'web-0', '-c', 'web']

const { values } = parseArgs({ options: { json: { type: 'string' }, only: { type: 'string' } } })

interface Bench {
  readonly name: string
  readonly goal: Goal
  readonly measure: (world: World, bench: Bench) => Promise<Row>
}

async function timed(work: () => Promise<{ code: number | null; stderr: string }>): Promise<number> {
  const start = performance.now()
  const { code, stderr } = await work()
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`)
  return performance.now() - start
}

/**
 * MB/s of a program that writes BULK_BYTES to /dev/null, or reads them from a file in memory: no process of the benchmark
 * stands in the way of either.
 */
async function bulk(command: string, args: readonly string[], input?: string): Promise<number> {
  const source = input === undefined ? undefined : openSync(input, 'r')
  const start = performance.now()
  const child = spawn(command, args, { stdio: [source ?? 'ignore', 'ignore', 'inherit'] })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (source !== undefined) closeSync(source)
  if (code !== 0) throw new Error(`${command}: exit ${String(code)}`)
  return BULK_BYTES / 1e6 / ((performance.now() - start) / 1000)
}

const ssh = (world: World, ...rest: string[]): string[] => [...world.options(), '-p', String(world.sshPort), '-l', LOGIN, ...rest]

async function connect(world: World, bench: Bench): Promise<Row> {
  const reference = (): Promise<number> => timed(() => run('kubectl', [...KUBECTL, '--', 'true']))
  return measurePair(bench.name, 'ms', bench.goal, reference, () => timed(() => run('ssh', ssh(world, '127.0.0.1', 'true'))), 15)
}

async function multiplexed(world: World, bench: Bench): Promise<Row> {
  const shared = ['-o', `ControlPath=${world.dir}/bench-%C`]
  await run('ssh', ssh(world, '-M', '-N', '-f', ...shared, '127.0.0.1'))
  try {
    const reference = (): Promise<number> => timed(() => run('kubectl', [...KUBECTL, '--', 'true']))
    return await measurePair(bench.name, 'ms', bench.goal, reference, () => timed(() => run('ssh', ssh(world, ...shared, '127.0.0.1', 'true'))), 15)
  } finally {
    await run('ssh', ssh(world, '-O', 'exit', ...shared, '127.0.0.1'))
  }
}

async function keyEcho(world: World, bench: Bench): Promise<Row> {
  const reference = ['kubectl', ...KUBECTL.slice(0, 3), '-it', ...KUBECTL.slice(3), '--', 'bash']
  const argv = [join(repository, 'bench/echo.py'), '15', '26', ...reference, '--over--', 'ssh', ...ssh(world, '-tt', '127.0.0.1')]
  const { stdout, stderr, code } = await run('python3', argv)
  if (code !== 0) throw new Error(stderr)
  const pairs = JSON.parse(stdout.toString()) as [reference: number, ours: number][]
  return pairedRow(
    bench.name,
    'ms',
    bench.goal,
    pairs.map(([kubectl, ours]) => ({ reference: kubectl, ours })),
  )
}

async function bulkOut(world: World, bench: Bench): Promise<Row> {
  const produce = `head -c ${BULK_BYTES} /dev/zero`
  return measurePair(
    bench.name,
    'MB/s',
    bench.goal,
    () => bulk('kubectl', [...KUBECTL, '--', 'sh', '-c', produce]),
    () => bulk('ssh', ssh(world, '127.0.0.1', produce)),
    7,
  )
}
async function bulkIn(world: World, bench: Bench): Promise<Row> {
  const file = `/dev/shm/dockin-bench-${process.pid}`
  writeFileSync(file, Buffer.alloc(BULK_BYTES))
  // the program says how much it got: an exit status of 0 alone would also follow a cut
  const consume = `test "$(wc -c)" = ${BULK_BYTES}`
  const kubectl = [...KUBECTL.slice(0, 3), '-i', ...KUBECTL.slice(3), '--', 'sh', '-c', consume]
  try {
    return await measurePair(
      bench.name,
      'MB/s',
      bench.goal,
      () => bulk('kubectl', kubectl, file),
      () => bulk('ssh', ssh(world, '127.0.0.1', consume), file),
      7,
    )
  } finally {
    rmSync(file)
  }
}

/** Opens idle recorded shells over connections of their own and reads the gateway's resident memory. */
async function idleMemory(world: World, bench: Bench): Promise<Row> {
  const WARM_UP = 30
  const COUNT = 100
  const clients: Client[] = []
  try {
    for (let i = 0; i < WARM_UP; i++) clients.push(await idleShell(world))
    const before = residentBytes(world)
    for (let i = 0; i < COUNT; i++) clients.push(await idleShell(world))
    const each = (residentBytes(world) - before) / COUNT / 2 ** 20
    return {
      name: bench.name,
      unit: 'MiB',
      ours: each,
      goal: bench.goal.text,
      verdict: bench.goal.met(each, each) ? 'met' : 'MISSED',
      note: `${COUNT} shells beyond ${WARM_UP}`,
    }
  } finally {
    for (const client of clients) client.destroy()
  }
}
function residentBytes(world: World): number {
  const status = readFileSync(`/proc/${world.gateway.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
}
function idleShell(world: World): Promise<Client> {
  const client = new Client()
  return new Promise((resolve, reject) => {
    client.on('error', reject)
    client.on('ready', () => {
      client.shell({ term: 'xterm' }, (error, channel) => {
        if (error) return reject(error)
        channel.once('data', () => resolve(client))
        channel.resume()
      })
    })
    client.connect({ host: '127.0.0.1', port: world.sshPort, username: LOGIN, privateKey: readFileSync(world.keyFile) })
  })
}

const BENCHES: readonly Bench[] = [
  { name: 'connect and run true, against kubectl exec', goal: atMost(0.8), measure: connect },
  { name: 'the same over a ControlMaster', goal: atMost(0.5), measure: multiplexed },
  { name: 'key echo in a plain shell, against kubectl exec -it', goal: atMost(0.8), measure: keyEcho },
  { name: 'stdout of 300 MB, against kubectl exec', goal: atLeast(1.3), measure: bulkOut },
  { name: 'stdin of 300 MB, against kubectl exec', goal: atLeast(1.8), measure: bulkIn },
  { name: 'memory of a recorded idle shell', goal: { text: '≤ 0.5 MiB', met: (_ratio, ours) => ours <= 0.5 }, measure: idleMemory },
  ...fileBenches(LOGIN),
  ...guardBenches(),
  ...batchBenches(),
  ...auditBenches(),
  ...consoleBenches(),
]

async function main(): Promise<void> {
  const chosen = BENCHES.filter(({ name }) => values.only === undefined || name.includes(values.only))
  const missing = needs.cluster('a') || needs.docker('a') || needs.program('ssh')
  const rows: Row[] = []
  if (missing) rows.push(...chosen.map(({ name, goal }) => skippedRow(name, goal.text, missing)))
  else {
    const world = new World()
    const hostKeys = [join(world.dir, 'host_ed25519'), join(world.dir, 'host_ecdsa')]
    await world.start({ clusters: ['a'], config: { ssh: { listen: '127.0.0.1:0', hostKeys, maxConnectionsPerAddress: 4000 } } })
    try {
      for (const bench of chosen) {
        console.error(`measuring: ${bench.name}`)
        rows.push(
          await bench
            .measure(world, bench)
            .catch((error: unknown) => skippedRow(bench.name, bench.goal.text, `failed: ${error instanceof Error ? error.message : String(error)}`)),
        )
      }
    } finally {
      await world.stop()
    }
  }
  console.log(printTable(rows))
  const report = { date: new Date().toISOString(), node: process.version, cores: cpus().length, memoryBytes: totalmem(), rows }
  const json = `${JSON.stringify(report, null, 2)}\n`
  if (values.only === undefined && !missing) writeFileSync(join(repository, 'bench/results.json'), json)
  if (values.json !== undefined) writeFileSync(values.json, json)
}

await main()

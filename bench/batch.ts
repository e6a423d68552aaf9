/** Row of the batch client: `dockctl exec` of `true` in 200 pods, from start to exit, every one decided, recorded and on disk. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashPassword } from '../src/identity/password.js'
import { repository, run, startProgram, stopProgram } from '../test/support/world.js'
import { type Goal, median, type Row } from './pair.js'

const PODS = 200
const RUNS = 3
const GOAL_MS = 3000
const PASSWORD = 'correct horse'

interface Named {
  readonly name: string
  readonly goal: Goal
}

export function batchBenches(): readonly (Named & { readonly measure: (world: unknown, bench: Named) => Promise<Row> })[] {
  return [{ name: `dockctl exec true in ${PODS} local pods`, goal: { text: `≤ ${GOAL_MS} ms`, met: (_ratio, ours) => ours <= GOAL_MS }, measure: manyPods }]
}

async function manyPods(_world: unknown, { name, goal }: Named): Promise<Row> {
  const dir = mkdtempSync(join(process.env.DOCKIN_BENCH_DIR ?? '/var/tmp', 'dockin-bench-'))
  const pods = Array.from({ length: PODS }, (_, i) => `web-${i}`)
  const config = {
    dataDir: join(dir, 'data'),
    ssh: { listen: '127.0.0.1:0', hostKeys: [join(dir, 'host')] },
    http: { listen: '127.0.0.1:0' },
    clusters: [{ name: 'many', local: { pods } }],
    users: [{ name: 'alice', groups: ['sre'], password: await hashPassword(PASSWORD, { memoryKib: 1024, passes: 1 }), roles: ['admin'] }],
    rules: [{ name: 'all', who: { groups: ['sre'] }, where: [{ cluster: '*', namespace: '*' }] }],
  }
  writeFileSync(join(dir, 'opserver.yaml'), JSON.stringify(config))
  mkdirSync(join(dir, 'home'))
  const env = { PATH: process.env.PATH, HOME: join(dir, 'home'), LANG: 'C.UTF-8' }
  const client = (program: string, args: readonly string[], input = '') =>
    run(process.execPath, [join(repository, 'dist/src/cli', `${program}.js`), ...args], input, env)
  const gateway = await startProgram('src/main.js', ['--config', join(dir, 'opserver.yaml')])
  try {
    const url = `http://127.0.0.1:${/http=[^ ]*:(\d+)/.exec(gateway.ready)?.[1]}`
    await client('opsctl', ['login', url, '-u', 'alice', '--password-stdin'], `${PASSWORD}\n`)
    const times: number[] = []
    for (let i = 0; i <= RUNS; i++) {
      const begin = performance.now()
      const { code, stdout, stderr } = await client('dockctl', ['exec', 'web-*', '--', 'true'])
      if (code !== 0 || !stdout.toString().includes(`${PODS} pods, exit 0`)) throw new Error(`dockctl exec: exit ${code}: ${stderr}`)
      if (i > 0) times.push(performance.now() - begin) // the first one warms the gateway up
    }
    const ours = median(times)
    return { name, unit: 'ms', ours, goal: goal.text, verdict: goal.met(ours, ours) ? 'met' : 'MISSED', note: `${RUNS} runs, 32 at once` }
  } finally {
    await stopProgram(gateway)
    rmSync(dir, { recursive: true, force: true })
  }
}

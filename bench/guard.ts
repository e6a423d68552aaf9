/** The guarded shell beside plain ones: keys, Enter, and what a verdict costs. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandRule } from '../src/core/types.js'
import { judge } from '../src/policy/judge.js'
import { kubeconfigOf } from '../test/support/need.js'
import { repository, run, World } from '../test/support/world.js'
import { atMost, type Goal, median, pairedRow, type Row } from './pair.js'

interface GuardBench {
  readonly name: string
  readonly goal: Goal
  readonly measure: (world: World, bench: GuardBench) => Promise<Row>
}

const KUBECTL = ['kubectl', '--kubeconfig', kubeconfigOf('a'), 'exec', '-n', 'shop', '-it', 'web-0', '-c', 'web', '--', 'bash']
const TARGET = '+web-0.shop.a+web'

/** A gateway of its own, with a person whose shell is guarded and one whose shell is not. */
async function guardedWorld(): Promise<{ readonly world: World; readonly ssh: (user: string) => string[] }> {
  const world = new World()
  const keyFile = join(world.dir, 'bench')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile])
  const keys = [readFileSync(`${keyFile}.pub`, 'utf8').trim()]
  const where = [{ cluster: '*', namespace: '*' }]
  await world.start({
    clusters: ['a'],
    users: [
      { name: 'gina', keys },
      { name: 'paul', keys },
    ],
    rules: [
      { name: 'guarded', who: { users: ['gina'] }, where, commands: { deny: ['rm'], shell: ['bash'] } },
      { name: 'plain', who: { users: ['paul'] }, where },
    ],
  })
  return { world, ssh: (user) => ['ssh', ...world.options({ keyFile }), '-p', String(world.sshPort), '-tt', '-l', `${user}${TARGET}`, '127.0.0.1'] }
}

async function inTurn(what: 'echo' | 'enter', rounds: number, count: number, reference: readonly string[], ours: readonly string[]) {
  const argv = [join(repository, 'bench/guard-echo.py'), what, String(rounds), String(count), ...reference, '--over--', ...ours]
  const { stdout, stderr, code } = await run('python3', argv)
  if (code !== 0) throw new Error(stderr)
  return (JSON.parse(stdout.toString()) as [number, number][]).map(([first, second]) => ({ reference: first, ours: second }))
}

async function keyEcho(_world: World, bench: GuardBench): Promise<Row> {
  const { world, ssh } = await guardedWorld()
  try {
    return pairedRow(bench.name, 'ms', bench.goal, await inTurn('echo', 15, 24, KUBECTL, ssh('gina')))
  } finally {
    await world.stop()
  }
}

const MOST_BEYOND_MS = 3
async function enter(_world: World, bench: GuardBench): Promise<Row> {
  const { world, ssh } = await guardedWorld()
  try {
    const pairs = await inTurn('enter', 7, 15, ssh('paul'), ssh('gina'))
    const beyond = median(pairs.map(({ reference, ours }) => ours - reference))
    const row = pairedRow(bench.name, 'ms', bench.goal, pairs)
    return { ...row, verdict: beyond <= MOST_BEYOND_MS ? 'met' : 'MISSED', note: `${beyond.toFixed(2)} ms beyond the plain shell, ${row.note}` }
  } finally {
    await world.stop()
  }
}

const BLACK: CommandRule = {
  mode: 'deny',
  entries: ['rm', 'dd', 'mkfs', 'shutdown'].map((cmd) => ({ cmd, flags: [], path: [] })),
  opaque: false,
  escapeCapable: false,
  shells: ['bash'],
}
const ROUNDS = 20
const MOST_VERDICT_MS = 1

/** Every line of the corpus (and of our own cases), warm, each timed by itself. */
async function verdict(_world: World, bench: GuardBench): Promise<Row> {
  const lines = [join(repository, '../shared/corpus/commands.json'), join(repository, 'test/e2e/cases.json')]
    .filter((file) => existsSync(file))
    .flatMap(linesOf)
  const times: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    for (const line of lines) {
      const began = performance.now()
      judge(line, BLACK, { dialect: 'bash', cwd: '/srv' })
      if (round > 0) times.push(performance.now() - began)
    }
  }
  times.sort((a, b) => a - b)
  const p99 = times[Math.floor(times.length * 0.99)] ?? Number.NaN
  const note = `p50 ${(median(times) * 1000).toFixed(0)} us, ${lines.length} lines, ${ROUNDS} rounds`
  return { name: bench.name, unit: 'ms', ours: p99, goal: bench.goal.text, verdict: bench.goal.met(p99, p99) ? 'met' : 'MISSED', note }
}

function linesOf(file: string): string[] {
  const value = JSON.parse(readFileSync(file, 'utf8')) as { cases?: unknown[] } | unknown[]
  const cases = (Array.isArray(value) ? value : (value.cases ?? [])) as { expected_logged_lines?: string[] }[]
  return cases.flatMap(({ expected_logged_lines: lines }) => lines ?? [])
}

/** Rows of the guarded shell; each brings its own gateway. */
export function guardBenches(): readonly GuardBench[] {
  return [
    { name: 'key echo in a guarded shell, against kubectl exec -it', goal: atMost(0.3), measure: keyEcho },
    { name: 'Enter to the next prompt, guarded against plain', goal: { text: `≤ ${MOST_BEYOND_MS} ms beyond plain`, met: () => true }, measure: enter },
    { name: 'verdict of a command line, p99', goal: { text: `< ${MOST_VERDICT_MS} ms`, met: (_ratio, ours) => ours < MOST_VERDICT_MS }, measure: verdict },
  ]
}

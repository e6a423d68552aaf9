/**
 * The claim behind the guarded shell: what a shell runs for an allowed line, the analyser has named. Random lines are judged;
 * the allowed ones run in bash, dash and busybox ash with stubs for programs, and lines of exec doors in whatever /bin/sh may be:
 * bash, bash --posix, dash, busybox ash and mksh. A call that was not foretold is a failure.
 * Every run has a new seed, which is printed; seeds that failed once are kept in seeds.json and run first.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { needs } from '../../support/need.js'
import { deny, judged } from '../support/lines.js'
import { Generator } from './generator.js'
import { Sandbox, SHELLS, type Shell } from './shells.js'

const SEEDS = fileURLToPath(new URL('seeds.json', import.meta.url))
const known = readSeeds()
const SECONDS = Number(process.env.SOUNDNESS_SECONDS ?? 3)
const start = Number(process.env.SOUNDNESS_SEED ?? Date.now() % 1_000_000_000)
const RULE = deny([])
const BATCH = 40

function readSeeds(): { shell: string; seed: number }[] {
  return JSON.parse(readFileSync(SEEDS, 'utf8'))
}
interface Candidate {
  readonly seed: number
  readonly line: string
  readonly commands: readonly (readonly string[])[]
}
function candidate(seed: number, shell: Shell): Candidate | undefined {
  // A line for any shell must hold in both grammars (policy.ts); every other one is written in bash's.
  const line = new Generator(seed, shell.dialect === 'any' ? (seed % 2 === 0 ? 'bash' : 'posix') : shell.dialect).line()
  const dialects = shell.dialect === 'any' ? (['posix', 'bash'] as const) : ([shell.dialect] as const)
  const [judgement, ...others] = dialects.map((dialect) => judged(line, RULE, dialect, { cwd: '/tmp' }))
  if (judgement?.verdict !== 'allow' || others.some(({ verdict }) => verdict !== 'allow')) return undefined
  return { seed, line, commands: judgement.commands }
}

/** An argument list that only the shell knows is any list that keeps to what was constant in it. */
function foretold(call: readonly string[], commands: readonly (readonly string[])[]): boolean {
  return commands.some((command) => {
    if (command[0] !== call[0]) return false
    const open = command.some((word) => /[…*?[~]/.test(word))
    return open ? matches(call, command) : command.length === call.length && command.every((word, i) => word === call[i])
  })
}
/** Every constant word must appear, in order. */
function matches(call: readonly string[], command: readonly string[]): boolean {
  let at = 0
  for (const word of command) {
    if (/[…*?[~]/.test(word)) continue
    const found = call.indexOf(word, at)
    if (found < 0) return false
    at = found + 1
  }
  return true
}

async function check(sandbox: Sandbox, shell: Shell, candidates: readonly Candidate[]): Promise<{ checked: number; failures: string[]; seeds: number[] }> {
  const lines = candidates.map(({ line }) => line)
  const { calls, finished } = await sandbox.run(shell, lines, 5_000)
  const failures: string[] = []
  const seeds: number[] = []
  const everything = candidates.flatMap(({ commands }) => commands)
  calls.forEach((ran, i) => {
    const { commands, line, seed } = candidates[i] ?? { commands: everything, line: 'one of the batch', seed: candidates[0]?.seed ?? 0 }
    const surprise = ran.find((call) => !foretold(call, commands))
    if (!surprise) return
    seeds.push(seed)
    failures.push(`${shell.name} seed ${seed}: ${JSON.stringify(line)} ran ${JSON.stringify(surprise)}, foretold ${JSON.stringify(commands)}`)
  })
  if (finished >= candidates.length - 1) return { checked: finished, failures, seeds }
  // The line at `finished` does not end; those after it have not run yet.
  const rest = await check(sandbox, shell, candidates.slice(finished + 1))
  return { checked: finished + rest.checked, failures: [...failures, ...rest.failures], seeds: [...seeds, ...rest.seeds] }
}

function keep(shell: Shell, seeds: readonly number[]): void {
  const all = [...readSeeds(), ...seeds.map((seed) => ({ shell: shell.name, seed }))]
  writeFileSync(SEEDS, `${JSON.stringify(all)}\n`)
}

describe('soundness', { skip: needs.program('dash') || needs.program('busybox') }, () => {
  const sandbox = new Sandbox()
  after(() => sandbox.close())
  for (const shell of SHELLS) {
    test(`${shell.name} runs nothing that the analyser did not name`, { skip: needs.program(shell.argv[0]?.split('/').at(-1) ?? '') }, async (t) => {
      const again = known.filter((each) => each.shell === shell.name).flatMap(({ seed }) => candidate(seed, shell) ?? [])
      const first = await check(sandbox, shell, again)
      assert.deepEqual(first.failures, [], 'a seed of seeds.json fails again')
      const until = Date.now() + SECONDS * 1000
      let seed = start
      let checked = 0
      let judgedLines = 0
      while (Date.now() < until) {
        const batch: Candidate[] = []
        while (batch.length < BATCH) {
          const next = candidate(seed++, shell)
          judgedLines++
          if (next) batch.push(next)
        }
        const { failures, seeds, checked: ran } = await check(sandbox, shell, batch)
        if (seeds.length > 0) keep(shell, seeds)
        assert.deepEqual(failures, [])
        checked += ran
      }
      assert.ok(checked > 0, 'no line ran')
      t.diagnostic(`${shell.name}: seeds ${start}..${seed - 1}, ${judgedLines} lines judged, ${checked} allowed and run, none surprised`)
    })
  }
})

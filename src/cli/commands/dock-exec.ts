/** dockctl exec: one command in many pods. */
import { writeFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { parseDuration, parseSize } from '../../core/units.js'
import { batchExit, type Outcome } from '../batch/outcome.js'
import { type BatchFacts, jsonReport, junitReport } from '../batch/report.js'
import { type BatchMemory, BatchState, readBatchState } from '../batch/state.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, say } from '../cli.js'
import { newBatchId, statePath } from '../dock/batch-files.js'
import { execInPod } from '../dock/exec-one.js'
import { findPods } from '../dock/find-pods.js'
import { runBatchAtTerminal, settleState } from '../dock/run-batch.js'
import { type PodItem, podFromId, podName } from '../dock/selector.js'
import { countsText, resultsText } from '../dock/show.js'
import { UsageError } from '../problem.js'
import { exitWith, wholeNumber } from '../program.js'
import { isTerminal } from '../streams.js'
import { jsonText } from '../text/output.js'
import { safe } from '../text/safe.js'

interface DockExecOptions extends GlobalOptions {
  readonly container?: string
  readonly dcn?: string
  readonly parallel: number
  readonly timeout: number
  readonly canary: number
  readonly failFast?: boolean
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly max: number
  readonly maxOutput: number
  readonly output: 'text' | 'json'
  readonly junit?: string
  readonly each?: boolean
  readonly resume?: string
  readonly rerunInterrupted?: boolean
  readonly rerunFailed?: boolean
}

/** On top of the time limit that the gateway keeps: when it does not answer either. */
const LATE_MS = 15_000

export function addDockExec(program: Command, cli: Cli): void {
  program
    .command('exec')
    .description('run a command in many pods, each decided, recorded and reported on its own')
    .argument('[selector...]', 'subsystem, id, IP, node, pod name (with *), CLUSTER/NAMESPACE/POD or label=value')
    .option('-c, --container <name>', 'container (default: the one that each pod names)')
    .option('--dcn <list>', 'only in these DCNs, separated by commas')
    .option('-p, --parallel <n>', 'how many at once', wholeNumber('--parallel', 1), 32)
    .option('--timeout <time>', 'limit of each pod', duration, 60_000)
    .option('--canary <n>', 'run on so many first, show, and ask before the rest', wholeNumber('--canary'), 0)
    .option('--fail-fast', 'start no more after the first pod that does not succeed')
    .option('--dry-run', 'say which pods it would be')
    .option('-y, --yes', 'do not ask: go on if the whole canary succeeded')
    .option('--max <n>', 'most pods', wholeNumber('--max', 1), 500)
    .option('--max-output <size>', 'most output of each pod that is kept', size, 1024 * 1024)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .option('--junit <file>', 'write JUnit XML too')
    .option('--each', 'a block for each pod, in place of one for equal results')
    .option('--resume <batch>', 'go on with a batch that was interrupted')
    .option('--rerun-interrupted', 'with --resume: run again where it may have run already')
    .option('--rerun-failed', 'with --resume: run again where it did not succeed')
    .addHelpText(
      'after',
      '\nExamples:\n  dockctl exec shop-web -- uptime\n  dockctl exec app=web --canary 2 --fail-fast -- /opt/app/reload\n  dockctl exec --resume b-20261123-101502-9f3a1c',
    )
    .action((words: string[], options: DockExecOptions, command: Command) => dockExec(cli, splitWords(words, command), options))
}

function duration(text: string): number {
  return checked(() => parseDuration(text))
}
function size(text: string): number {
  return checked(() => parseSize(text))
}
function checked(parse: () => number): number {
  try {
    return parse()
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

interface Words {
  readonly selectors: readonly string[]
  readonly argv: readonly string[]
}

/** What stands behind `--` is the command. commander drops the mark; it is found again in what was typed. */
function splitWords(words: readonly string[], command: Command): Words {
  let root = command
  while (root.parent) root = root.parent
  const typed = rawArgs(root)
  const mark = typed.indexOf('--')
  const argv = mark < 0 ? [] : typed.slice(mark + 1)
  return { selectors: words.slice(0, words.length - argv.length), argv }
}

/** commander's own list of what was typed; public in fact, absent from its types. */
function rawArgs(root: Command): readonly string[] {
  const raw: unknown = Reflect.get(root, 'rawArgs')
  return Array.isArray(raw) ? (raw as string[]) : []
}

async function dockExec(cli: Cli, { selectors, argv }: Words, options: DockExecOptions): Promise<void> {
  if (options.resume !== undefined) {
    if (selectors.length > 0 || argv.length > 0) throw new UsageError('--resume takes pods and command from the batch: leave them out')
    return resume(cli, options.resume, options)
  }
  if (selectors.length === 0) throw new UsageError('name the pods: dockctl exec SELECTOR -- COMMAND')
  if (argv.length === 0) throw new UsageError('name the command behind --: dockctl exec SELECTOR -- COMMAND')
  const gateway = await gatewayOf(cli, options)
  const pods = await findPods(gateway, selectors, options)
  if (options.dryRun) return dryRun(cli, pods, argv, options)
  const facts: BatchFacts = { batch: newBatchId(new Date()), command: argv, startedAt: new Date(), ms: 0 }
  const path = await statePath(cli.streams.env, facts.batch)
  const plan = { batch: facts.batch, command: argv, startedAt: facts.startedAt.toISOString(), items: pods.map(({ id }) => id) }
  const state = await BatchState.create(path, plan)
  return run(cli, gateway, { facts, pods, known: new Map(), state, path }, options)
}

async function resume(cli: Cli, batch: string, options: DockExecOptions): Promise<void> {
  const path = await statePath(cli.streams.env, batch)
  const memory = await readBatchState(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ENOENT' ? new UsageError(`no batch "${batch}" is waiting to be resumed`) : error
  })
  const all = memory.plan.items.map(podFromId)
  const known = settled(all, memory, options)
  const pods = all.filter((pod) => !known.has(pod))
  if (options.dryRun) return dryRun(cli, pods, memory.plan.command, options)
  const facts: BatchFacts = { batch, command: memory.plan.command, startedAt: new Date(memory.plan.startedAt), ms: 0 }
  const gateway = await gatewayOf(cli, options)
  return run(cli, gateway, { facts, pods, known, state: await BatchState.reopen(path), path }, options)
}

/** Pods that are not run again: done, or perhaps done. */
function settled(pods: readonly PodItem[], memory: BatchMemory, options: DockExecOptions): Map<PodItem, Outcome> {
  const known = new Map<PodItem, Outcome>()
  for (const pod of pods) {
    const outcome = memory.done.get(pod.id)
    if (outcome && !(options.rerunFailed && !(outcome.kind === 'exited' && outcome.code === 0))) known.set(pod, outcome)
    const message = 'it was running when the batch was interrupted, and may have run; --rerun-interrupted runs it again'
    if (!outcome && memory.unknown.has(pod.id) && !options.rerunInterrupted) known.set(pod, { kind: 'interrupted', message, ms: 0 })
  }
  return known
}

interface BatchJob {
  readonly facts: BatchFacts
  readonly pods: readonly PodItem[]
  /** From an earlier run. */
  readonly known: ReadonlyMap<PodItem, Outcome>
  readonly state: BatchState
  readonly path: string
}

async function run(cli: Cli, gateway: Gateway, job: BatchJob, options: DockExecOptions): Promise<void> {
  const begun = performance.now()
  const command = { argv: job.facts.command, batch: job.facts.batch, timeoutMs: options.timeout, maxOutputBytes: options.maxOutput }
  const fresh = await runBatchAtTerminal(cli, {
    pods: job.pods,
    parallel: options.parallel,
    timeoutMs: options.timeout + LATE_MS,
    failFast: options.failFast ?? false,
    canary: options.canary,
    yes: options.yes ?? false,
    state: job.state,
    run: (pod, signal) => execInPod(gateway.connection, pod, command, signal),
  })
  const outcomes = new Map([...job.known, ...fresh])
  const facts = { ...job.facts, ms: Math.round(performance.now() - begun) }
  await report(cli, facts, outcomes, options)
  const kept = await settleState(job.path, job.state, outcomes.values())
  const hint = kept === 'kept' ? `; go on with: dockctl exec --resume ${facts.batch}` : ''
  say(cli, `${countsText(outcomes.values())} (batch ${facts.batch}, ${(facts.ms / 1000).toFixed(1)} s)${hint}\n`)
  exitWith(batchExit([...outcomes.values()]))
}

async function report(cli: Cli, facts: BatchFacts, outcomes: ReadonlyMap<PodItem, Outcome>, options: DockExecOptions): Promise<void> {
  if (options.junit !== undefined) await writeFile(options.junit, junitReport(facts, outcomes))
  if (options.output === 'json') await out(cli, jsonText(jsonReport(facts, outcomes)))
  else await out(cli, resultsText(outcomes, { paint: cli.paint, isTerminal: isTerminal(cli.streams.stdout), each: options.each ?? false }))
}

async function dryRun(cli: Cli, pods: readonly PodItem[], argv: readonly string[], options: DockExecOptions): Promise<void> {
  if (options.output === 'json') return out(cli, jsonText({ command: argv, targets: pods.map(({ id }) => id) }))
  await out(cli, pods.map((pod) => `${safe(podName(pod))}\n`).join(''))
  say(cli, `Would run in ${pods.length} ${pods.length === 1 ? 'pod' : 'pods'}: ${safe(argv.join(' '))}\n`)
}

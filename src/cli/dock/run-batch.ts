/** A batch at a terminal: progress, questions, Ctrl-C, the state file. What runs in a pod is handed in. */
import { rm } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { BatchControl, type BatchOptions, runBatch } from '../batch/engine.js'
import { type Outcome, succeeded } from '../batch/outcome.js'
import type { BatchState } from '../batch/state.js'
import { type Cli, out, say } from '../cli.js'
import { UsageError } from '../problem.js'
import { isTerminal } from '../streams.js'
import { confirm } from '../terminal/prompt.js'
import { StatusLine } from '../terminal/status-line.js'
import { safe } from '../text/safe.js'
import { type PodItem, podName } from './selector.js'
import { countsText, resultsText } from './show.js'

export interface BatchAsk extends BatchOptions {
  readonly pods: readonly PodItem[]
  readonly run: (pod: PodItem, signal: AbortSignal) => Promise<Outcome>
  /** Answers yes to the question after the canary, if all of it succeeded. */
  readonly yes: boolean
  /** Undefined: nothing is remembered. */
  readonly state?: BatchState | undefined
}

/** Runs it; Ctrl-C once starts nothing more, twice ends what runs. */
export async function runBatchAtTerminal(cli: Cli, ask: BatchAsk): Promise<ReadonlyMap<PodItem, Outcome>> {
  if (ask.canary > 0 && ask.canary < ask.pods.length && !ask.yes && !isTerminal(cli.streams.stdin)) {
    throw new UsageError('--canary asks before the rest, and stdin is not a terminal: add --yes')
  }
  const control = new BatchControl()
  const line = new StatusLine(cli.streams.stderr)
  const tally = new Tally(ask.pods.length)
  const release = onSignals(control, (text) => line.print(text), tally)
  try {
    return await runBatch(
      ask.pods,
      ask,
      {
        run: ask.run,
        starting: async (pod) => {
          await ask.state?.starting(pod.id)
          tally.running++
        },
        finished: async (pod, outcome) => {
          await ask.state?.finished(pod.id, outcome)
          tally.count(outcome)
          line.update(tally.text(podName(pod)))
        },
        confirm: async (outcomes) => {
          line.clear()
          return goOn(cli, outcomes, ask)
        },
      },
      control,
    )
  } finally {
    release()
    line.clear()
  }
}

async function goOn(cli: Cli, outcomes: ReadonlyMap<PodItem, Outcome>, ask: BatchAsk): Promise<boolean> {
  const good = [...outcomes.values()].every(succeeded)
  if (ask.yes) {
    if (!good) say(cli, 'The canary did not succeed: the rest is not started.\n')
    return good
  }
  await out(cli, resultsText(outcomes, { paint: cli.paint, isTerminal: isTerminal(cli.streams.stdout), each: false }))
  const rest = ask.pods.length - outcomes.size
  return confirm(cli.streams, `Canary: ${countsText(outcomes.values())}. Go on with the other ${rest}?`)
}

class Tally {
  running = 0
  #done = 0
  #bad = 0
  readonly #total: number
  readonly #begun = performance.now()

  constructor(total: number) {
    this.#total = total
  }

  count(outcome: Outcome): void {
    if (outcome.kind !== 'skipped') this.running--
    this.#done++
    if (!succeeded(outcome)) this.#bad++
  }

  text(last: string): string {
    const seconds = ((performance.now() - this.#begun) / 1000).toFixed(1)
    const bad = this.#bad > 0 ? `, ${this.#bad} not well` : ''
    return `${this.#done}/${this.#total} done${bad}, ${this.running} running, ${seconds} s  ${safe(last)}`
  }
}

/** @returns the way to stop listening */
function onSignals(control: BatchControl, print: (text: string) => void, tally: Tally): () => void {
  const onInterrupt = (): void => {
    if (control.all.aborted) process.exit(130)
    if (control.starting.aborted) {
      control.stopAll('stopped by Ctrl-C')
      print('Ending what runs.\n')
    } else {
      control.stopStarting('stopped by Ctrl-C')
      print(`Starting no more; ${tally.running} run to their end. Ctrl-C again ends them.\n`)
    }
  }
  const onTerminate = (): void => control.stopAll('stopped by a signal')
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate).on('SIGHUP', onTerminate)
  return () => {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate).off('SIGHUP', onTerminate)
  }
}

/** A state file has done its work when every pod has come to an end of its own. */
export async function settleState(path: string, state: BatchState, outcomes: Iterable<Outcome>): Promise<'kept' | 'removed'> {
  await state.close()
  if ([...outcomes].some(({ kind }) => kind === 'skipped' || kind === 'interrupted')) return 'kept'
  await rm(path, { force: true })
  return 'removed'
}

/**
 * The batch engine: many pods, one function that runs in each, bounded parallelism. Knows nothing of transports, terminals
 * or files; time comes in as a function.
 */
import type { BatchItem, Outcome } from './outcome.js'

export interface BatchOptions {
  /** How many run at once; at least 1. */
  readonly parallel: number
  /** Each pod's limit; undefined: none. */
  readonly timeoutMs?: number | undefined
  /** Stop starting after the first pod that did not succeed. */
  readonly failFast: boolean
  /** So many run first, and `confirm` is asked before the rest; 0: none. */
  readonly canary: number
}

/** The two switches of a batch that runs. Both may be thrown at any time, and more than once. */
export class BatchControl {
  readonly #stopStarting = new AbortController()
  readonly #stopAll = new AbortController()

  /** No further pod is started; those that run go on to their end. */
  stopStarting(reason: string): void {
    if (!this.#stopStarting.signal.aborted) this.#stopStarting.abort(reason)
  }

  /** And those that run are ended. */
  stopAll(reason: string): void {
    this.stopStarting(reason)
    if (!this.#stopAll.signal.aborted) this.#stopAll.abort(reason)
  }

  /** Aborted with a text as its reason. */
  get starting(): AbortSignal {
    return this.#stopStarting.signal
  }

  /** Aborted with a text as its reason. */
  get all(): AbortSignal {
    return this.#stopAll.signal
  }
}

export interface BatchHooks<T extends BatchItem> {
  /** Runs in one pod. `signal` aborts at the time limit and when all is stopped; what it rejects with becomes `failed`. */
  run(item: T, signal: AbortSignal): Promise<Outcome>
  /** Called before `run`, and awaited: a state file remembers that it may have run. Its failure stops the batch. */
  starting?(item: T): void | Promise<void>
  /** Called with each outcome as it comes, awaited. Its failure stops the batch. */
  finished?(item: T, outcome: Outcome): void | Promise<void>
  /** Asked once after the canary pods, with their outcomes; false stops the batch. */
  confirm?(outcomes: ReadonlyMap<T, Outcome>): Promise<boolean>
  /** Milliseconds; default performance.now. */
  now?(): number
}

type Success = (outcome: Outcome) => boolean

/**
 * Runs them all. Resolves with one outcome for each item, in the order of `items`, once nothing runs any more.
 * @throws what `starting` or `finished` threw, after what ran was stopped
 */
export async function runBatch<T extends BatchItem>(
  items: readonly T[],
  options: BatchOptions,
  hooks: BatchHooks<T>,
  control: BatchControl = new BatchControl(),
  isSuccess: Success = (outcome) => outcome.kind === 'exited' && outcome.code === 0,
): Promise<ReadonlyMap<T, Outcome>> {
  const batch = new Batch(items, options, hooks, control, isSuccess)
  return batch.run()
}

class Batch<T extends BatchItem> {
  readonly #items: readonly T[]
  readonly #options: BatchOptions
  readonly #hooks: BatchHooks<T>
  readonly #control: BatchControl
  readonly #isSuccess: Success
  readonly #now: () => number
  readonly #outcomes = new Map<T, Outcome>()
  #failure: { readonly error: unknown } | undefined

  constructor(items: readonly T[], options: BatchOptions, hooks: BatchHooks<T>, control: BatchControl, isSuccess: Success) {
    this.#items = items
    this.#options = options
    this.#hooks = hooks
    this.#control = control
    this.#isSuccess = isSuccess
    this.#now = () => hooks.now?.() ?? performance.now()
  }

  async run(): Promise<ReadonlyMap<T, Outcome>> {
    const canaries = this.#options.canary > 0 ? this.#items.slice(0, this.#options.canary) : []
    await this.#wave(canaries)
    const rest = this.#items.slice(canaries.length)
    if (canaries.length > 0 && rest.length > 0) await this.#askAfter(canaries)
    await this.#wave(rest)
    if (this.#failure) throw this.#failure.error
    return new Map(this.#items.map((item) => [item, this.#outcomes.get(item) ?? skipped(this.#whyNot())]))
  }

  async #askAfter(canaries: readonly T[]): Promise<void> {
    if (this.#control.starting.aborted) return
    const seen = new Map(canaries.map((item) => [item, this.#outcomes.get(item) ?? skipped(this.#whyNot())]))
    const go = (await this.#hooks.confirm?.(seen)) ?? true
    if (!go) this.#control.stopStarting('not confirmed after the canary')
  }

  /** Every worker takes the next item until there is none; each settles, whatever happens. */
  async #wave(items: readonly T[]): Promise<void> {
    const queue = items[Symbol.iterator]()
    const worker = async (): Promise<void> => {
      for (const item of queue) {
        if (this.#control.starting.aborted) {
          await this.#guarded(() => this.#settle(item, skipped(this.#whyNot())))
          continue
        }
        await this.#guarded(() => this.#one(item))
      }
    }
    await Promise.all(Array.from({ length: Math.max(1, Math.min(this.#options.parallel, items.length)) }, worker))
  }

  /** A state file that cannot be written stops the batch: what cannot be remembered is not begun. */
  async #guarded(step: () => Promise<void>): Promise<void> {
    try {
      await step()
    } catch (error) {
      this.#failure ??= { error }
      this.#control.stopAll('the batch itself failed')
    }
  }

  async #one(item: T): Promise<void> {
    await this.#hooks.starting?.(item)
    const outcome = await this.#limited(item)
    if (this.#options.failFast && !this.#isSuccess(outcome)) this.#control.stopStarting(`stopped after ${item.id} did not succeed`)
    await this.#settle(item, outcome)
  }

  async #settle(item: T, outcome: Outcome): Promise<void> {
    this.#outcomes.set(item, outcome)
    await this.#hooks.finished?.(item, outcome)
  }

  async #limited(item: T): Promise<Outcome> {
    const begun = this.#now()
    const limit = new AbortController()
    const { timeoutMs } = this.#options
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => limit.abort(), timeoutMs)
    try {
      return await this.#hooks.run(item, AbortSignal.any([limit.signal, this.#control.all]))
    } catch (error) {
      const ms = Math.round(this.#now() - begun)
      if (this.#control.all.aborted) return { kind: 'interrupted', message: `${String(this.#control.all.reason)}; it may have run in part`, ms }
      if (limit.signal.aborted) return { kind: 'timeout', message: `still running after ${timeoutMs} ms`, ms }
      return { kind: 'failed', message: error instanceof Error ? error.message : String(error), ms }
    } finally {
      clearTimeout(timer)
    }
  }

  #whyNot(): string {
    return this.#control.starting.aborted ? String(this.#control.starting.reason) : 'the batch ended before it'
  }
}

function skipped(message: string): Outcome {
  return { kind: 'skipped', message }
}

/**
 * Keeps an inventory equal to its source: list, watch, and again after whatever happens.
 * client-node's informer stops at the first network error and knows no bookmarks (ecosystem.md s2.1), hence this one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { OpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { PodFacts } from './inventory.js'
import { BadAnswer, ExpiredVersion, type PodEvent, type PodSource } from './pod-source.js'

/** Where the pods go. */
export interface PodSink {
  set(pod: PodFacts): void
  deleteUid(uid: string): void
  /** A list is complete: every pod of the source's scope that is not in it has gone. */
  keepOnly(uids: ReadonlySet<string>): void
}

export interface ReflectorOptions {
  readonly source: PodSource
  readonly sink: PodSink
  readonly log: Logger
  /** First and longest wait after a failure; each is shortened by up to a half at random. Default 500 ms and 30 s. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }
  /** A source with more pods is refused rather than kept. Default 200,000: above the 150,000 that Kubernetes is built for. */
  readonly maxPods?: number
  readonly now?: () => number
  readonly random?: () => number
  /** Resolves after `ms`, rejects when `signal` aborts. */
  readonly delay?: (ms: number, signal: AbortSignal) => Promise<void>
}

export interface ReflectorStatus {
  readonly synced: boolean
  readonly lastSyncMs?: number
  readonly staleSinceMs?: number
  readonly lastError?: string
}

/** A watch that lived so long was a good one: the next failure waits `firstMs` again. */
const HEALTHY_MS = 10_000
/** So many answers in a row that could not be used, and everything is read again: the version itself may be what is wrong. */
const BAD_ANSWERS_BEFORE_LIST = 3

export class Reflector {
  /** Resolves once every pod has been read for the first time; never rejects. */
  readonly firstList: Promise<void>
  readonly #options: Required<ReflectorOptions>
  readonly #startedMs: number
  #version: string | undefined
  #synced = false
  #firstListDone: () => void = () => {}
  #wholeMs: number | undefined
  #stale = false
  #lastError: string | undefined
  #failures = 0
  #badAnswers = 0
  #watchStartedMs: number | undefined

  constructor(options: ReflectorOptions) {
    this.#options = {
      backoff: { firstMs: 500, maxMs: 30_000 },
      maxPods: 200_000,
      now: Date.now,
      random: Math.random,
      delay: (ms, signal) => sleep(ms, undefined, { signal }),
      ...options,
    }
    this.#startedMs = this.#options.now()
    this.firstList = new Promise((resolve) => {
      this.#firstListDone = resolve
    })
  }

  status(): ReflectorStatus {
    return {
      synced: this.#synced,
      ...(this.#wholeMs === undefined ? {} : { lastSyncMs: this.#wholeMs }),
      ...(this.#stale ? { staleSinceMs: this.#wholeMs ?? this.#startedMs } : {}),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    }
  }

  /** Follows the source until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#watchStartedMs = undefined
      try {
        await this.#follow(signal)
        this.#ended(undefined)
      } catch (thrown) {
        if (signal.aborted) return
        this.#ended(thrown)
      }
      if (this.#failures > 0) await this.#options.delay(this.#waitMs(), signal).catch(() => undefined) // aborted: the loop ends
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const version = this.#version ?? (await this.#list(signal))
    this.#version = version
    this.#watchStartedMs = this.#options.now()
    for await (const event of this.#options.source.watch(version, signal)) this.#take(event)
    if (!this.#options.source.resumable) this.#version = undefined
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { source, sink, maxPods, log } = this.#options
    const seen = new Set<string>()
    const version = await source.list((pods) => {
      for (const pod of pods) {
        seen.add(pod.uid)
        if (seen.size > maxPods) throw new OpsError('LIMIT_EXCEEDED', `list ${source.name}: more than ${maxPods} pods`)
        sink.set(pod)
      }
    }, signal)
    sink.keepOnly(seen)
    this.#synced = true
    this.#whole()
    this.#firstListDone()
    log.info({ source: source.name, pods: seen.size, version }, 'inventory.listed')
    return version
  }

  #take(event: PodEvent): void {
    if (event.kind === 'set') this.#options.sink.set(event.pod)
    if (event.kind === 'gone') this.#options.sink.deleteUid(event.uid)
    if (event.version !== undefined) {
      this.#version = event.version
      this.#badAnswers = 0
    }
    this.#whole()
  }

  #whole(): void {
    this.#wholeMs = this.#options.now()
    this.#stale = false
    this.#lastError = undefined
  }

  /** Bookkeeping after a watch (or the list before it) has ended, `thrown` undefined when the server simply ended it. */
  #ended(thrown: unknown): void {
    const healthy = this.#watchStartedMs !== undefined && this.#options.now() - this.#watchStartedMs >= HEALTHY_MS
    if (healthy) this.#failures = 0
    // A server that ends every watch at once would otherwise be asked in a tight loop.
    if (thrown !== undefined || !healthy) this.#failures++
    if (thrown === undefined) return
    if (!this.#options.source.resumable || thrown instanceof ExpiredVersion) this.#version = undefined
    if (thrown instanceof BadAnswer || thrown instanceof OpsError) {
      this.#badAnswers++
      if (this.#badAnswers >= BAD_ANSWERS_BEFORE_LIST) {
        this.#version = undefined
        this.#badAnswers = 0
      }
    }
    this.#stale = true
    this.#lastError = escapePeerText(thrown instanceof Error ? thrown.message : String(thrown))
    const fields = { source: this.#options.source.name, error: this.#lastError, failures: this.#failures, relist: this.#version === undefined }
    this.#options.log.warn(fields, 'inventory.interrupted')
  }

  /** Exponential with jitter, so that gateways which lost the same API server do not come back in step. */
  #waitMs(): number {
    const { firstMs, maxMs } = this.#options.backoff
    const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#failures - 1, 20))
    return fullMs * (0.5 + this.#options.random() / 2)
  }
}

/** Keyframes are made in a thread of their own, one recording at a time: a terminal emulator costs about 50 ms of CPU for a MiB. */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import type { Worker } from 'node:worker_threads'
import type { Logger } from '../core/log.js'
import type { Keyframe } from '../wire/keyframes.js'
import { openKeyframes } from './keyframes.js'
import type { TapeKeys } from './tape-cipher.js'
import type { TapeMark, TapePlace } from './tape-replay.js'
import { startWorker } from './worker-thread.js'

/** What the thread is asked for. */
export interface KeyframeJob {
  readonly id: number
  readonly path: string
}
export interface KeyframeAnswer {
  readonly id: number
  readonly error?: string
}

/** Recordings that wait; of more the keyframes are made when they are first asked for. */
const MAX_WAITING = 1000
/** A thread that has had nothing to do for so long ends. */
const IDLE_MS = 30_000

export class KeyframeThread {
  readonly #logger: Logger
  readonly #keys: TapeKeys | undefined
  readonly #running = new Map<string, Promise<void>>()
  readonly #answers = new Map<number, (error: string | undefined) => void>()
  #worker: Worker | undefined
  #idle: NodeJS.Timeout | undefined
  #ids = 0
  #closed = false

  /** @param keys as the recordings' format has them */
  constructor(logger: Logger, keys?: TapeKeys) {
    this.#logger = logger
    this.#keys = keys
  }

  /** Makes them in the background. */
  later(path: string): void {
    if (this.#closed || this.#running.size >= MAX_WAITING || (this.#keys && !this.#keys.fileKey)) return
    void this.#make(path).catch((error: Error) => this.#logger.warn({ path, reason: error.message }, 'keyframes.failed'))
  }

  /** The newest screen at or before `seconds`; made first where there is none. Undefined near the beginning, or where none can be made. */
  async before(place: TapePlace, seconds: number): Promise<Keyframe | undefined> {
    return await this.#with(place, (file) => file.before(seconds))
  }

  /** Undefined where they cannot be made: the recording has to be read. */
  async marks(place: TapePlace): Promise<readonly TapeMark[] | undefined> {
    if (place.path.endsWith('.part')) return undefined // they would be those of a moment ago
    return (await this.#with(place, (file) => file.tail()))?.marks
  }

  /** Resolves when nothing is being made of a recording any more. */
  readonly settled = async (path: string): Promise<void> => {
    await this.#running.get(path)?.catch(() => undefined) // told where it was asked for
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#idle)
    await this.#worker?.terminate()
    await Promise.allSettled(this.#running.values())
  }

  async #with<T>(place: TapePlace, use: (file: NonNullable<Awaited<ReturnType<typeof openKeyframes>>>) => Promise<T>): Promise<T | undefined> {
    const size = await sizeOf(place)
    let file = await openKeyframes(place, size)
    if (!file) {
      try {
        await this.#make(place.path)
      } catch (error) {
        this.#logger.warn({ path: place.path, reason: (error as Error).message }, 'keyframes.failed')
        return undefined
      }
      // a session that runs has grown meanwhile: what was made of it serves all the same
      file = await openKeyframes(place, size).then(async (exact) => exact ?? (await openKeyframes(place, await sizeOf(place))))
    }
    if (!file) return undefined
    try {
      return await use(file)
    } finally {
      await file.close()
    }
  }

  #make(path: string): Promise<void> {
    const running = this.#running.get(path)
    if (running) return running
    const made = this.#ask(path).finally(() => this.#running.delete(path))
    this.#running.set(path, made)
    return made
  }

  async #ask(path: string): Promise<void> {
    if (this.#closed) throw new Error('the gateway is closing')
    clearTimeout(this.#idle)
    this.#worker ??= this.#start()
    const id = ++this.#ids
    const answer = new Promise<string | undefined>((resolve) => this.#answers.set(id, resolve))
    this.#worker.postMessage({ id, path } satisfies KeyframeJob)
    const error = await answer
    if (error !== undefined) throw new Error(error)
  }

  #start(): Worker {
    const worker = startWorker(import.meta.url, 'keyframe-worker', { fileKey: this.#keys?.fileKey, isEncrypted: this.#keys !== undefined })
    worker.unref()
    worker.on('message', ({ id, error }: KeyframeAnswer) => this.#answer(id, error))
    worker.on('error', (error) => this.#logger.error({ reason: error.message }, 'keyframes.thread-failed'))
    void once(worker, 'exit').then(
      () => this.#ended(worker),
      () => this.#ended(worker),
    )
    return worker
  }

  #answer(id: number, error: string | undefined): void {
    this.#answers.get(id)?.(error)
    this.#answers.delete(id)
    if (this.#answers.size > 0 || this.#closed) return
    this.#idle = setTimeout(() => void this.#worker?.terminate(), IDLE_MS).unref()
  }

  #ended(worker: Worker): void {
    if (this.#worker === worker) this.#worker = undefined
    for (const id of [...this.#answers.keys()]) this.#answer(id, 'the thread ended')
    clearTimeout(this.#idle)
  }
}

async function sizeOf(place: TapePlace): Promise<number> {
  try {
    return (await stat(place.path)).size
  } catch {
    const tape = await place.open() // the bytes are elsewhere
    await tape.close()
    return tape.size
  }
}

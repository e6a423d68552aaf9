/**
 * The state file of a batch: what was asked, and then one line a step, each on disk before the step is taken. After an
 * interruption of any kind it tells which pods are done, which may have run, and which were never started.
 */
import { constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { Outcome } from './outcome.js'
import { outcomeJson } from './report.js'

export interface BatchPlan {
  readonly batch: string
  readonly command: readonly string[]
  readonly startedAt: string
  /** Ids of the pods, in the order in which they were to run. */
  readonly items: readonly string[]
}

export interface BatchMemory {
  readonly plan: BatchPlan
  /** Pods with an outcome; `skipped` ones are left out, they may run. */
  readonly done: ReadonlyMap<string, Outcome>
  /** Pods that were started and whose outcome is not known. */
  readonly unknown: ReadonlySet<string>
}

/** Appends to a state file. Steps are durable when their promise resolves. */
export class BatchState {
  readonly #file: FileHandle
  #last: Promise<void> = Promise.resolve()
  #pending: string[] = []
  #flush: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @throws Error EEXIST when there is such a file: another batch's memory is not overwritten */
  static async create(path: string, plan: BatchPlan): Promise<BatchState> {
    const state = new BatchState(await open(path, 'wx', 0o600))
    await state.#write({ version: 1, ...plan })
    return state
  }

  /** Goes on with a file that `readBatchState` has read. */
  static async reopen(path: string): Promise<BatchState> {
    const state = new BatchState(await open(path, constants.O_RDWR | constants.O_APPEND))
    await state.#mendEnd()
    return state
  }

  starting(id: string): Promise<void> {
    return this.#write({ start: id })
  }

  finished(id: string, outcome: Outcome): Promise<void> {
    return this.#write({ id, ...outcomeJson(outcome) })
  }

  /** May be called twice. */
  async close(): Promise<void> {
    await this.#last.catch(() => {}) // whoever wrote was told
    await this.#file.close().catch(() => {}) // closed already
  }

  /** A last line without its end, from a crash: the next line must not become a part of it. */
  async #mendEnd(): Promise<void> {
    const { size } = await this.#file.stat()
    if (size === 0) return
    const last = Buffer.alloc(1)
    await this.#file.read(last, 0, 1, size - 1)
    if (last[0] !== 0x0a) await this.#file.appendFile('\n')
  }

  /** Lines that come while the disk is busy go together in the next write: one flush for all of them. */
  #write(value: object): Promise<void> {
    this.#pending.push(`${JSON.stringify(value)}\n`)
    this.#flush ??= this.#last
      .catch(() => {}) // the lines before had their own promise
      .then(async () => {
        this.#flush = undefined
        const text = this.#pending.join('')
        this.#pending = []
        await this.#file.appendFile(text)
        await this.#file.datasync()
      })
    this.#last = this.#flush
    return this.#flush
  }
}

/** @throws Error naming the line when the file is no state file; a torn last line is left out */
export async function readBatchState(path: string): Promise<BatchMemory> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  lines.pop() // what follows the last line feed is nothing, or a line that was torn
  const [first, ...steps] = lines.flatMap((line, i) => (line.trim() === '' ? [] : [{ value: parseLine(line, i + 1), i }]))
  const plan = first && asPlan(first.value)
  if (!plan) throw new Error(`"${path}" is not the state file of a batch`)
  const done = new Map<string, Outcome>()
  const unknown = new Set<string>()
  for (const { value } of steps) {
    if (typeof value?.start === 'string') {
      done.delete(value.start)
      unknown.add(value.start)
    }
    const outcome = value && outcomeFromJson(value)
    if (outcome && typeof value?.id === 'string') {
      // an interrupted pod may have run: that is what "unknown" says
      if (outcome.kind === 'interrupted') unknown.add(value.id)
      else unknown.delete(value.id)
      if (outcome.kind !== 'skipped' && outcome.kind !== 'interrupted') done.set(value.id, outcome)
    }
  }
  return { plan, done, unknown }
}

type Line = Readonly<Record<string, unknown>>

/** A line that a crash tore and that was mended by a line feed is no JSON; it says nothing. */
function parseLine(line: string, number: number): Line | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Line) : undefined
  } catch (error) {
    if (number === 1) throw new Error(`not the state file of a batch: line 1: ${(error as Error).message}`)
    return undefined
  }
}

function asPlan(value: Line | undefined): BatchPlan | undefined {
  if (value?.version !== 1 || typeof value.batch !== 'string' || typeof value.startedAt !== 'string') return undefined
  if (!isTexts(value.command) || !isTexts(value.items)) return undefined
  return { batch: value.batch, command: value.command, startedAt: value.startedAt, items: value.items }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

const MESSAGE_KINDS = ['refused', 'failed', 'timeout', 'interrupted'] as const

/** Undefined for anything that `outcomeJson` does not write. */
export function outcomeFromJson(value: Readonly<Record<string, unknown>>): Outcome | undefined {
  const { kind } = value
  const message = typeof value.message === 'string' ? value.message : ''
  const ms = typeof value.ms === 'number' ? value.ms : 0
  if (kind === 'skipped') return { kind, message }
  for (const known of MESSAGE_KINDS) if (kind === known) return { kind: known, message, ms }
  if (kind !== 'exited' || typeof value.exit !== 'number') return undefined
  return { kind, code: value.exit, ms, truncated: value.truncated === true, stdout: bytesOf(value, 'stdout'), stderr: bytesOf(value, 'stderr') }
}

function bytesOf(value: Readonly<Record<string, unknown>>, key: string): Buffer {
  const base64 = value[`${key}Base64`]
  if (typeof base64 === 'string') return Buffer.from(base64, 'base64')
  const text = value[key]
  return Buffer.from(typeof text === 'string' ? text : '')
}

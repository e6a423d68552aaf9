/** The conversation with the script of files over exec: requests one behind the other, answers in the same order. */
import { randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'
import { FileError } from '../core/files.js'
import type { RemoteProcess } from '../core/types.js'
import { errorOf } from './exec-files-errors.js'
import { requestLines } from './exec-files-script.js'

/** What the container does not answer within this, while no byte moves, it never will. */
const SILENCE_MS = 60_000
/** The line that ends an answer. */
const END_BYTES = 64
/** A shell that was told to end has this long before it is ended. */
const LEAVE_MS = 1000
const ANSWER_BYTES = 256 * 1024

export interface ShellRequest {
  readonly operation: string
  readonly args: readonly (Buffer | string | number)[]
  /** Follows the arguments; its length is one of them. */
  readonly content?: Buffer
  /** The most that the answer may hold; default 256 KiB. */
  readonly mostBytes?: number
}
interface Waiter {
  readonly id: number
  readonly mostBytes: number
  readonly resolve: (content: Buffer) => void
  readonly reject: (error: FileError) => void
}

export function newMark(): string {
  return `dockin-${randomBytes(16).toString('hex')}`
}

export class FilesShell {
  readonly #process: RemoteProcess
  readonly #mark: Buffer
  readonly #waiters: Waiter[] = []
  #sending: Promise<void> = Promise.resolve()
  #chunks: Buffer[] = []
  #held = 0
  #lastId = 0
  #lost: FileError | undefined
  #ending: Promise<void> | undefined
  #silence: NodeJS.Timeout | undefined

  /** @param process that runs FILES_SCRIPT with this mark; owned from now on */
  constructor(process: RemoteProcess, mark: string) {
    this.#process = process
    this.#mark = Buffer.from(mark)
    process.stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    process.stdout.once('end', () => void this.#end('the shell in the container ended'))
    process.stdout.on('error', () => void this.#end('the way to the container broke'))
    process.stdin.on('error', () => void this.#end('the way to the container broke'))
    process.stderr?.on('error', () => {}) // stdout tells
    process.stderr?.resume()
    process.exit.then(
      () => void this.#end('the shell in the container ended'),
      () => void this.#end('the way to the container broke'),
    )
  }

  /** What the script says of the container before the first request. */
  hello(): Promise<Buffer> {
    return new Promise((resolve, reject) => this.#await({ id: 0, mostBytes: ANSWER_BYTES, resolve, reject }))
  }

  /** @returns the content of the answer @throws FileError what the tools said; CONNECTION_LOST */
  ask({ operation, args, content, mostBytes = ANSWER_BYTES }: ShellRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#lost) {
        reject(this.#lost)
        return
      }
      const id = ++this.#lastId
      this.#await({ id, mostBytes, resolve, reject })
      const lines = requestLines(this.#mark.toString(), id, operation, args)
      const bytes = content ? Buffer.concat([lines, content]) : lines
      this.#sending = this.#sending.then(() => this.#send(bytes)).catch(() => {}) // the end of the stream tells every waiter
    })
  }

  /** Ends the shell and all that it started. May be called twice; never rejects. */
  close(): Promise<void> {
    return this.#end('it was closed')
  }

  async #send(bytes: Buffer): Promise<void> {
    if (this.#lost) return
    if (!this.#process.stdin.write(bytes)) await drained(this.#process.stdin)
    this.#watch()
  }

  #await(waiter: Waiter): void {
    if (this.#lost) {
      waiter.reject(this.#lost)
      return
    }
    this.#waiters.push(waiter)
    if (this.#waiters.length === 1) this.#watch()
  }

  #watch(): void {
    if (this.#silence) this.#silence.refresh()
    else this.#silence = setTimeout(() => this.#waiters.length > 0 && void this.#end('the container does not answer'), SILENCE_MS).unref()
  }

  #take(chunk: Buffer): void {
    if (this.#lost) return
    this.#watch()
    // the mark may lie across two chunks
    const overlap = this.#held === 0 ? undefined : this.#tail()
    this.#chunks.push(chunk)
    this.#held += chunk.length
    const most = this.#waiters[0]?.mostBytes ?? 0
    const hasMark = chunk.includes(this.#mark) || (overlap && Buffer.concat([overlap, chunk.subarray(0, END_BYTES * 2)]).includes(this.#mark))
    if (hasMark || this.#isEnding) this.#answers()
    else if (this.#held > most + END_BYTES * 4) void this.#end('the container answered too much')
  }
  /** A mark was seen, its line not yet whole. */
  #isEnding = false

  #tail(): Buffer {
    const parts: Buffer[] = []
    for (let index = this.#chunks.length - 1, bytes = 0; index >= 0 && bytes < END_BYTES; index--) {
      const part = this.#chunks[index] as Buffer
      parts.unshift(part)
      bytes += part.length
    }
    return (parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)).subarray(-END_BYTES)
  }

  #answers(): void {
    let all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
    for (;;) {
      const at = all.indexOf(this.#mark)
      const end = at < 0 ? -1 : all.indexOf(0x0a, at)
      this.#isEnding = at >= 0 && end < 0
      if (end < 0) {
        if (at >= 0 && all.length - at > END_BYTES * 2) void this.#end('the container answered something else')
        break
      }
      const [, id, status] = all.toString('latin1', at, end).split(' ')
      const waiter = this.#waiters.shift()
      if (!waiter || id !== String(waiter.id) || at > waiter.mostBytes + ANSWER_BYTES) {
        waiter?.reject(lost('the container answered something else'))
        void this.#end('the container answered something else')
        return
      }
      const content = all.subarray(0, at)
      if (status === '0') waiter.resolve(content)
      else waiter.reject(errorOf(content))
      all = all.subarray(end + 1)
    }
    this.#chunks = all.length > 0 ? [all] : []
    this.#held = all.length
  }

  #end(why: string): Promise<void> {
    this.#lost ??= lost(why)
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#lost)
    this.#ending ??= this.#leave()
    return this.#ending
  }

  async #leave(): Promise<void> {
    clearTimeout(this.#silence)
    this.#chunks = []
    this.#process.stdin.end()
    this.#process.stdout.resume()
    let late: NodeJS.Timeout | undefined
    const isLate = new Promise((resolve) => {
      late = setTimeout(resolve, LEAVE_MS)
    })
    await Promise.race([this.#process.exit.catch(() => {}), isLate])
    clearTimeout(late)
    await this.#process.close()
  }
}

function lost(why: string): FileError {
  return new FileError('CONNECTION_LOST', `The files are gone: ${why}`)
}

function drained(stream: Writable): Promise<void> {
  if (stream.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
  })
}

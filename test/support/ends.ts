/** Both ends of a relay, in memory: a client that a test drives and a process that a test plays. */
import { PassThrough } from 'node:stream'
import { OpsError } from '../../src/core/errors.js'
import type { ClientEnd, ClientListener, ExitStatus, RemoteProcess, WindowSize } from '../../src/core/types.js'

export class FakeClient implements ClientEnd {
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly finished: Promise<ExitStatus>
  readonly #gone = new AbortController()
  readonly #listeners = new Set<ClientListener>()
  #finish: (status: ExitStatus) => void = () => {}

  constructor() {
    this.finished = new Promise((resolve) => {
      this.#finish = resolve
    })
  }
  get gone(): AbortSignal {
    return this.#gone.signal
  }
  subscribe(listener: ClientListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  finish(status: ExitStatus): void {
    this.#finish(status)
    this.stdout.end()
    this.stderr.end()
  }
  leave(): void {
    this.#gone.abort(new OpsError('CLIENT_GONE', 'the test client left'))
  }
  resize(size: WindowSize): void {
    for (const listener of this.#listeners) listener.resize?.(size)
  }
  signal(name: string): void {
    for (const listener of this.#listeners) listener.signal?.(name)
  }
}

export class FakeProcess implements RemoteProcess {
  readonly via = 'test'
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly exit: Promise<ExitStatus>
  readonly sizes: WindowSize[] = []
  readonly signals: string[] = []
  closed = 0
  #exit: (status: ExitStatus) => void = () => {}
  #fail: (error: OpsError) => void = () => {}

  constructor() {
    this.exit = new Promise((resolve, reject) => {
      this.#exit = resolve
      this.#fail = reject
    })
    this.exit.catch(() => undefined)
  }
  /** Ends as a program does: output first, then the status. */
  end(code: number): void {
    this.stdout.end()
    this.stderr.end()
    this.#exit({ kind: 'exited', code })
  }
  /** The way to the target breaks. */
  break(error: OpsError): void {
    this.#fail(error)
    this.stdout.destroy(error)
    this.stderr.destroy(error)
  }
  resize(size: WindowSize): void {
    this.sizes.push(size)
  }
  kill(signal: string): void {
    this.signals.push(signal)
  }
  async close(): Promise<void> {
    this.closed++
    this.stdin.destroy()
    this.stdout.destroy()
    this.stderr.destroy()
  }
}

export async function text(stream: AsyncIterable<Buffer | string>): Promise<string> {
  let result = ''
  for await (const chunk of stream) result += chunk.toString()
  return result
}

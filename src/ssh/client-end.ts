/** A channel's two ends of streams, signals and status as the session sees them. */
import { finished } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { ClientEnd, ClientListener, ExitStatus, WindowSize } from '../core/types.js'
import type { InputLane } from './input-lane.js'
import type { OutputLane } from './output-lane.js'

/** Signals that arrived before anybody listened; a client that sends more is not pressing keys. */
const MAX_EARLY_SIGNALS = 16

/** What the end needs of its channel. */
export interface ChannelWire {
  /** Called once, after the last byte: status, end-of-file, close. */
  end(status: ExitStatus): void
}

/**
 * Ownership: the channel makes the lanes and feeds stdin; the session reads and writes them and calls finish once.
 * When the client leaves first, `gone` is aborted, then the lanes are destroyed with the same reason: a reader of stdin must
 * not take a broken upload for a complete one.
 */
export class ChannelClientEnd implements ClientEnd {
  readonly stdin: InputLane
  readonly stdout: OutputLane
  readonly stderr: OutputLane
  readonly #wire: ChannelWire
  readonly #gone = new AbortController()
  readonly #listeners = new Set<ClientListener>()
  #earlySize: WindowSize | undefined
  #earlySignals: string[] = []
  #finishing = false

  constructor(lanes: { readonly stdin: InputLane; readonly stdout: OutputLane; readonly stderr: OutputLane }, wire: ChannelWire) {
    this.stdin = lanes.stdin
    this.stdout = lanes.stdout
    this.stderr = lanes.stderr
    this.#wire = wire
    // Destroyed with a reason when the client leaves, perhaps while no session listens; the reason reaches it through `gone`.
    for (const lane of [this.stdin, this.stdout, this.stderr]) lane.on('error', () => undefined)
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** True once the session has said how it ended. */
  get finishing(): boolean {
    return this.#finishing
  }

  subscribe(listener: ClientListener): () => void {
    this.#listeners.add(listener)
    const size = this.#earlySize
    const signals = this.#earlySignals
    this.#earlySize = undefined
    this.#earlySignals = []
    if (size) listener.resize?.(size)
    for (const name of signals) listener.signal?.(name)
    return () => this.#listeners.delete(listener)
  }

  /** Waits for what was written before it, whether or not the writer has ended the lanes. A second call does nothing. */
  finish(status: ExitStatus): void {
    if (this.#finishing) return
    this.#finishing = true
    let open = 2
    for (const lane of [this.stdout, this.stderr]) {
      // An error here means that the client has left, which the channel knows; there is nobody to tell the status.
      finished(lane, () => {
        open -= 1
        if (open === 0) this.#wire.end(status)
      })
      lane.end()
    }
  }

  // ---- the channel's side

  resize(size: WindowSize): void {
    if (this.#listeners.size === 0) this.#earlySize = size
    for (const listener of this.#listeners) listener.resize?.(size)
  }

  signal(name: string): void {
    if (this.#listeners.size === 0 && this.#earlySignals.length < MAX_EARLY_SIGNALS) this.#earlySignals.push(name)
    for (const listener of this.#listeners) listener.signal?.(name)
  }

  /** The client is not there any more, or has been cut off: `reason` says which. After `finish` and a regular close nobody is told. */
  leave(reason: OpsError): void {
    if (!this.#gone.signal.aborted) this.#gone.abort(reason)
    for (const lane of [this.stdin, this.stdout, this.stderr]) lane.destroy(reason)
  }

  /** The close that follows `finish`: lets go of the lanes. */
  release(): void {
    for (const lane of [this.stdin, this.stdout, this.stderr]) lane.destroy()
  }
}

export function clientGone(what: string): OpsError {
  return new OpsError('CLIENT_GONE', `Session ended: ${what}`)
}

/**
 * Joins a client and a process: the heart of every door.
 *
 * Lanes are Node pipelines, so each slow part holds the one before it, back to the program. `stages` are in the order
 * seen from the client: stdin passes them first to last, output last to first.
 */
import type { Duplex, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { abortReason, toOpsError } from '../core/errors.js'
import type { ClientEnd, ExitStatus, RemoteProcess, Stage } from '../core/types.js'

export interface RelayOutcome {
  readonly status: ExitStatus
}

/** Bytes that the target's streams gave and took; read while the relay runs and after. */
export interface Meters {
  up: number
  down: number
  err: number
}
export function createMeters(): Meters {
  return { up: 0, down: 0, err: 0 }
}

/**
 * Moves bytes until the program has ended and its output has been written to the client, then answers how it ended.
 * Does not call `client.finish`: the caller still has facts to write first.
 * @param signal the session's; with `client.gone` it ends the relay
 * @throws OpsError: the reason of the abort, or why a lane broke. The process has been closed by then.
 */
export async function relay(client: ClientEnd, remote: RemoteProcess, stages: readonly Stage[], meters: Meters, signal: AbortSignal): Promise<RelayOutcome> {
  const lanes = new AbortController()
  const ending = AbortSignal.any([signal, client.gone, lanes.signal])
  const unsubscribe = client.subscribe({
    resize: (size) => {
      remote.resize(size)
      for (const stage of stages) stage.resize?.(size)
    },
    signal: (name) => remote.kill(name),
  })
  try {
    // stdin is not waited for: clients need not half-close, and a program may end without reading all of it
    const up = join(counted(client.stdin, meters, 'up'), duplexes(stages, 'up'), remote.stdin, { signal: ending })
    up.catch(() => remote.stdin.destroy())
    const output = [join(counted(remote.stdout, meters, 'down'), duplexes(stages, 'down').reverse(), client.stdout, { signal: ending, end: false })]
    if (remote.stderr) {
      output.push(join(counted(remote.stderr, meters, 'err'), duplexes(stages, 'err').reverse(), client.stderr, { signal: ending, end: false }))
    }
    const [status] = await Promise.all([remote.exit, ...output])
    await finishAll(stages, status)
    return { status }
  } catch (error) {
    // stages close what they hold; that they fail too would only hide the first failure
    await finishAll(stages, undefined).catch(() => undefined)
    // the cause of the end outranks the pipeline's generic error
    throw signal.aborted ? abortReason(signal) : client.gone.aborted ? abortReason(client.gone) : toOpsError(error, 'PROTOCOL_ERROR')
  } finally {
    unsubscribe()
    lanes.abort()
    await remote.close()
  }
}

/** Each stage finishes once, also when one before it failed. */
async function finishAll(stages: readonly Stage[], status: ExitStatus | undefined): Promise<void> {
  const results = await Promise.allSettled(stages.map((stage) => stage.finish?.(status)))
  for (const result of results) if (result.status === 'rejected') throw toOpsError(result.reason)
}

function duplexes(stages: readonly Stage[], lane: 'up' | 'down' | 'err'): Duplex[] {
  return stages.flatMap((stage) => stage[lane] ?? [])
}

/**
 * Counts what a source gives. Not a transform of its own, which would cost each chunk more than the relay itself: a listener
 * beside the pipe, which must be joined in the same turn, before the first byte flows.
 */
function counted(source: Readable, meters: Meters, lane: keyof Meters): Readable {
  return source.on('data', (chunk: Buffer) => {
    meters[lane] += chunk.length
  })
}

/** One lane. `client.stdout` is never ended here (`end: false`): exit status must go before end-of-file. */
function join(source: Readable, between: readonly Duplex[], sink: Writable, options: { signal: AbortSignal; end?: boolean }): Promise<void> {
  return pipeline([source, ...between, sink], options)
}

/** One exec, from the caller's lanes to the program and back. */
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { abortReason, OpsError, toOpsError } from '../src/core/errors.js'
import type { Logger } from '../src/core/log.js'
import type { ContainerRuntime, ExecRequest, ExitStatus, RemoteProcess } from '../src/core/types.js'
import { type AnnouncedLanes, acceptExec, type ExecLanes } from '../src/wire/exec-lanes-server.js'
import type { SpdyConnection } from '../src/wire/spdy/connection.js'

export interface AgentRuntime extends ContainerRuntime {
  /** Its programs stand at once: a terminal's size has to be known before. */
  readonly startsAtOnce?: boolean
}

export interface ExecPlan {
  readonly containerId: string
  readonly request: ExecRequest
  readonly lanes: AnnouncedLanes
}

/** A caller that opens a terminal says its size within this, or gets 80 by 24 until it does. */
const SIZE_LIMIT_MS = 200

/**
 * Runs it to its end; never rejects. When the connection goes, or `stop` aborts, the program and all it started is ended.
 * The program is started while the caller still opens its streams; its output waits in bounded buffers until they stand.
 * @param release lets the connection's socket end; called once nothing of the program is left
 */
export async function runExec(
  runtime: Pick<AgentRuntime, 'exec' | 'startsAtOnce'>,
  plan: ExecPlan,
  connection: SpdyConnection,
  release: () => void,
  stop: AbortSignal,
  log: Logger,
): Promise<void> {
  const startedMs = performance.now()
  const gone = new AbortController()
  const ended = AbortSignal.any([stop, gone.signal])
  void connection.closed.then((error) => gone.abort(new OpsError('CLIENT_GONE', 'The caller left', { cause: error })))
  const accepting = acceptExec(connection, plan.lanes, stop)
  const starting = start(runtime, plan, accepting, ended)
  // Each is awaited below; until then neither must count as unhandled.
  starting.catch(() => {})
  const counts = { in: 0, out: 0 }
  let outcome: ExitStatus | OpsError
  try {
    const lanes = await accepting
    const ran = await serve(lanes, starting, counts).catch((error) => toOpsError(error))
    // Ended by us, so that is the reason and not the signal that ended it.
    outcome = stop.aborted ? abortReason(stop) : ran
    await lanes.finish(outcome)
  } catch (error) {
    outcome = toOpsError(error)
    connection.destroy(outcome)
  } finally {
    gone.abort(new OpsError('CLIENT_GONE', 'The exec is over'))
    await starting.then(
      (process) => process.close(),
      () => {},
    )
    release()
  }
  const how = outcome instanceof OpsError ? { code: outcome.code, reason: outcome.message } : { status: outcome }
  log.info({ ...how, bytesIn: counts.in, bytesOut: counts.out, ms: Math.round(performance.now() - startedMs) }, 'exec.end')
}

async function start(
  runtime: Pick<AgentRuntime, 'exec' | 'startsAtOnce'>,
  { containerId, request, lanes }: ExecPlan,
  accepting: Promise<ExecLanes>,
  signal: AbortSignal,
): Promise<RemoteProcess> {
  const { pty } = request
  if (!runtime.startsAtOnce || !lanes.tty || !pty || pty.size.columns > 0) return runtime.exec(containerId, request, signal)
  const open = await accepting
  const size = await new Promise<typeof pty.size>((resolve) => {
    const limit = setTimeout(() => resolve({ ...pty.size, columns: 80, rows: 24 }), SIZE_LIMIT_MS)
    open.onResize((known) => {
      clearTimeout(limit)
      resolve(known)
    })
  })
  return runtime.exec(containerId, { ...request, pty: { ...pty, size } }, signal)
}

async function serve(lanes: ExecLanes, starting: Promise<RemoteProcess>, counts: { in: number; out: number }): Promise<ExitStatus> {
  // Sizes and signals that come before the program stands wait for it.
  const whenUp = (act: (process: RemoteProcess) => void) => {
    starting.then(act, () => {})
  }
  lanes.onResize((size) => whenUp((process) => process.resize(size)))
  lanes.onSignal((name) => whenUp((process) => process.kill(name)))
  const process = await starting
  lanes.started()
  if (lanes.stdin) {
    lanes.stdin.on('data', (chunk: Buffer) => {
      counts.in += chunk.length
    })
    // Input ends when it ends or the caller leaves; the exec does not wait for it.
    pipeline(lanes.stdin, process.stdin).catch(() => {})
  } else process.stdin.end()
  const outputs = [pour(process.stdout, lanes.stdout, counts), ...(process.stderr ? [pour(process.stderr, lanes.stderr, counts)] : [])]
  const [status] = await Promise.all([process.exit, ...outputs])
  return status
}

/** Carries an output to its lane; what nobody asked for, or wants any longer, is read and dropped. The lane is ended by finish(). */
async function pour(source: Readable, lane: Writable | undefined, counts: { out: number }): Promise<void> {
  source.on('data', (chunk: Buffer) => {
    counts.out += chunk.length
  })
  try {
    if (lane) await pipeline(source, lane, { end: false })
    else for await (const chunk of source) void chunk
  } catch (error) {
    // A lane that the caller reset ends only itself; a source that broke ends the exec.
    if (error instanceof OpsError) throw error
  }
}

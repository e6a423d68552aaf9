/** One command in one pod over POST /api/v1/exec, as the outcome of a batch. */
import type { ExecApiRequest } from '../../wire/api/exec.js'
import type { Connection } from '../api/connection.js'
import { at, rowOf, text } from '../api/rows.js'
import type { Outcome } from '../batch/outcome.js'
import { errorCode, GatewayError } from '../problem.js'
import type { PodItem } from './selector.js'

export interface PodCommand {
  readonly argv: readonly string[]
  readonly batch: string
  /** The gateway ends the program after so long. */
  readonly timeoutMs: number
  /** Of stdout and stderr each. */
  readonly maxOutputBytes: number
}

/** What the gateway refuses, whatever is asked again. */
const REFUSED = new Set(['POLICY_REFUSED', 'COMMAND_REFUSED', 'FILE_REFUSED', 'NOT_GUARDABLE', 'AUDIT_UNAVAILABLE', 'RECORDING_FAILED'])
/** On top of the program's own limit: the way there and back. */
const ANSWER_GRACE_MS = 30_000

/** @throws the signal's reason when it aborts; every other end is an outcome */
export async function execInPod(connection: Connection, pod: PodItem, command: PodCommand, signal: AbortSignal): Promise<Outcome> {
  const begun = performance.now()
  const { cluster, namespace, pod: name, container } = pod
  const body: ExecApiRequest = {
    target: { cluster, namespace, pod: name, ...(container !== undefined && { container }) },
    argv: [...command.argv],
    batch: command.batch,
    timeoutMs: command.timeoutMs,
    maxOutputBytes: command.maxOutputBytes,
  }
  const ms = () => Math.round(performance.now() - begun)
  try {
    const headers = { 'content-type': 'application/json' }
    const ask = { method: 'POST', path: '/api/v1/exec', headers, body: JSON.stringify(body), signal, timeoutMs: command.timeoutMs + ANSWER_GRACE_MS } as const
    return outcomeOf(await connection.sendJson(ask), command.timeoutMs)
  } catch (error) {
    signal.throwIfAborted()
    return failureOf(error, ms())
  }
}

function outcomeOf(answer: unknown, timeoutMs: number): Outcome {
  const row = rowOf(answer)
  const error = at(row, 'error')
  const ms = Number(text(row, 'ms')) || 0
  if (error !== undefined) {
    const code = text(error, 'code')
    const message = text(error, 'message')
    if (REFUSED.has(code)) return { kind: 'refused', message, ms }
    return ms >= timeoutMs ? { kind: 'timeout', message: `still running after ${timeoutMs} ms: ${message}`, ms } : { kind: 'failed', message, ms }
  }
  const truncated = at(row, 'truncated.stdout') === true || at(row, 'truncated.stderr') === true
  return { kind: 'exited', code: Number(text(row, 'exit')), ms, truncated, stdout: bytesAt(row, 'stdout'), stderr: bytesAt(row, 'stderr') }
}

function bytesAt(row: unknown, key: string): Buffer {
  const base64 = text(row, `${key}Base64`)
  return base64 === '' ? Buffer.from(text(row, key)) : Buffer.from(base64, 'base64')
}

function failureOf(error: unknown, ms: number): Outcome {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof GatewayError)) return { kind: 'failed', message, ms }
  const code = errorCode(error.code)
  if (REFUSED.has(code)) return { kind: 'refused', message, ms }
  // the shell said that there is no such program: it has an exit code of its own
  if (error.exit === 127 || error.exit === 126)
    return { kind: 'exited', code: error.exit, ms, truncated: false, stdout: Buffer.alloc(0), stderr: Buffer.from(`${message}\n`) }
  return { kind: 'failed', message, ms }
}

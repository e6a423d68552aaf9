/**
 * What Kubernetes says beside the data of an exec: the status that ends it (v4.channel.k8s.io and later), terminal
 * sizes, and the channel bytes of its WebSocket form. Bytes in, values out.
 */
import { ERRORS, type ErrorCode, OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import type { ExitStatus, WindowSize } from '../core/types.js'

export const KUBE_V4 = 'v4.channel.k8s.io'
export const KUBE_V5 = 'v5.channel.k8s.io'

/** First byte of each WebSocket message. `close` exists in v5 only: its payload is the channel that has ended. */
export const KUBE_CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const

/** Longest status we read; a real one is a few hundred bytes. */
export const STATUS_BYTES = 64 * 1024
const CELLS_MAX = 0xffff

// ---------------------------------------------------------------- status

interface KubeStatus {
  readonly status?: unknown
  readonly message?: unknown
  readonly reason?: unknown
  readonly details?: { readonly causes?: unknown }
}

interface Cause {
  readonly reason: string
  readonly message: string
}

/** Causes of our own, which Go clients skip: the exact signal, and the code of an OpsError. */
const CAUSE = { exitCode: 'ExitCode', signal: 'DockinSignal', code: 'DockinCode' } as const

/** The last message of an exec, as kubelet writes it. A program that could not be run gives its shell's exit code, so that kubectl exits with it. */
export function printStatus(status: ExitStatus | OpsError): string {
  if (status instanceof OpsError) return printFailure(status)
  if (status.kind === 'exited' && status.code === 0) return JSON.stringify({ metadata: {}, status: 'Success' })
  const code = status.kind === 'exited' ? status.code : 128 + (SIGNAL_NUMBERS[status.signal] ?? 0)
  const causes: Cause[] = [{ reason: CAUSE.exitCode, message: String(code) }]
  if (status.kind === 'signaled') causes.push({ reason: CAUSE.signal, message: status.coreDumped ? `${status.signal} core` : status.signal })
  return failure('NonZeroExitCode', `command terminated with non-zero exit code: exit status ${code}`, causes)
}

function printFailure(error: OpsError): string {
  const causes = [{ reason: CAUSE.code, message: error.code }]
  const isCommand = error.code === 'COMMAND_NOT_FOUND' || error.code === 'COMMAND_NOT_EXECUTABLE'
  if (!isCommand) return failure('InternalError', error.message, causes)
  return failure('NonZeroExitCode', error.message, [{ reason: CAUSE.exitCode, message: String(error.exit) }, ...causes])
}

function failure(reason: string, message: string, causes: readonly Cause[]): string {
  return JSON.stringify({ metadata: {}, status: 'Failure', message, reason, details: { causes } })
}

/** Linux numbers of the signals that end programs; signal(7). */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  XCPU: 24,
  XFSZ: 25,
  SYS: 31,
}

/**
 * Reads the last message of an exec. Never throws: a status that cannot be understood, or that says that nothing ran,
 * is an OpsError (COMMAND_NOT_FOUND and COMMAND_NOT_EXECUTABLE where the runtime's text shows it, TARGET_NOT_RUNNING,
 * else PROTOCOL_ERROR).
 */
export function parseStatus(text: string): ExitStatus | OpsError {
  const status = parseObject(text)
  if (status?.status === 'Success') return { kind: 'exited', code: 0 }
  if (status?.status !== 'Failure') return new OpsError('PROTOCOL_ERROR', `Not a status: "${escapePeerText(text, 200)}"`)
  const message = typeof status.message === 'string' ? escapePeerText(status.message, 500) : ''
  const causes = causesOf(status)
  const code = causes.get(CAUSE.code)
  if (isErrorCode(code)) return new OpsError(code, message)
  if (status.reason === 'NonZeroExitCode') return exitOf(causes, message)
  return runtimeError(message) ?? new OpsError('PROTOCOL_ERROR', `The runtime failed: ${message}`)
}

function exitOf(causes: ReadonlyMap<string, string>, message: string): ExitStatus | OpsError {
  const [signal, core] = (causes.get(CAUSE.signal) ?? '').split(' ')
  if (signal) return { kind: 'signaled', signal: escapePeerText(signal, 16), coreDumped: core === 'core' }
  const code = causes.get(CAUSE.exitCode) ?? ''
  if (/^\d{1,3}$/.test(code) && Number(code) <= 255) return { kind: 'exited', code: Number(code) }
  return new OpsError('PROTOCOL_ERROR', `A status without an exit code: ${message}`)
}

/**
 * What a runtime's own words say about a program that did not start: runc and crun through containerd, CRI-O and
 * dockershim. Undefined when they say nothing of the kind.
 */
export function runtimeError(message: string): OpsError | undefined {
  if (/container not found|is not running|cannot exec in a (stopped|deleted)|container .* not created/i.test(message))
    return new OpsError('TARGET_NOT_RUNNING', message)
  if (!/exec failed|failed to exec|starting container process|executing command in container/i.test(message)) return undefined
  if (/executable file not found|no such file or directory/i.test(message)) return new OpsError('COMMAND_NOT_FOUND', message)
  if (/permission denied|is a directory|exec format error/i.test(message)) return new OpsError('COMMAND_NOT_EXECUTABLE', message)
  return undefined
}

function causesOf(status: KubeStatus): Map<string, string> {
  const causes = new Map<string, string>()
  if (!Array.isArray(status.details?.causes)) return causes
  for (const cause of status.details.causes.slice(0, 16) as unknown[]) {
    if (!isObject(cause)) continue
    const { reason, message } = cause
    if (typeof reason === 'string' && typeof message === 'string') causes.set(reason, message)
  }
  return causes
}

/** The code that a peer of ours put into a Kubernetes Status, whatever else the Status says. */
export function dockinCode(status: unknown): ErrorCode | undefined {
  const code = isObject(status) ? causesOf(status).get(CAUSE.code) : undefined
  return isErrorCode(code) ? code : undefined
}

function isErrorCode(text: string | undefined): text is ErrorCode {
  return text !== undefined && Object.hasOwn(ERRORS, text)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function parseObject(text: string): KubeStatus | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    // not JSON is one of the answers: the caller says so
    return undefined
  }
}

// ---------------------------------------------------------------- terminal size

/** `{"Width":80,"Height":24}` and a newline, as Go's encoder ends it. Sizes of 0 or over 65,535 are brought into range. */
export function printResize(size: WindowSize): string {
  const cells = (value: number) => Math.min(CELLS_MAX, Math.max(1, Math.trunc(value) || 1))
  return `${JSON.stringify({ Width: cells(size.columns), Height: cells(size.rows) })}\n`
}

/** Undefined for anything but a size of at least one cell. */
export function parseResize(text: string): WindowSize | undefined {
  const value: unknown = parseObject(text)
  if (!isObject(value)) return undefined
  const { Width: columns, Height: rows } = value
  return isCells(columns) && isCells(rows) ? { columns, rows, widthPx: 0, heightPx: 0 } : undefined
}

function isCells(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= CELLS_MAX
}

// ---------------------------------------------------------------- WebSocket messages

/** One message: the channel's byte, then the payload. */
export function channelMessage(channel: number, payload: Uint8Array | string): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  const message = Buffer.allocUnsafe(1 + bytes.length)
  message[0] = channel
  message.set(bytes, 1)
  return message
}

/** v5 only: says that `channel` has ended, which v4 cannot. */
export function channelClosed(channel: number): Buffer {
  return Buffer.from([KUBE_CHANNEL.close, channel])
}

/** @throws OpsError PROTOCOL_ERROR for an empty message or a channel that does not exist */
export function parseMessage(message: Buffer): { readonly channel: number; readonly payload: Buffer } {
  const channel = message[0]
  if (channel === undefined || (channel > KUBE_CHANNEL.resize && channel !== KUBE_CHANNEL.close)) {
    throw new OpsError('PROTOCOL_ERROR', `A message for channel ${channel ?? '(none)'}`)
  }
  return { channel, payload: message.subarray(1) }
}

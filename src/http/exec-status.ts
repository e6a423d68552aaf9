/** How a session ended, as the status message of Kubernetes' channel protocol: what kubectl exits with, and our own codes beside. */
import type { OpsError } from '../core/errors.js'
import type { ExitStatus } from '../core/types.js'
import { exitCode } from '../session/status.js'

/** Causes of our own, which Go clients skip. */
const CAUSE = { exit: 'ExitCode', signal: 'DockinSignal', code: 'DockinCode', rule: 'DockinRule', session: 'DockinSession' } as const

/** @param error present when the program did not come to its own end: its exit status (254, 255) is then what the client exits with */
export function execStatus(status: ExitStatus, error: OpsError | undefined, session: string | undefined): string {
  const code = exitCode(status)
  const own = session === undefined ? [] : [{ reason: CAUSE.session, message: session }]
  if (code === 0 && !error) return JSON.stringify({ metadata: {}, status: 'Success', ...(own.length > 0 && { details: { causes: own } }) })
  const causes: { readonly reason: string; readonly message: string }[] = [{ reason: CAUSE.exit, message: String(code) }]
  if (status.kind === 'signaled') causes.push({ reason: CAUSE.signal, message: status.coreDumped ? `${status.signal} core` : status.signal })
  if (error) causes.push({ reason: CAUSE.code, message: error.code })
  if (error?.rule !== undefined) causes.push({ reason: CAUSE.rule, message: error.rule })
  const message = error?.userText ?? `command terminated with non-zero exit code: exit status ${code}`
  return JSON.stringify({ metadata: {}, status: 'Failure', message, reason: 'NonZeroExitCode', details: { causes: [...causes, ...own] } })
}

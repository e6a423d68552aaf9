/** What goes wrong in a client program, in the words of its last line. */
import { ERRORS, type ErrorCode } from '../core/errors.js'
import { ApiError } from '../wire/api/client.js'
import { safe } from './text/safe.js'

/** Something the person can mend: a wrong flag, a missing file. Printed as `error: …`. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly exit: number

  /** @param exit default 2 */
  constructor(message: string, exit = 2) {
    super(message)
    this.exit = exit
  }
}

/** The gateway said no, or could not be asked. Printed as `dockin: …`; contract.md "Exit codes". */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  readonly exit: number
  readonly rule: string | undefined
  readonly trace: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    facts: { readonly rule?: string | undefined; readonly trace?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.exit = ERRORS[code].exit
    this.rule = facts.rule
    this.trace = facts.trace
  }
}

/** The program's own exit code, with nothing more to say. */
export class ExitCode extends Error {
  override readonly name = 'ExitCode'
  readonly exit: number

  constructor(exit: number) {
    super(`exit ${exit}`)
    this.exit = exit
  }
}

/** The line for a person and the exit code. "" when there is nothing to say. */
export function explain(error: unknown): { readonly line: string; readonly exit: number } {
  if (error instanceof ExitCode) return { line: '', exit: error.exit }
  if (error instanceof UsageError) return { line: `error: ${safe(error.message)}\n`, exit: error.exit }
  if (error instanceof ApiError) return explain(new GatewayError(error.code, error.message, { rule: error.rule, trace: error.trace }))
  if (error instanceof GatewayError) {
    // what is ours to look for: the operators find the trace in their log
    const trace = error.code === 'INTERNAL' && error.trace !== undefined ? ` (trace ${error.trace})` : ''
    return { line: `dockin: ${safe(error.message)}${safe(trace)}\n`, exit: error.exit }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { line: `error: ${safe(message)}\n`, exit: 1 }
}

/** A code of the table, or INTERNAL for one that a newer gateway came up with. */
export function errorCode(code: unknown): ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'INTERNAL'
}

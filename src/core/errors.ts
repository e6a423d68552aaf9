/**
 * One error class and the table of what each code means to a client. README's table is compared with this one by a test.
 */

interface ErrorRow {
  /** Exit status of ssh exec and of the clients; contract.md "Exit codes". */
  readonly exit: number
  readonly http: number
  /** What the user reads after `dockin: `. Never holds anything internal; `detail` may follow it. */
  readonly text: string
}

export const ERRORS = {
  AUTH_FAILED: { exit: 255, http: 401, text: 'login failed' },
  AUTH_LOCKED: { exit: 255, http: 429, text: 'too many failed logins, try again later' },
  TARGET_REQUIRED: { exit: 255, http: 400, text: 'name a target: ssh USER+POD[.NAMESPACE[.CLUSTER]][+CONTAINER]@HOST' },
  TARGET_SYNTAX: { exit: 255, http: 400, text: 'not a target address' },
  TARGET_UNKNOWN: { exit: 255, http: 404, text: 'no such target among the pods you may see' },
  TARGET_AMBIGUOUS: { exit: 255, http: 409, text: 'several targets match' },
  TARGET_NOT_RUNNING: { exit: 255, http: 409, text: 'the container is not running' },
  TARGET_GONE: { exit: 255, http: 410, text: 'the pod is gone' },
  TARGET_UNREACHABLE: { exit: 255, http: 502, text: 'the target cannot be reached' },
  PROTOCOL_ERROR: { exit: 255, http: 502, text: 'the connection to the target broke' },
  POLICY_REFUSED: { exit: 254, http: 403, text: 'refused' },
  COMMAND_REFUSED: { exit: 254, http: 403, text: 'command refused' },
  FILE_REFUSED: { exit: 254, http: 403, text: 'transfer refused' },
  NOT_GUARDABLE: { exit: 254, http: 403, text: 'no guarded shell can be started here' },
  AUDIT_UNAVAILABLE: { exit: 254, http: 503, text: 'refused, because the audit log cannot be kept' },
  RECORDING_FAILED: { exit: 254, http: 503, text: 'refused, because the session cannot be recorded' },
  COMMAND_NOT_FOUND: { exit: 127, http: 422, text: 'command not found' },
  COMMAND_NOT_EXECUTABLE: { exit: 126, http: 422, text: 'command cannot be executed' },
  CLIENT_GONE: { exit: 255, http: 499, text: 'the client left' },
  IDLE_TIMEOUT: { exit: 255, http: 408, text: 'session ended after inactivity' },
  SESSION_ENDED: { exit: 255, http: 410, text: 'session ended by an administrator' },
  DRAINING: { exit: 255, http: 503, text: 'this gateway is shutting down, connect again' },
  LIMIT_EXCEEDED: { exit: 255, http: 429, text: 'a limit was reached' },
  CONFIG_INVALID: { exit: 1, http: 500, text: 'the configuration has mistakes' },
  BAD_REQUEST: { exit: 255, http: 400, text: 'the request is not valid' },
  CONFLICT: { exit: 255, http: 412, text: 'somebody else has changed it meanwhile' },
  NOT_FOUND: { exit: 255, http: 404, text: 'not found' },
  INTERNAL: { exit: 255, http: 500, text: 'internal error' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

export interface OpsErrorOptions {
  readonly cause?: unknown
  /** Text for the user, after the table's; only what the user may know. */
  readonly detail?: string
  /** The rule that refused, where one did. */
  readonly rule?: string
}

/**
 * An error with a code of the table above.
 * `message` is for the log: the action that failed, values quoted, a colon, the reason.
 */
export class OpsError extends Error {
  readonly code: ErrorCode
  readonly detail?: string
  readonly rule?: string

  constructor(code: ErrorCode, message: string, options: OpsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'OpsError'
    this.code = code
    if (options.detail !== undefined) this.detail = options.detail
    if (options.rule !== undefined) this.rule = options.rule
  }

  get exit(): number {
    return ERRORS[this.code].exit
  }

  get httpStatus(): number {
    return ERRORS[this.code].http
  }

  /** One line for the user, without the `dockin: ` prefix. */
  get userText(): string {
    const text = ERRORS[this.code].text
    return this.detail === undefined ? text : `${text}: ${this.detail}`
  }
}

/** Anything thrown, as an OpsError; what is not one already becomes INTERNAL (or `code`) and keeps its cause. */
export function toOpsError(thrown: unknown, code: ErrorCode = 'INTERNAL'): OpsError {
  if (thrown instanceof OpsError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new OpsError(code, message, { cause: thrown })
}

/** The reason of an aborted signal as an OpsError. */
export function abortReason(signal: AbortSignal): OpsError {
  return toOpsError(signal.reason)
}

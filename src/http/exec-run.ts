/** One exec of the HTTP door: a request that was parsed, through the one entrance, to how it ended. */
import { OpsError } from '../core/errors.js'
import { type ExitStatus, type Identity, targetText } from '../core/types.js'
import type { OpenRequest, SessionObserver } from '../session/open.js'
import { exitCode } from '../session/status.js'
import type { ExecApiRequest } from '../wire/api/exec.js'
import { ExecClientEnd, type TakeOutput } from './exec-client-end.js'
import { allowedEnv } from './exec-env.js'
import { lineOf } from './exec-line.js'
import { addressOf, addressWith, type ExecDoorParts } from './exec-parts.js'

export interface ExecFacts {
  readonly session: string
  readonly target: string
  readonly rule: string
  readonly note?: string
  readonly batch?: string
}
export interface ExecEnd {
  readonly exit: number
  readonly signal?: string
  readonly ms: number
  /** Why it was refused, could not be started, or was ended from outside. */
  readonly error?: OpsError
  readonly session?: string
  /** False: nothing has run. */
  readonly started: boolean
}

export interface RunningExec {
  readonly end: Promise<ExecEnd>
  /** The caller has hung up. */
  leave(): void
}

/** Starts a session; `opened` is called once it is decided and logged, before anything runs. */
export type StartExec = (take: TakeOutput, opened: (facts: ExecFacts) => void) => RunningExec

/**
 * Starts the exec.
 * @param timeoutMs ends the program; absent: no limit
 * @throws OpsError BAD_REQUEST, TARGET_SYNTAX, before anything is opened
 */
export function execStart(parts: Pick<ExecDoorParts, 'open'>, identity: Identity, request: ExecApiRequest, timeoutMs: number | undefined): StartExec {
  const { batch } = request
  const open: Asked = {
    door: batch === undefined ? 'http' : 'batch',
    identity,
    address: addressIn(request),
    command: request.command ?? lineOf(request.argv ?? []),
    env: allowedEnv(request.env),
    ...(batch !== undefined && { batch }),
  }
  return (take, opened) => runSession(parts, open, inputOf(request), take, opened, timeoutMs)
}

type Asked = Omit<OpenRequest, 'observer'>

/** Any session whose output the answer of one request carries. @param waitsForStart `opened` is called once it runs: what could not be started is an HTTP error */
export function runSession(
  parts: Pick<ExecDoorParts, 'open'>,
  request: Asked,
  input: Buffer,
  take: TakeOutput,
  opened: (facts: ExecFacts) => void,
  timeoutMs: number | undefined,
  waitsForStart = false,
): RunningExec {
  const startedMs = performance.now()
  const client = new ExecClientEnd(input, take)
  let error: OpsError | undefined
  let session: string | undefined
  let started = false
  let head = (): void => {}
  const observer: SessionObserver = {
    opened: (facts) => {
      session = facts.session
      head = () => opened({ ...facts, target: targetText(facts.target), ...(request.batch !== undefined && { batch: request.batch }) })
      if (!waitsForStart) head()
    },
    started: () => {
      started = true
      if (waitsForStart) head()
    },
    failed: (failure, id) => {
      error = failure
      session = id
    },
  }
  const opening = parts.open({ ...request, observer }, client)
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => client.leave(new OpsError('LIMIT_EXCEEDED', `the time limit of ${timeoutMs} ms`, { detail: `the time limit of ${timeoutMs} ms` })),
          timeoutMs,
        )
  const end = client.ended.then((status): ExecEnd => {
    clearTimeout(timer)
    const ms = Math.round(performance.now() - startedMs)
    return { ...exitOf(status), ms, started, ...(error && { error }), ...(session !== undefined && { session }) }
  })
  return {
    // open never rejects; that its last events rest too is waited for by nobody but the log
    end: Promise.race([end, opening.then(() => end)]),
    leave: () => client.leave(new OpsError('CLIENT_GONE', 'the caller of the API hung up')),
  }
}

function exitOf(status: ExitStatus): Pick<ExecEnd, 'exit' | 'signal'> {
  return { exit: exitCode(status), ...(status.kind === 'signaled' && { signal: status.signal }) }
}

function inputOf({ stdin, stdinBase64 }: ExecApiRequest): Buffer {
  return stdinBase64 === undefined ? Buffer.from(stdin ?? '') : Buffer.from(stdinBase64, 'base64')
}

function addressIn({ target, container }: ExecApiRequest): string {
  return addressWith(typeof target === 'string' ? target : addressOf(target), container)
}

/** Why a server of Kubernetes' streaming protocol did not switch protocols, as an OpsError; and the same in the other direction. */
import { OpsError } from '../../core/errors.js'
import { escapePeerText } from '../../core/log.js'
import { dockinCode, printStatus, runtimeError } from '../kube-channel.js'

/** Bytes of an error's body that are read; a Kubernetes Status is under 1 KiB. */
export const REFUSAL_BYTES = 16 * 1024

/**
 * @param subject who answered, as in "agent node-a"
 * @returns TARGET_GONE (no such pod), TARGET_UNKNOWN (no such container), TARGET_NOT_RUNNING, what our agent named, else TARGET_UNREACHABLE
 */
export function refusalError(subject: string, httpStatus: number, body: string): OpsError {
  const status = parseJson(body)
  const isStatus = typeof status === 'object' && status !== null && 'message' in status
  const reason = escapePeerText((isStatus ? String(status.message) : body).trim(), 500)
  const message = `${subject} refused: HTTP ${httpStatus} ${reason}`
  const code = dockinCode(status)
  if (code) return new OpsError(code, message)
  if (httpStatus === 404 && !/page not found/i.test(reason)) return new OpsError('TARGET_GONE', message)
  if (/container .* is not valid for pod/i.test(reason)) return new OpsError('TARGET_UNKNOWN', message)
  if (/does not have a host assigned|ContainerCreating/i.test(reason) || runtimeError(reason)?.code === 'TARGET_NOT_RUNNING')
    return new OpsError('TARGET_NOT_RUNNING', message)
  return new OpsError('TARGET_UNREACHABLE', message, { detail: `${subject} answered ${httpStatus}` })
}

/** The body that `refusalError` of a gateway, and kubectl, understand. */
export function refusalBody(error: OpsError): string {
  return JSON.stringify({ kind: 'Status', apiVersion: 'v1', ...(JSON.parse(printStatus(error)) as object), code: error.httpStatus })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // kubelet answers plain text
    return undefined
  }
}

/** What a request for a container's log asks for. */
import { OpsError } from '../src/core/errors.js'
import type { LogsRequest } from '../src/core/types.js'

export interface AskedLogs {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  readonly container: string
  /** With its scheme, as kubelet prints it; the container may have ended. */
  readonly containerId: string
  /** Lines and bytes are the gateway's to count. */
  readonly logs: Omit<LogsRequest, 'filter' | 'limitBytes'>
}

/** Whether the path is one that `parseLogs` reads. */
export function isLogsPath(path: string): boolean {
  return path.startsWith('/logs/')
}

/** Reads `/logs/NAMESPACE/POD/UID/CONTAINER?containerId=…`, with kubelet's names for the rest (PodLogOptions). @throws OpsError BAD_REQUEST */
export function parseLogs(target: string): AskedLogs {
  const mark = target.includes('?') ? target.indexOf('?') : target.length
  const words = target.slice(0, mark).split('/').slice(2).map(decode)
  const [namespace = '', pod = '', uid = '', container = ''] = words
  if (words.length !== 4 || words.includes('')) throw bad('the path is not /logs/NAMESPACE/POD/UID/CONTAINER')
  const query = new URLSearchParams(target.slice(mark + 1))
  const containerId = query.get('containerId') ?? ''
  if (containerId === '') throw bad('no containerId')
  const flag = (name: string): boolean => query.get(name) === '1'
  const tail = query.get('tailLines')
  if (tail !== null && !/^\d{1,9}$/.test(tail)) throw bad('tailLines is no number')
  const since = query.get('sinceTime')
  if (since !== null && Number.isNaN(Date.parse(since))) throw bad('sinceTime is no time')
  const stream = query.get('stream')
  if (stream !== null && stream !== 'stdout' && stream !== 'stderr') throw bad('stream is neither stdout nor stderr')
  return {
    namespace,
    pod,
    uid,
    container,
    containerId,
    logs: {
      follow: flag('follow'),
      timestamps: flag('timestamps'),
      previous: flag('previous'),
      ...(tail !== null && { tail: Number(tail) }),
      ...(since !== null && { since: new Date(since) }),
      ...(stream !== null && { stream }),
    },
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw bad('the path is not encoded right')
  }
}

function bad(why: string): OpsError {
  return new OpsError('BAD_REQUEST', `Cannot read a log: ${why}`, { detail: why })
}

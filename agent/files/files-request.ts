/** What a request for a container's files asks for. */
import { OpsError } from '../../src/core/errors.js'

export interface AskedFiles {
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  readonly container: string
  /** With its scheme, as kubelet prints it. */
  readonly containerId?: string
}

/** Whether the path is one that `parseFiles` reads. */
export function isFilesPath(path: string): boolean {
  return path.startsWith('/files/')
}

/** Reads `/files/NAMESPACE/POD/UID/CONTAINER?containerId=…`. @throws OpsError BAD_REQUEST */
export function parseFiles(target: string): AskedFiles {
  const mark = target.includes('?') ? target.indexOf('?') : target.length
  const words = target.slice(0, mark).split('/').slice(2).map(decode)
  const [namespace = '', pod = '', uid = '', container = ''] = words
  if (words.length !== 4 || words.includes('')) throw bad('the path is not /files/NAMESPACE/POD/UID/CONTAINER')
  const containerId = new URLSearchParams(target.slice(mark + 1)).get('containerId')
  return { namespace, pod, uid, container, ...(containerId ? { containerId } : {}) }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw bad('the path is not encoded right')
  }
}

function bad(why: string): OpsError {
  return new OpsError('BAD_REQUEST', `Cannot open the files: ${why}`, { detail: why })
}

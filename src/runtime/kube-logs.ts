/** A container's log through the API server: GET …/pods/NAME/log (core/v1), which joins stdout and stderr. */
import type { IncomingMessage } from 'node:http'
import { type Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { abortReason, OpsError } from '../core/errors.js'
import type { ExitStatus, LogsRequest, RemoteProcess, Target } from '../core/types.js'
import { refusalError } from '../wire/spdy/refusal.js'
import { readBody } from '../wire/spdy/upgrade-client.js'
import type { KubeApi } from './kube-api.js'

/** @throws OpsError TARGET_GONE, TARGET_NOT_RUNNING, TARGET_UNREACHABLE, BAD_REQUEST for one stream only, NOT_FOUND where there is no container before */
export async function openKubeLogs(api: KubeApi, target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess> {
  const { follow, tail, since, timestamps, previous, stream } = request
  if (stream) throw new OpsError('BAD_REQUEST', 'the API server joins the streams of a log', { detail: 'through the API server stdout and stderr are one' })
  const query = new URLSearchParams({ container: target.container })
  for (const [name, isSet] of Object.entries({ follow, timestamps, previous })) if (isSet) query.set(name, 'true')
  if (tail !== undefined) query.set('tailLines', String(tail))
  // to the second: the API server refuses fractions
  if (since) query.set('sinceTime', `${since.toISOString().slice(0, 19)}Z`)
  const path = `/api/v1/namespaces/${encodeURIComponent(target.namespace)}/pods/${encodeURIComponent(target.pod)}/log`
  const answer = await api.stream(path, query, signal)
  if (answer.statusCode === 200) return new KubeLogs(answer, signal)
  const body = await readBody(answer)
  if (previous && answer.statusCode === 400) throw noPrevious(body)
  throw refusalError(`API server of ${api.name}`, answer.statusCode ?? 0, body)
}

function noPrevious(body: string): OpsError {
  return new OpsError('NOT_FOUND', `No log of the container before: ${body}`, { detail: 'there is no container before this one whose log is kept' })
}

class KubeLogs implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly exit: Promise<ExitStatus>
  readonly via = 'apiserver log'
  readonly #answer: IncomingMessage

  constructor(answer: IncomingMessage, signal: AbortSignal) {
    this.#answer = answer
    this.stdin = new Writable({ write: (_chunk, _encoding, done) => done() })
    this.stdout = answer
    answer.on('error', () => {}) // `exit` says so
    this.exit = finished(answer, { signal }).then(
      () => ({ kind: 'exited', code: 0 }),
      (error: Error) => {
        if (signal.aborted) throw abortReason(signal)
        throw new OpsError('PROTOCOL_ERROR', `${this.via}: the connection broke: ${error.message}`, { cause: error })
      },
    )
    this.exit.catch(() => answer.destroy())
  }

  resize(): void {}
  kill(): void {}

  async close(): Promise<void> {
    this.#answer.destroy()
  }
}

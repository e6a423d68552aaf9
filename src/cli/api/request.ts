/** One HTTP request to the gateway, with streams and a CA of one's own; node's fetch takes no CA. */
import { once } from 'node:events'
import { type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { GatewayError } from '../problem.js'

export interface Endpoint {
  /** Like https://bastion:8443, without a path. */
  readonly server: string
  /** PEM of the CA that signed the gateway's certificate; default: those that Node knows. */
  readonly ca?: string | undefined
}

export interface Ask {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD'
  /** With its query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | Readable
  readonly signal?: AbortSignal | undefined
  /** Until the answer's head; the body may take any time. Default 60 s; 0: none. */
  readonly timeoutMs?: number
}

const ANSWER_MS = 60_000
/** Errors of connect(2), getaddrinfo(3) and TLS in a person's words. */
const CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name could not be looked up',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'no network',
  ECONNRESET: 'connection reset',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed (opsctl login --ca FILE)',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by an unknown CA (opsctl login --ca FILE)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by an unknown CA (opsctl login --ca FILE)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by an unknown CA (opsctl login --ca FILE)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  EPROTO: 'it does not speak TLS',
  HPE_INVALID_CONSTANT: 'it does not speak HTTP',
}

/**
 * Sends and resolves with the head of the answer, whatever its status; the caller reads the body or destroys it.
 * @throws GatewayError TARGET_UNREACHABLE when nothing answers; the signal's reason when it aborts
 */
export async function sendRequest(endpoint: Endpoint, ask: Ask): Promise<IncomingMessage> {
  const url = new URL(ask.path, endpoint.server)
  const start = url.protocol === 'https:' ? tlsRequest : plainRequest
  const signal = ask.signal
  signal?.throwIfAborted()
  const request = start(url, {
    method: ask.method,
    headers: { accept: 'application/json', 'user-agent': 'dockin-cli', ...ask.headers, ...lengthOf(ask.body) },
    ...(endpoint.ca !== undefined && { ca: endpoint.ca }),
    ...(signal && { signal }),
  })
  const limit = ask.timeoutMs ?? ANSWER_MS
  const timer = limit > 0 ? setTimeout(() => request.destroy(new Error(`no answer after ${limit / 1000} s`)), limit) : undefined
  try {
    const answered = once(request, 'response') as Promise<[IncomingMessage]>
    // a gateway may answer (413, 401) before it has read all: then the answer counts, and not the broken pipe
    const sent = ask.body instanceof Readable ? pipeline(ask.body, request) : request.end(ask.body)
    if (sent instanceof Promise) sent.catch(() => {}) // `answered` says the same, or the gateway has answered already
    const [answer] = await answered
    answer.on('error', () => {}) // whoever reads hears it; a body that nobody reads must not end the program
    return answer
  } catch (error) {
    signal?.throwIfAborted()
    throw unreachable(endpoint, error)
  } finally {
    clearTimeout(timer)
  }
}

/** Without it a known body would be sent in chunks. */
function lengthOf(body: Ask['body']): Record<string, string> {
  return body === undefined || body instanceof Readable ? {} : { 'content-length': String(Buffer.byteLength(body)) }
}

/** The gateway could not be asked. */
export function unreachable(endpoint: Endpoint, error: unknown): GatewayError {
  const cause = error as NodeJS.ErrnoException
  const inner = cause.code === undefined && error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : cause
  const why = CAUSES[inner.code ?? ''] ?? inner.message
  return new GatewayError('TARGET_UNREACHABLE', `cannot reach ${endpoint.server}: ${why}`, { cause: error })
}

/** Longest answer that is read into memory as one. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024

/** @throws GatewayError when it is longer than 256 MiB, or the connection breaks */
export async function readAll(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_ANSWER_BYTES) throw new GatewayError('LIMIT_EXCEEDED', 'the answer of the gateway is longer than 256 MiB')
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error
    throw new GatewayError('PROTOCOL_ERROR', `the connection to the gateway broke: ${(error as Error).message}`, { cause: error })
  }
  return Buffer.concat(chunks)
}

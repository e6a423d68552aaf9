/** From an HTTP request to a SPDY connection, client side. */
import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { abortReason, OpsError } from '../../core/errors.js'
import { escapePeerText } from '../../core/log.js'
import { SpdyConnection } from './connection.js'
import type { SpdyLimits } from './limits.js'
import { REFUSAL_BYTES, refusalError } from './refusal.js'
import { AGENT_HEADER, STREAM_WINDOW_BYTES, WINDOW_HEADER } from './upgrade-server.js'

export interface UpgradeRequest {
  /** Who is asked, for error messages: "agent node-a", "API server of a". */
  readonly subject: string
  /** TLS or not; false where `connection.createConnection` hands over a socket that has its TLS already. */
  readonly secure: boolean
  /** node's request options: host, port, socketPath, ca, cert, key, servername, createConnection, headers. */
  readonly connection: RequestOptions
  /** Path and query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Offered in order of preference: "v4.channel.k8s.io". */
  readonly protocols: readonly string[]
  /** Asks for windows on each stream, which only our agent knows; see SpdyOptions.windowBytes. */
  readonly wantsWindows?: boolean
  /** From the start until the 101; default 10 s. */
  readonly timeoutMs?: number
  readonly limits?: Partial<SpdyLimits>
}

export interface Upgraded {
  readonly connection: SpdyConnection
  /** The one the server chose. */
  readonly protocol: string
  readonly headers: IncomingHttpHeaders
  /** The peer is our agent: it takes signals, env and cwd. */
  readonly isAgent: boolean
}

const TIMEOUT_MS = 10_000

/**
 * POSTs with `Upgrade: SPDY/3.1` and resolves at the 101.
 * @param signal aborting closes the socket; the reason is rethrown
 * @throws OpsError TARGET_UNREACHABLE (with a cause when no answer came, without when it was a refusal), TARGET_GONE, TARGET_UNKNOWN, TARGET_NOT_RUNNING, what an agent named, PROTOCOL_ERROR
 */
export function upgradeClient(upgrade: UpgradeRequest, signal?: AbortSignal): Promise<Upgraded> {
  if (signal?.aborted) return Promise.reject(abortReason(signal))
  const request = send(upgrade)
  return new Promise((resolve, reject) => {
    const fail = (error: OpsError) => {
      request.destroy()
      reject(error)
    }
    const onAbort = () => signal && fail(abortReason(signal))
    const timeoutMs = upgrade.timeoutMs ?? TIMEOUT_MS
    const timer = setTimeout(() => {
      // With a cause, as everything that is silence and not a refusal.
      fail(new OpsError('TARGET_UNREACHABLE', `${upgrade.subject} did not answer in ${timeoutMs} ms`, { cause: new Error('timeout') }))
    }, timeoutMs)
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    request.on('error', (error) => {
      settle()
      fail(new OpsError('TARGET_UNREACHABLE', `Cannot reach ${upgrade.subject}: ${error.message}`, { cause: error }))
    })
    request.on('upgrade', (response, socket, head) => {
      settle()
      try {
        resolve(accept(upgrade, response, socket, head))
      } catch (error) {
        socket.destroy()
        reject(error)
      }
    })
    request.on('response', (response) => {
      void readBody(response).then((body) => {
        settle()
        fail(refusalError(upgrade.subject, response.statusCode ?? 0, body))
      })
    })
    request.end()
  })
}

function send(upgrade: UpgradeRequest): ClientRequest {
  const { connection } = upgrade
  const options: RequestOptions = {
    ...connection,
    method: 'POST',
    path: upgrade.path,
    // One socket for one exec: it is never given back to a pool. With createConnection node asks no agent unless there is one.
    agent: connection.agent ?? (connection.createConnection ? undefined : false),
    headers: {
      ...connection.headers,
      ...upgrade.headers,
      Connection: 'Upgrade',
      Upgrade: 'SPDY/3.1',
      'Content-Length': '0',
      'X-Stream-Protocol-Version': [...upgrade.protocols],
      ...(upgrade.wantsWindows ? { [WINDOW_HEADER]: '1' } : {}),
    },
  }
  return upgrade.secure ? httpsRequest(options) : httpRequest(options)
}

function accept(upgrade: UpgradeRequest, response: IncomingMessage, socket: Duplex, head: Buffer): Upgraded {
  const { headers } = response
  if (!/^spdy\/3\.1$/i.test(headers.upgrade ?? ''))
    throw new OpsError('PROTOCOL_ERROR', `${upgrade.subject} switched to "${escapePeerText(headers.upgrade ?? '')}"`)
  const protocol = String(headers['x-stream-protocol-version'] ?? '')
  if (!upgrade.protocols.includes(protocol)) throw new OpsError('PROTOCOL_ERROR', `${upgrade.subject} chose protocol "${escapePeerText(protocol)}"`)
  const isAgent = headers[AGENT_HEADER] === '1'
  if (socket instanceof Socket) socket.setNoDelay(true).setTimeout(0)
  if (head.length > 0) socket.unshift(head)
  const connection = new SpdyConnection(socket, {
    side: 'client',
    ...(upgrade.limits ? { limits: upgrade.limits } : {}),
    ...(isAgent && upgrade.wantsWindows ? { windowBytes: STREAM_WINDOW_BYTES } : {}),
  })
  return { connection, protocol, headers, isAgent }
}

/** At most REFUSAL_BYTES of it; a body that breaks off is what there is of it. */
export async function readBody(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part)
      bytes += part.length
      if (bytes >= REFUSAL_BYTES) break
    }
  } catch (error) {
    parts.push(Buffer.from(` (${error instanceof Error ? error.message : String(error)})`))
  }
  return Buffer.concat(parts).subarray(0, REFUSAL_BYTES).toString()
}

/** From an HTTP request to a SPDY connection, server side. */
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { OpsError } from '../../core/errors.js'
import { escapePeerText } from '../../core/log.js'
import { KUBE_V4 } from '../kube-channel.js'
import { SpdyConnection } from './connection.js'
import type { SpdyLimits } from './limits.js'
import { refusalBody } from './refusal.js'

/** In the 101 of our agent: it takes a "signal" stream, `env` and `cwd`. */
export const AGENT_HEADER = 'x-dockin-agent'
/** In the request of our gateway: both sides then give every stream a window. */
export const WINDOW_HEADER = 'x-dockin-window'
/** 1 MiB: at 10 ms away still 100 MiB/s, and the most that one stalled stream can make a peer hold. */
export const STREAM_WINDOW_BYTES = 1024 * 1024

export interface UpgradeAnswer {
  readonly protocol: string
  readonly connection: SpdyConnection
  /** The caller is our gateway. */
  readonly isGateway: boolean
}

/**
 * Checks an `upgrade` event of a node http(s) server and answers it with 101.
 * @throws OpsError BAD_REQUEST, with nothing written yet: answer with `refuseUpgrade`
 */
export function upgradeServer(request: IncomingMessage, socket: Duplex, head: Buffer, limits?: Partial<SpdyLimits>): UpgradeAnswer {
  const { headers } = request
  if (request.method !== 'POST') throw new OpsError('BAD_REQUEST', `${request.method} cannot be upgraded, POST can`)
  if (!/(^|[,\s])upgrade([,\s]|$)/i.test(headers.connection ?? '') || !/^spdy\/3\.1$/i.test(headers.upgrade ?? '')) {
    throw new OpsError('BAD_REQUEST', 'Connection: Upgrade and Upgrade: SPDY/3.1 are needed')
  }
  const offered = String(headers['x-stream-protocol-version'] ?? '').split(/,\s*/)
  if (!offered.includes(KUBE_V4)) throw new OpsError('BAD_REQUEST', `None of the protocols is ${KUBE_V4}: ${escapePeerText(offered.join(', '))}`)
  const isGateway = headers[WINDOW_HEADER] === '1'
  if (socket instanceof Socket) socket.setNoDelay(true).setTimeout(0)
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${KUBE_V4}\r\n${AGENT_HEADER}: 1\r\n\r\n`,
  )
  if (head.length > 0) socket.unshift(head)
  const connection = new SpdyConnection(socket, { side: 'server', ...(limits ? { limits } : {}), ...(isGateway ? { windowBytes: STREAM_WINDOW_BYTES } : {}) })
  return { protocol: KUBE_V4, connection, isGateway }
}

/** Answers an upgrade with the error's HTTP status and a Kubernetes Status, and ends the socket. */
export function refuseUpgrade(socket: Duplex, error: OpsError): void {
  const body = refusalBody(error)
  const status = error.httpStatus
  // The peer may be gone already; there is nobody left to tell.
  socket.on('error', () => socket.destroy())
  socket.on('finish', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** Exec over WebSocket: our own path and Kubernetes', in its channel protocol, so that its clients can talk to it. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { OpsError } from '../core/errors.js'
import type { Identity } from '../core/types.js'
import { KUBE_V4, KUBE_V5 } from '../wire/kube-channel.js'
import { foreign } from './authenticate.js'
import { type ExecDoorParts, FIRST_SIZE_MS, HEARTBEAT_MS } from './exec-parts.js'
import { type AskedExec, isExecUrl, parseExecUrl } from './exec-query.js'
import { WsClientEnd } from './ws-client-end.js'
import type { UpgradeEntry } from './ws-upgrades.js'

export interface WsExecOptions {
  /** Whether a page that connects is one of ours; `Authenticator.isOwnOrigin`. */
  readonly isOwnOrigin: (request: IncomingMessage) => boolean
}

/** One message of stdin; a paste of more comes in several. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
/** RFC 7235 token as a subprotocol: how browsers send one, which cannot set headers (Kubernetes' own form). */
const BEARER_PREFIX = 'base64url.bearer.authorization.k8s.io.'

/** Serves `Upgrade: websocket` at the exec paths. */
export function wsExec(parts: ExecDoorParts, { isOwnOrigin }: WsExecOptions): UpgradeEntry {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    // an echoed key must not wait for a compressor, and a compressor must not learn secrets by their length
    perMessageDeflate: false,
    handleProtocols: (offered) => chosenProtocol([...offered]) ?? false,
  })
  return {
    wants: (request) => isWebSocket(request) && isExecUrl(request.url ?? ''),
    serve: async (request, socket, head) => {
      refuseForeignPage(request, isOwnOrigin)
      const identity = await parts.identify(withBearer(request))
      const asked = parseExecUrl(request.url ?? '')
      const protocol = chosenProtocol(offeredProtocols(request))
      if (protocol === undefined) throw bad(`one of the subprotocols ${KUBE_V5} and ${KUBE_V4} is needed`)
      const release = parts.slots.take(identity.user)
      try {
        const webSocket = await accepted(server, request, socket, head)
        await serve(parts, identity, asked, webSocket, protocol)
      } finally {
        release()
      }
    },
  }
}

async function serve(parts: ExecDoorParts, identity: Identity, asked: AskedExec, socket: WebSocket, protocol: string): Promise<void> {
  const { stdin, stdout, stderr, pty } = asked
  const client = new WsClientEnd(socket, { protocol, tty: pty !== undefined, stdin, stdout, stderr, pingMs: parts.heartbeatMs ?? HEARTBEAT_MS })
  const size = pty && !asked.isSized ? await client.firstSize(FIRST_SIZE_MS) : undefined
  await parts.open(
    {
      door: 'ws',
      identity,
      address: asked.address,
      env: {},
      ...(asked.command !== undefined && { command: asked.command }),
      ...(pty && { pty: size ? { ...pty, size } : pty }),
      observer: {
        opened: ({ session }) => client.opened(session),
        failed: (error, session) => client.failed(error, session),
      },
    },
    client,
  )
  await client.closed
}

/** Answers 101. Never settles for a request that ws refuses: it has then written 400 and ended the socket, whose close rejects. */
function accepted(server: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new OpsError('BAD_REQUEST', 'the WebSocket handshake failed'))
    socket.once('close', onClose)
    server.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('close', onClose)
      resolve(webSocket)
    })
  })
}

function isWebSocket({ headers, method }: IncomingMessage): boolean {
  return method === 'GET' && /^websocket$/i.test(headers.upgrade ?? '')
}

function offeredProtocols({ headers }: IncomingMessage): readonly string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
}

/** The newest that both know; never the one that carries a token. */
function chosenProtocol(offered: readonly string[]): string | undefined {
  return [KUBE_V5, KUBE_V4].find((protocol) => offered.includes(protocol))
}

/** A token that came as a subprotocol, as the header that it stands for. */
function withBearer(request: IncomingMessage): IncomingMessage {
  const carried = offeredProtocols(request).find((name) => name.startsWith(BEARER_PREFIX))
  if (carried === undefined || request.headers.authorization !== undefined) return request
  const token = Buffer.from(carried.slice(BEARER_PREFIX.length), 'base64url').toString()
  if (!/^[\x21-\x7e]+$/.test(token)) throw new OpsError('AUTH_FAILED', 'the token in the subprotocol is none')
  request.headers.authorization = `Bearer ${token}`
  return request
}

/** Programs send no Origin. A page of another site would use the cookie of whoever looks at it. @throws OpsError POLICY_REFUSED */
function refuseForeignPage(request: IncomingMessage, isOwn: WsExecOptions['isOwnOrigin']): void {
  if (request.headers.origin !== undefined && !isOwn(request)) throw foreign('a WebSocket of a foreign origin')
}

function bad(detail: string): OpsError {
  return new OpsError('BAD_REQUEST', `WebSocket refused: ${detail}`, { detail })
}

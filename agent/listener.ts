/** The agent's HTTP listener: mutual TLS, or loopback and unix sockets only. */
import { lstat, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { TLSSocket } from 'node:tls'
import { OpsError } from '../src/core/errors.js'
import { escapePeerText } from '../src/core/log.js'

/** Mutual TLS. */
export interface AgentAuth {
  /** PEM. Only certificates that this CA signed are let in. */
  readonly ca: string | Buffer
  readonly cert: string | Buffer
  readonly key: string | Buffer
  /** Common names of the gateways that may come. */
  readonly gateways: readonly string[]
}
export type AgentListen = { readonly host: string; readonly port: number } | { readonly path: string }

/** Most bytes of the request line and headers together: command lines stand in the URL, and a guarded shell's is some KiB. */
const HEADER_BYTES = 128 * 1024
/**
 * A connection that has not sent its request by then is closed. Gateways open connections ahead of need and keep them for
 * 25 s, so this must be longer. It bounds slow senders too; strangers do not come so far, they have no certificate.
 */
const REQUEST_LIMIT_MS = 60_000
const HANDSHAKE_LIMIT_MS = 10_000

/** @throws OpsError CONFIG_INVALID for an address that others can reach without `auth`, and for keys that do not load */
export function createListener(listen: AgentListen, auth: AgentAuth | undefined): Server {
  if (!auth && 'host' in listen && !isLoopback(listen.host)) {
    throw new OpsError('CONFIG_INVALID', `Cannot listen on ${listen.host} without auth: whoever reaches the agent is root in every container`)
  }
  const options = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: REQUEST_LIMIT_MS,
    requestTimeout: REQUEST_LIMIT_MS,
    keepAliveTimeout: REQUEST_LIMIT_MS,
    connectionsCheckingInterval: 5000,
    noDelay: true,
  }
  if (!auth) return createServer(options)
  try {
    const { ca, cert, key } = auth
    const tls = { ca, cert, key, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', handshakeTimeout: HANDSHAKE_LIMIT_MS } as const
    return createTlsServer({ ...options, ...tls })
  } catch (error) {
    throw new OpsError('CONFIG_INVALID', `Cannot use the agent's certificate: ${(error as Error).message}`, { cause: error })
  }
}

/** 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(host) || host === '::1' || host === 'localhost'
}

/** @throws OpsError CONFIG_INVALID when the address is taken or not ours */
export async function listenOn(server: Server, listen: AgentListen): Promise<AgentListen> {
  if ('path' in listen) await removeStale(listen.path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new OpsError('CONFIG_INVALID', `Cannot listen: ${error.message}`, { cause: error })))
    // Only the owner may connect to a unix socket: it is made under this mask.
    const mask = 'path' in listen ? process.umask(0o177) : undefined
    server.listen(listen, resolve)
    if (mask !== undefined) process.umask(mask)
  })
  if ('path' in listen) return listen
  const { address, port } = server.address() as AddressInfo
  return { host: address, port }
}

/** A socket file whose process died is removed; one that answers, or is no socket, is left and listening fails. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (!found?.isSocket()) return
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (!isAlive) await rm(path)
}

/**
 * Who asks: the common name of the client's certificate; undefined without TLS.
 * @throws OpsError POLICY_REFUSED for a certificate that is good but not a gateway's
 */
export function gatewayOf(request: IncomingMessage, auth: AgentAuth | undefined): string | undefined {
  if (!auth) return undefined
  const name: unknown = request.socket instanceof TLSSocket && request.socket.authorized ? request.socket.getPeerCertificate().subject?.CN : undefined
  if (typeof name === 'string' && auth.gateways.includes(name)) return name
  throw new OpsError('POLICY_REFUSED', `${typeof name === 'string' ? `"${escapePeerText(name)}"` : 'The caller'} is not among the gateways of this agent`)
}

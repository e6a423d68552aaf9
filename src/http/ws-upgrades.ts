/** The one listener for upgrades of the HTTP server: each belongs to the first entry that wants it, and nobody else's is left hanging. */
import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { OpsError, toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'

export interface UpgradeEntry {
  /** Looks at the path, and at nothing that a peer could make expensive. */
  readonly wants: (request: IncomingMessage) => boolean
  /** Answers 101 and serves, or throws before it has written anything; then the refusal is written for it. */
  readonly serve: (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>
}

/** Installs the listener. Register it once, with every entry. */
export function upgradeRoutes(entries: readonly UpgradeEntry[], log: Logger): (app: FastifyInstance) => void {
  return (app) => {
    const sockets = new Set<Duplex>()
    app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // until somebody serves it, nobody else hears that it broke
      const onError = () => socket.destroy()
      socket.on('error', onError)
      const entry = entries.find(({ wants }) => wants(request))
      const serving = entry ? entry.serve(request, socket, head) : Promise.reject(new OpsError('NOT_FOUND', 'nothing can be upgraded here'))
      serving.catch((thrown: unknown) => {
        const error = toOpsError(thrown)
        const path = (request.url ?? '').split('?', 1)[0]
        log.info({ path, code: error.code, reason: error.message }, 'http.upgrade.refused')
        refuseUpgrade(socket, error)
      })
    })
    // upgraded sockets are no requests: a close that waited for them would wait for their peers
    app.addHook('preClose', async () => {
      for (const socket of sockets) socket.destroy()
    })
  }
}

/** A Kubernetes Status whose `code` is the HTTP status, with our own words beside it: kubectl prints `message`. */
export function refuseUpgrade(socket: Duplex, error: OpsError): void {
  const body = JSON.stringify(kubeStatus(error))
  const status = error.httpStatus
  socket.on('finish', () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

/** Kubernetes' words for our HTTP statuses: its clients choose their message by them. */
const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
}

/** An error as a Kubernetes Status. */
export function kubeStatus(error: OpsError): object {
  const causes = [{ reason: 'DockinCode', message: error.code }]
  const reason = REASONS[error.httpStatus] ?? 'InternalError'
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: `dockin: ${error.userText}`,
    reason,
    details: { causes },
    code: error.httpStatus,
  }
}

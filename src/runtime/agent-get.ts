/** A small GET on a connection to an agent. */
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { abortReason, OpsError } from '../core/errors.js'
import { readLimited } from './read-limited.js'

/** What an agent says of thousands of containers. */
const ANSWER_BYTES = 8 * 1024 * 1024

/** Uses `socket` up. @throws OpsError TARGET_UNREACHABLE when no answer came */
export function agentGet(socket: Socket, node: string, path: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const get = request({ host: node, path, signal, createConnection: () => socket, headers: { connection: 'close' } })
    get.on('response', (response) => {
      readLimited(response, ANSWER_BYTES)
        .then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
        .finally(() => socket.destroy())
    })
    get.on('error', (error) => {
      socket.destroy()
      if (signal.aborted) reject(abortReason(signal))
      else reject(new OpsError('TARGET_UNREACHABLE', `Cannot ask agent on ${node}: ${error.message}`, { cause: error }))
    })
    get.end()
  })
}

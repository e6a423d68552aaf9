/** Opens execs on an API server in the way it speaks: WebSocket v5, WebSocket v4 or SPDY. */
import { WebSocket } from 'ws'
import { abortReason, OpsError } from '../core/errors.js'
import type { RemoteProcess, Target, WindowSize } from '../core/types.js'
import { openExecLanes } from '../wire/exec-lanes-client.js'
import { KUBE_V4, KUBE_V5 } from '../wire/kube-channel.js'
import { KubeWebSocketProcess } from '../wire/kube-websocket.js'
import { refusalError } from '../wire/spdy/refusal.js'
import { readBody, upgradeClient } from '../wire/spdy/upgrade-client.js'
import { WebSocketDuplex } from '../wire/ws-duplex.js'
import { keepAlive } from './keep-alive.js'
import type { KubeApi } from './kube-api.js'

export type KubeTransportName = 'websocket' | 'spdy'

export interface KubeExec {
  readonly argv: readonly string[]
  readonly tty: boolean
  readonly size?: WindowSize
}

const HANDSHAKE_MS = 10_000
/** A dead API server is noticed after at most two of these. */
const PING_MS = 7000
/** Of one message; API servers send 32 KiB at a time. */
const MESSAGE_BYTES = 16 * 1024 * 1024

/** Refusals that every way of asking would give. */
const FINAL_CODES: ReadonlySet<string> = new Set(['TARGET_GONE', 'TARGET_UNKNOWN', 'TARGET_NOT_RUNNING'])

/**
 * Remembers what the server speaks. v4 over WebSocket cannot say that stdin has ended, so without a terminal only v5 or
 * SPDY will do; a terminal has no end of input and takes v4 too. WebSocket needs the right to `get` pods/exec and SPDY
 * the right to `create` it: a refusal of one is no answer for the other.
 */
export class KubeTransport {
  readonly #api: KubeApi
  readonly #allowed: readonly KubeTransportName[]
  /** Which WebSocket protocols the server refuses; empty at first. */
  readonly #refused = new Set<string>()

  /** @param allowed both by default; tests take one at a time */
  constructor(api: KubeApi, allowed: readonly KubeTransportName[] = ['websocket', 'spdy']) {
    this.#api = api
    this.#allowed = allowed
  }

  /**
   * Resolves when the lanes are open; whether the program runs is not known yet.
   * @throws OpsError TARGET_GONE, TARGET_UNKNOWN, TARGET_NOT_RUNNING, TARGET_UNREACHABLE
   */
  async open(target: Target, exec: KubeExec, signal: AbortSignal): Promise<RemoteProcess> {
    const offers = this.#offers(exec.tty)
    if (offers.length > 0) {
      const answer = await this.#openWebSocket(target, exec, offers, signal)
      if (!(answer instanceof OpsError)) return answer
      if (FINAL_CODES.has(answer.code) || !this.#allowed.includes('spdy')) throw answer
    }
    const process = await this.#openSpdy(target, exec, signal)
    // SPDY did what these could not: not to be asked again.
    for (const offer of offers) this.#refused.add(offer)
    return process
  }

  #offers(tty: boolean): string[] {
    if (!this.#allowed.includes('websocket')) return []
    const isLast = !this.#allowed.includes('spdy')
    return [KUBE_V5, ...(tty || isLast ? [KUBE_V4] : [])].filter((protocol) => !this.#refused.has(protocol))
  }

  async #openSpdy(target: Target, exec: KubeExec, signal: AbortSignal): Promise<RemoteProcess> {
    const subject = `API server of ${this.#api.name}`
    const { connection } = await upgradeClient(
      {
        subject,
        secure: this.#api.isSecure,
        connection: await this.#api.options(),
        path: this.#path(target, exec),
        protocols: [KUBE_V4],
        timeoutMs: HANDSHAKE_MS,
      },
      signal,
    )
    keepAlive(connection, subject)
    const lanes = { stdin: true, stdout: true, stderr: !exec.tty, tty: exec.tty, signals: false, via: 'apiserver v4 spdy' }
    return openExecLanes(connection, exec.size ? { ...lanes, size: exec.size } : lanes, signal)
  }

  /** @returns an OpsError when the server answered and refused @throws OpsError when it did not answer */
  async #openWebSocket(target: Target, exec: KubeExec, offers: readonly string[], signal: AbortSignal): Promise<RemoteProcess | OpsError> {
    const options = await this.#api.options()
    if (signal.aborted) throw abortReason(signal)
    const { server } = this.#api
    const url = `${server.protocol === 'https:' ? 'wss' : 'ws'}://${server.host}${this.#path(target, exec)}`
    const subject = `API server of ${this.#api.name}`
    return new Promise((resolve, reject) => {
      const { host: _host, port: _port, ...rest } = options
      const socket = new WebSocket(url, [...offers], { ...rest, perMessageDeflate: false, handshakeTimeout: HANDSHAKE_MS, maxPayload: MESSAGE_BYTES })
      const onAbort = () => {
        socket.terminate()
        reject(abortReason(signal))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const settled = () => signal.removeEventListener('abort', onAbort)
      socket.on('error', (error) => {
        settled()
        reject(new OpsError('TARGET_UNREACHABLE', `Cannot reach the ${subject}: ${error.message}`, { cause: error }))
      })
      socket.on('unexpected-response', (request, response) => {
        void readBody(response).then((body) => {
          settled()
          request.destroy()
          resolve(refusalError(subject, response.statusCode ?? 0, body))
        })
      })
      socket.on('open', () => {
        settled()
        const { protocol } = socket
        if (protocol !== KUBE_V5) this.#refused.add(KUBE_V5)
        const via = `apiserver ${protocol === KUBE_V5 ? 'v5' : 'v4'} websocket`
        const messages = new WebSocketDuplex(socket, { messages: true, pingMs: PING_MS })
        const request = { tty: exec.tty, protocol, via }
        resolve(new KubeWebSocketProcess(messages, exec.size ? { ...request, size: exec.size } : request, signal))
      })
    })
  }

  #path(target: Target, exec: KubeExec): string {
    const query = new URLSearchParams({ container: target.container, stdin: 'true', stdout: 'true' })
    query.set(exec.tty ? 'tty' : 'stderr', 'true')
    for (const word of exec.argv) query.append('command', word)
    const pod = `/api/v1/namespaces/${encodeURIComponent(target.namespace)}/pods/${encodeURIComponent(target.pod)}`
    return this.#api.path(`${pod}/exec`, query)
  }
}

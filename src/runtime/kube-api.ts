/** The API server of one cluster: where it is, and how to prove who we are. Credentials and proxies are client-node's work. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { abortReason, OpsError } from '../core/errors.js'
import { readBody } from '../wire/spdy/upgrade-client.js'

export class KubeApi {
  readonly name: string
  readonly #kubeconfig: KubeConfig
  /** Keeps TLS sessions, so that the next handshake is short; client-node makes a new agent for each request. */
  readonly #agent = new Agent({ keepAlive: false })

  /** @param name of the cluster, for messages @throws OpsError CONFIG_INVALID without a current context */
  constructor(name: string, kubeconfig: KubeConfig) {
    this.name = name
    this.#kubeconfig = kubeconfig
    if (!kubeconfig.getCurrentCluster()) throw new OpsError('CONFIG_INVALID', `The kubeconfig of cluster ${name} has no current context`)
  }

  get server(): URL {
    return new URL(this.#kubeconfig.getCurrentCluster()?.server ?? 'http://invalid')
  }

  get isSecure(): boolean {
    return this.server.protocol === 'https:'
  }

  /** Path below the server's own, with a query. */
  path(path: string, query: URLSearchParams): string {
    return `${this.server.pathname.replace(/\/$/, '')}${path}?${query}`
  }

  /** Fresh for each request: tokens expire, and exec plugins renew them. @throws OpsError TARGET_UNREACHABLE when there are no credentials */
  async options(): Promise<RequestOptions> {
    const options: RequestOptions = {}
    try {
      await this.#kubeconfig.applyToHTTPSOptions(options)
    } catch (error) {
      throw new OpsError('TARGET_UNREACHABLE', `No credentials for cluster ${this.name}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
    const hasProxy = this.#kubeconfig.getCurrentCluster()?.proxyUrl !== undefined
    if (!this.isSecure) delete options.agent
    else if (!hasProxy) options.agent = this.#agent
    const { hostname, port } = this.server
    return { ...options, host: hostname.replace(/^\[|\]$/g, ''), port: port || (this.isSecure ? 443 : 80) }
  }

  /** A GET whose body is small. @throws OpsError TARGET_UNREACHABLE when no answer came */
  async get(path: string, signal: AbortSignal): Promise<{ status: number; body: string }> {
    const answer = await this.stream(path, new URLSearchParams(), signal)
    return { status: answer.statusCode ?? 0, body: await readBody(answer) }
  }

  /** A GET; resolves at the head of its answer, whose body is the caller's. @throws OpsError TARGET_UNREACHABLE when no answer came */
  async stream(path: string, query: URLSearchParams, signal: AbortSignal): Promise<IncomingMessage> {
    const options = { ...(await this.options()), path: this.path(path, query), signal }
    return new Promise((resolve, reject) => {
      const request = this.isSecure ? httpsRequest(options) : httpRequest(options)
      request.on('response', resolve)
      request.on('error', (error) => {
        if (signal.aborted) reject(abortReason(signal))
        else reject(new OpsError('TARGET_UNREACHABLE', `Cannot reach the API server of ${this.name}: ${error.message}`, { cause: error }))
      })
      request.end()
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

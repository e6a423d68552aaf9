/**
 * GET against a Kubernetes API server. client-node serves for the kubeconfig and its ways to log in (exec plugins, OIDC,
 * token files, client certificates) and nothing else: it has no paging, no bookmarks and no back-pressure (ecosystem.md s2.1).
 */
import http from 'node:http'
import https from 'node:https'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { KubeConfig } from '@kubernetes/client-node'
import { escapePeerText } from '../core/log.js'
import { isRecord } from './json-lines.js'
import { BadAnswer, ExpiredVersion } from './pod-source.js'
import { raced } from './raced.js'

export interface KubeApiOptions {
  /** Path of a kubeconfig. */
  readonly kubeconfig: string
  /** The file's current context when absent. */
  readonly context?: string
  /** How long a log-in plugin, the connection and the answer's head may take together. Default 15 s. */
  readonly answerTimeoutMs?: number
}

/** Of an error's body: a Status object is far smaller. */
const MAX_ERROR_BYTES = 64 * 1024
const ANSWER_TIMEOUT_MS = 15_000

export class KubeApi {
  readonly #options: KubeApiOptions
  readonly #agents = { 'https:': new https.Agent({ keepAlive: true }), 'http:': new http.Agent({ keepAlive: true }) }
  #config: Promise<KubeConfig> | undefined

  constructor(options: KubeApiOptions) {
    this.#options = options
  }

  /**
   * Sends a GET and resolves with the body, inflated, once the server has answered 200.
   * The caller reads or destroys the body; aborting `signal` destroys it too.
   * @param path with its query, below the server's own path
   * @throws BadAnswer (any other status), ExpiredVersion (410), or what the network threw
   */
  async get(path: string, signal: AbortSignal): Promise<Readable> {
    const head = new AbortController()
    const timeoutMs = this.#options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS
    const timer = setTimeout(() => head.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    try {
      const both = AbortSignal.any([signal, head.signal])
      const options = await raced(this.#requestOptions(path), both)
      const response = await answer(options, signal, both)
      if (response.statusCode === 200) return body(response)
      throw await refusal(path, response, both)
    } catch (error) {
      // Whatever it was, the file may have been replaced: certificates and tokens are rotated that way.
      this.#config = undefined
      throw head.signal.aborted && !signal.aborted ? head.signal.reason : error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Drops idle connections. Bodies that are still read belong to their callers. */
  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy()
  }

  async #requestOptions(path: string): Promise<https.RequestOptions & { readonly protocol: string }> {
    this.#config ??= loadConfig(this.#options)
    const config = await this.#config
    const cluster = config.getCurrentCluster()
    if (!cluster) throw new Error(`kubeconfig "${this.#options.kubeconfig}" names no cluster`)
    const url = new URL(cluster.server)
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`kubeconfig "${this.#options.kubeconfig}": server is no http URL`)
    const options: https.RequestOptions = { headers: {} }
    await config.applyToHTTPSOptions(options)
    return {
      ...options,
      // client-node makes an agent for every request, which would mean a TLS handshake for each page; only its proxy agents are needed.
      agent: cluster.proxyUrl ? options.agent : this.#agents[url.protocol],
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port,
      path: url.pathname.replace(/\/$/, '') + path,
      method: 'GET',
      headers: { ...options.headers, accept: 'application/json', 'accept-encoding': 'gzip', 'user-agent': 'dockin-ops' },
    }
  }
}

/** Imported on first use: with its generated API it takes half a second and 80 MB, which a gateway without Kubernetes need not pay. */
async function loadConfig(options: KubeApiOptions): Promise<KubeConfig> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromFile(options.kubeconfig)
  if (options.context !== undefined) config.setCurrentContext(options.context)
  return config
}

/** `head` bounds the time until the answer's head, `signal` the whole of it. */
function answer(options: https.RequestOptions & { readonly protocol: string }, signal: AbortSignal, head: AbortSignal): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (options.protocol === 'http:' ? http : https).request({ ...options, signal })
    const giveUp = () => request.destroy(head.reason instanceof Error ? head.reason : new Error('aborted'))
    head.addEventListener('abort', giveUp, { once: true })
    if (head.aborted) giveUp()
    request.once('response', (response) => {
      head.removeEventListener('abort', giveUp)
      // Errors after this moment belong to the body's reader; one that comes before it listens must not end the process.
      response.on('error', () => undefined)
      resolve(response)
    })
    request.on('error', (error) => {
      head.removeEventListener('abort', giveUp)
      reject(error)
    })
    request.end()
  })
}

function body(response: http.IncomingMessage): Readable {
  if (response.headers['content-encoding'] !== 'gzip') return response
  // The callback is what makes pipeline destroy both; the error itself reaches the reader of the gunzip.
  return pipeline(response, createGunzip(), () => undefined)
}

/** The error that an answer other than 200 stands for; its text is the server's own, escaped. */
async function refusal(path: string, response: http.IncomingMessage, signal: AbortSignal): Promise<Error> {
  const status = response.statusCode ?? 0
  let text = ''
  try {
    text = (await readAll(body(response), MAX_ERROR_BYTES, signal)).toString('utf8')
  } catch (error) {
    text = `unreadable body: ${error instanceof Error ? error.message : String(error)}`
  }
  const message = `GET ${path.replace(/\?.*/, '')}: HTTP ${status}: ${escapePeerText(statusMessage(text))}`
  return status === 410 ? new ExpiredVersion(message) : new BadAnswer(message, { status })
}

function statusMessage(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value) && typeof value.message === 'string') return value.message
  } catch {
    return text // A proxy's own page.
  }
  return text
}

/**
 * Reads a stream to its end.
 * @throws BadAnswer above `maxBytes`; the reason when `signal` aborts first
 */
export async function readAll(stream: Readable, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const giveUp = () => stream.destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new BadAnswer(`answer longer than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, bytes)
  } finally {
    signal.removeEventListener('abort', giveUp)
    stream.destroy()
  }
}

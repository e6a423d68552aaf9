/** A client of Dockin-rm's HTTP interface. Its answers are outside text: parsed at the edge, bounded in size and time, kept for a while. */
import { OpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import { type RmPod, rmClusterSchema, rmEnvelopeSchema, rmPodsSchema } from '../wire/api/resource-manager.js'
import { raced } from './raced.js'
import type { ResourceManager } from './resource-manager.js'

export interface RmClientOptions {
  /** With the path up to the methods: "http://rm.example.org:10002/rmController". */
  readonly url: string
  /** Of one request, with its answer. Default 5 s. */
  readonly timeoutMs?: number
  /** How long an answer counts. Default 30 s; 0 asks every time. */
  readonly cacheMs?: number
  /** Sent as a bearer, for a resource manager that asks for one: another gateway of ours does. */
  readonly token?: string
  readonly log: Logger
  readonly now?: () => number
}

const TIMEOUT_MS = 5000
const CACHE_MS = 30_000
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
/** Answers kept at most; the oldest go first. */
const MAX_CACHED = 1000

export class RmClient implements ResourceManager {
  readonly name: string
  readonly #options: RmClientOptions
  readonly #now: () => number
  readonly #answers = new Map<string, { readonly until: number; readonly answer: Promise<unknown> }>()
  readonly #closing = new AbortController()

  constructor(options: RmClientOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.name = new URL(options.url).host
  }

  byPodName(podName: string, signal: AbortSignal): Promise<readonly RmPod[]> {
    return this.#pods('getPodInfoByPodName', { podName }, signal)
  }
  byPodIp(podIp: string, signal: AbortSignal): Promise<readonly RmPod[]> {
    return this.#pods('getPodInfoByPodIp', { podIp }, signal)
  }
  byHostIp(hostIp: string, signal: AbortSignal): Promise<readonly RmPod[]> {
    return this.#pods('getPodInfoByHostIp', { hostIp }, signal)
  }
  bySubsystem(subsystem: string, dcn: string | undefined, signal: AbortSignal): Promise<readonly RmPod[]> {
    return this.#pods('getPodInfoBySubsystem', { ...(subsystem !== '' && { subsystem }), ...(dcn !== undefined && { dcn }) }, signal)
  }
  byPodSetId(podSetId: string, signal: AbortSignal): Promise<readonly RmPod[]> {
    return this.#pods('getPodInfoByPodSetId', { podSetId }, signal)
  }
  async byPodNames(podNames: readonly string[], signal: AbortSignal): Promise<readonly RmPod[]> {
    return rmPodsOf('getPodInfosByPodNameList', await this.#ask('getPodInfosByPodNameList', {}, signal, podNames))
  }
  async clusterIdOf(hostIp: string, signal: AbortSignal): Promise<string | undefined> {
    const data = await this.#ask('getClusterId', { hostIp }, signal)
    if (data === null || data === undefined) return undefined
    const result = rmClusterSchema.safeParse(data)
    if (!result.success) throw misunderstood('getClusterId', 'no clusterId')
    return result.data.clusterId === '' ? undefined : result.data.clusterId
  }

  close(): void {
    this.#closing.abort(new OpsError('DRAINING', 'the gateway has closed'))
    this.#answers.clear()
  }

  async #pods(method: string, query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<readonly RmPod[]> {
    return rmPodsOf(method, await this.#ask(method, query, signal))
  }

  /** One request for all who ask the same; a failure is not kept. The one who asks may leave, the request goes on for the others. */
  async #ask(method: string, query: Readonly<Record<string, string>>, signal: AbortSignal, body?: readonly string[]): Promise<unknown> {
    const path = `${method}?${new URLSearchParams(query)}`
    const key = body ? `${path} ${JSON.stringify(body)}` : path
    const kept = this.#answers.get(key)
    if (kept && kept.until > this.#now()) return raced(kept.answer, signal)
    this.#answers.delete(key)
    const answer = this.#fetch(method, path, body)
    this.#answers.set(key, { until: this.#now() + (this.#options.cacheMs ?? CACHE_MS), answer })
    answer.catch(() => this.#answers.get(key)?.answer === answer && this.#answers.delete(key))
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MAX_CACHED) break
      this.#answers.delete(oldest)
    }
    return raced(answer, signal)
  }

  /** @returns `data` of the envelope; undefined when the resource manager says that there is nothing */
  async #fetch(method: string, path: string, body: readonly string[] | undefined): Promise<unknown> {
    const timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)])
    const url = `${this.#options.url.replace(/\/$/, '')}/${path}`
    const post = body && { method: 'POST', body: JSON.stringify(body) }
    let text: string
    try {
      const response = await fetch(url, { headers: this.#headers(), redirect: 'error', signal, ...post })
      text = await readText(response)
      if (!response.ok) throw new Error(`HTTP ${response.status}`)
    } catch (error) {
      throw this.#away(method, error, timeoutMs)
    }
    return this.#dataOf(method, text)
  }

  #headers(): Readonly<Record<string, string>> {
    const { token } = this.#options
    return { 'content-type': 'application/json', accept: 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) }
  }

  #dataOf(method: string, text: string): unknown {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      throw misunderstood(method, 'not JSON', error)
    }
    const result = rmEnvelopeSchema.safeParse(value)
    if (!result.success) throw misunderstood(method, 'no {code, data}')
    const { code, message, data } = result.data
    if (code === 0) return data
    // the original has one code for "none found" and for its own trouble: it is told, and taken as none
    this.#options.log.info({ method, code, message: escapePeerText(message ?? '') }, 'rm.refused')
    return undefined
  }

  #away(method: string, error: unknown, timeoutMs: number): OpsError {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : error instanceof Error ? error.message : String(error)
    const why = error instanceof DOMException && error.name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : cause
    const detail = `the resource manager ${escapePeerText(this.name)} does not answer: ${escapePeerText(why)}`
    return new OpsError('TARGET_UNREACHABLE', `${method}: ${detail}`, { cause: error, detail })
  }
}

/** @throws OpsError PROTOCOL_ERROR */
function rmPodsOf(method: string, data: unknown): readonly RmPod[] {
  const result = rmPodsSchema.safeParse(data)
  if (!result.success) throw misunderstood(method, 'no pods')
  return result.data.filter(({ podName }) => podName !== '')
}

function misunderstood(method: string, what: string, cause?: unknown): OpsError {
  const detail = `the resource manager's answer to ${method} cannot be understood: ${what}`
  return new OpsError('PROTOCOL_ERROR', detail, { cause, detail })
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** The pods of one Kubernetes cluster, or of one of its namespaces, as a PodSource. Kubernetes API Concepts: "Efficient detection of changes", "Retrieving large results sets in chunks". */
import type { PodFacts } from './inventory.js'
import { isRecord, JsonLines, MAX_LINE_BYTES } from './json-lines.js'
import { type KubeApi, readAll } from './kube-api.js'
import { type PodFactsOptions, podFacts } from './pod-facts.js'
import { BadAnswer, ExpiredVersion, type PodEvent, type PodSource } from './pod-source.js'

export interface KubeListWatchOptions {
  readonly api: KubeApi
  readonly facts: PodFactsOptions
  /** All namespaces when absent. */
  readonly namespace?: string
  /** Pods in a page; a page is parsed in one go, and 250 pods of 10 KB take about 20 ms of it. Default 250. */
  readonly pageSize?: number
  /** A watch without a complete event for so long is begun anew. API servers send a bookmark about once a minute, so a quiet cluster costs one request each time. Default 40 s. */
  readonly idleTimeoutMs?: number
  /** For one page, head and body. Default 60 s. */
  readonly pageTimeoutMs?: number
  readonly maxLineBytes?: number
}

/** 250 pods at the 1.5 MiB that etcd takes would be more; real pods have 5 to 20 KB. */
const MAX_PAGE_BYTES = 128 * 2 ** 20
const MAX_PAGE_SIZE = 4000

export class KubeListWatch implements PodSource {
  readonly name: string
  readonly resumable = true
  readonly #options: KubeListWatchOptions
  readonly #path: string
  readonly #pageSize: number
  /** Grows when a list outlives its continue token (five minutes, by default), so that the next one needs fewer pages. */
  #currentPageSize: number

  constructor(options: KubeListWatchOptions) {
    this.#options = options
    this.name = options.namespace === undefined ? options.facts.cluster : `${options.facts.cluster}/${options.namespace}`
    this.#path = options.namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(options.namespace)}/pods`
    this.#pageSize = options.pageSize ?? 250
    this.#currentPageSize = this.#pageSize
  }

  /** @throws ExpiredVersion, BadAnswer, or what the network threw */
  async list(page: (pods: readonly PodFacts[]) => void, signal: AbortSignal): Promise<string> {
    try {
      for (let token = ''; ; ) {
        const answer = await this.#page(token, signal)
        page(answer.pods)
        if (answer.next === '') {
          this.#currentPageSize = this.#pageSize
          return answer.version
        }
        if (answer.next === token) throw new BadAnswer(`list ${this.name}: the same page again`)
        token = answer.next
      }
    } catch (error) {
      if (error instanceof ExpiredVersion) this.#currentPageSize = Math.min(MAX_PAGE_SIZE, this.#currentPageSize * 4)
      throw error
    }
  }

  async *watch(version: string, signal: AbortSignal): AsyncGenerator<PodEvent> {
    const idle = new AbortController()
    const idleMs = this.#options.idleTimeoutMs ?? 40_000
    const timer = setTimeout(() => idle.abort(new Error('idle')), idleMs)
    // Between 5 and 10 minutes, at random: the server ends the watch then, and not all of them at once.
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: version,
      timeoutSeconds: String(300 + Math.floor(Math.random() * 300)),
    })
    let opened = false
    try {
      const body = await this.#options.api.get(`${this.#path}?${query}`, AbortSignal.any([signal, idle.signal]))
      try {
        opened = true
        yield { kind: 'mark' }
        const lines = new JsonLines(this.#options.maxLineBytes ?? MAX_LINE_BYTES)
        for await (const chunk of body as AsyncIterable<Buffer>) {
          for (const line of lines.push(chunk)) {
            const event = this.#event(line)
            // Whole events only: a peer that drips bytes is as good as silent.
            timer.refresh()
            yield event
          }
        }
        if (lines.pendingBytes > 0) throw new BadAnswer(`watch ${this.name}: cut within a line`)
      } finally {
        body.destroy()
      }
    } catch (error) {
      // Silence ends a watch that was accepted; whether the cluster still answers, the next one shows.
      if (!(opened && idle.signal.aborted && !signal.aborted)) throw error
    } finally {
      clearTimeout(timer)
    }
  }

  async #page(token: string, signal: AbortSignal): Promise<{ readonly pods: PodFacts[]; readonly next: string; readonly version: string }> {
    const timeout = AbortSignal.timeout(this.#options.pageTimeoutMs ?? 60_000)
    const both = AbortSignal.any([signal, timeout])
    const query = new URLSearchParams({ limit: String(this.#currentPageSize), ...(token === '' ? {} : { continue: token }) })
    const body = await this.#options.api.get(`${this.#path}?${query}`, both)
    const list = this.#parse(await readAll(body, MAX_PAGE_BYTES, both))
    const meta = isRecord(list.metadata) ? list.metadata : {}
    const items = list.items ?? []
    if (!Array.isArray(items) || typeof meta.resourceVersion !== 'string') throw new BadAnswer(`list ${this.name}: no PodList`)
    const pods = items.map((item) => podFacts(item, this.#options.facts)).filter((pod) => pod !== undefined)
    return { pods, next: typeof meta.continue === 'string' ? meta.continue : '', version: meta.resourceVersion }
  }

  #parse(bytes: Buffer): Readonly<Record<string, unknown>> {
    let value: unknown
    try {
      value = JSON.parse(bytes.toString('utf8'))
    } catch (cause) {
      throw new BadAnswer(`list ${this.name}: not JSON`, { cause })
    }
    if (!isRecord(value)) throw new BadAnswer(`list ${this.name}: not an object`)
    return value
  }

  #event(line: Readonly<Record<string, unknown>>): PodEvent {
    const object = isRecord(line.object) ? line.object : {}
    const meta = isRecord(object.metadata) ? object.metadata : {}
    const version = typeof meta.resourceVersion === 'string' && meta.resourceVersion !== '' ? { version: meta.resourceVersion } : {}
    if (line.type === 'BOOKMARK') return { kind: 'mark', ...version }
    if (line.type === 'ERROR') throw this.#watchError(object)
    if (line.type !== 'ADDED' && line.type !== 'MODIFIED' && line.type !== 'DELETED') throw new BadAnswer(`watch ${this.name}: unknown event type`)
    const pod = podFacts(object, this.#options.facts)
    if (pod === undefined) throw new BadAnswer(`watch ${this.name}: an event without a pod`)
    return line.type === 'DELETED' ? { kind: 'gone', uid: pod.uid, ...version } : { kind: 'set', pod, ...version }
  }

  #watchError(status: Readonly<Record<string, unknown>>): Error {
    const message = `watch ${this.name}: ${String(status.message)}`
    const expired = status.code === 410 || status.reason === 'Expired' || status.reason === 'Gone'
    return expired ? new ExpiredVersion(message) : new BadAnswer(message)
  }
}

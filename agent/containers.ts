/** Which containers run here, and which pod each belongs to. Kept current by the daemon's events. */
import { setTimeout as sleep } from 'node:timers/promises'
import { abortReason, OpsError } from '../src/core/errors.js'
import type { Logger } from '../src/core/log.js'
import type { NodeContainer } from '../src/core/types.js'
import type { DockerApi, DockerContainerInfo, DockerEvent } from './docker-api.js'

/** Labels that kubelet sets on what it starts (dockershim; cri-dockerd sets the same). */
const LABEL = {
  pod: 'io.kubernetes.pod.name',
  namespace: 'io.kubernetes.pod.namespace',
  uid: 'io.kubernetes.pod.uid',
  container: 'io.kubernetes.container.name',
  kind: 'io.kubernetes.docker.type',
} as const
/** Namespace of containers that no kubelet started. */
export const PLAIN_NAMESPACE = 'docker'
/** The wait before the event stream is opened again, doubled with each failure up to the second. */
const RECONNECT_MS = [100, 5000] as const

/**
 * What a container is called as a pod. On a plain docker host the pod and its container have the container's name, and
 * the uid is the container's id. Undefined for a pod's sandbox ("pause"), in which nothing can be started.
 */
export function describeContainer(info: DockerContainerInfo): NodeContainer | undefined {
  const { labels, id } = info
  if (labels[LABEL.kind] === 'podsandbox' || labels[LABEL.container] === 'POD') return undefined
  const [pod, namespace, uid, container] = [labels[LABEL.pod], labels[LABEL.namespace], labels[LABEL.uid], labels[LABEL.container]]
  if (pod && namespace && uid && container) return { id, pod, namespace, uid, container }
  const name = (info.names[0] ?? id).replace(/^\//, '')
  return { id, pod: name, namespace: PLAIN_NAMESPACE, uid: id, container: name }
}

export class DockerContainers {
  readonly #api: DockerApi
  readonly #log: Logger
  readonly #stop = new AbortController()
  #known: ReadonlyMap<string, NodeContainer> = new Map()
  #isCurrent = false
  #following: Promise<void> | undefined
  #reading: Promise<void> | undefined

  constructor(api: DockerApi, log: Logger) {
    this.#api = api
    this.#log = log
  }

  /** The containers that run, from memory while the daemon's events come in, else by asking. @throws OpsError TARGET_UNREACHABLE */
  async list(signal: AbortSignal): Promise<readonly NodeContainer[]> {
    this.#following ??= this.#follow()
    if (!this.#isCurrent) await this.#read(signal)
    return [...this.#known.values()]
  }

  /** One of them; asks the daemon before it says that there is none, for events may be a moment late. */
  async find(matches: (one: NodeContainer) => boolean, signal: AbortSignal): Promise<NodeContainer | undefined> {
    const found = (await this.list(signal)).find(matches)
    if (found) return found
    await this.#read(signal)
    return [...this.#known.values()].find(matches)
  }

  async close(): Promise<void> {
    this.#stop.abort(new OpsError('TARGET_UNREACHABLE', 'The agent is stopping'))
    await this.#following
  }

  /** Callers that come while one asks share its answer. */
  async #read(signal: AbortSignal): Promise<void> {
    this.#reading ??= this.#load().finally(() => {
      this.#reading = undefined
    })
    const reading = this.#reading
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(abortReason(signal))
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      reading.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
  }

  async #load(): Promise<void> {
    const infos = await this.#api.containers(this.#stop.signal)
    const described = infos.map(describeContainer).filter((one) => one !== undefined)
    this.#known = new Map(described.map((one) => [one.id, one]))
  }

  async #follow(): Promise<void> {
    let [waitMs] = RECONNECT_MS as readonly [number, number]
    while (!this.#stop.signal.aborted) {
      try {
        for await (const event of this.#api.events(this.#stop.signal)) {
          await this.#apply(event)
          waitMs = RECONNECT_MS[0]
        }
        this.#log.warn({}, 'docker.events.ended')
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#log.warn({ error }, 'docker.events.failed')
      }
      this.#isCurrent = false
      await sleep(waitMs, undefined, { signal: this.#stop.signal }).catch(() => {})
      waitMs = Math.min(waitMs * 2, RECONNECT_MS[1])
    }
  }

  async #apply(event: DockerEvent): Promise<void> {
    if (event.action === 'die' || event.action === 'destroy') {
      const known = new Map(this.#known)
      known.delete(event.containerId)
      this.#known = known
      return
    }
    // The event has the labels but the list has the same form for all; starts are rare.
    await this.#load()
    this.#isCurrent = true
  }
}

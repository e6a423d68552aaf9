/** Containers of one docker host as a PodSource: GET /containers/json and GET /events (docker API v1.41). */
import type { Readable } from 'node:stream'
import type Docker from 'dockerode'
import type { ContainerFacts, PodFacts } from './inventory.js'
import { isRecord, JsonLines } from './json-lines.js'
import type { PodEvent, PodSource } from './pod-source.js'
import { raced } from './raced.js'

export interface DockerSourceOptions {
  readonly docker: Docker
  readonly cluster: string
  readonly includeKubelet: boolean
  /** Everything is read again after so long without an event: a dead TCP peer is noticed, and nothing stays wrong for longer. Default 60 s. */
  readonly idleTimeoutMs?: number
}

export const DOCKER_NAMESPACE = 'docker'
const KUBELET_POD_LABEL = 'io.kubernetes.pod.name'
/** For each question. */
const ANSWER_TIMEOUT_MS = 15_000
/** What changes a container's facts; the exec_* events of our own sessions are not among them. */
const EVENTS = ['create', 'start', 'restart', 'die', 'oom', 'pause', 'unpause', 'rename', 'update', 'destroy']

export class DockerSource implements PodSource {
  readonly name: string
  /** The daemon keeps only its last 256 events: after a lost connection a list is the one way to be sure. */
  readonly resumable = false
  readonly #options: DockerSourceOptions
  #node = ''

  constructor(options: DockerSourceOptions) {
    this.#options = options
    this.name = options.cluster
  }

  /** The version is the daemon's own time before the list: its events are asked from there, so none falls in between. */
  async list(page: (pods: readonly PodFacts[]) => void, signal: AbortSignal): Promise<string> {
    const info: unknown = await this.#ask(signal, () => this.#options.docker.info())
    const facts = isRecord(info) ? info : {}
    this.#node = typeof facts.Name === 'string' ? facts.Name : ''
    const ms = Date.parse(String(facts.SystemTime))
    page(await this.#containers(signal))
    return ((Number.isNaN(ms) ? Date.now() : ms) / 1000).toFixed(3)
  }

  async *watch(version: string, signal: AbortSignal): AsyncGenerator<PodEvent> {
    const idle = new AbortController()
    const timer = setTimeout(() => idle.abort(new Error('idle')), this.#options.idleTimeoutMs ?? 60_000)
    const both = AbortSignal.any([signal, idle.signal])
    try {
      const stream = await this.#events(version, both)
      const giveUp = () => stream.destroy()
      both.addEventListener('abort', giveUp, { once: true })
      try {
        yield { kind: 'mark' }
        const lines = new JsonLines()
        for await (const chunk of stream as AsyncIterable<Buffer>) {
          const ids = new Set([...lines.push(chunk)].map(containerId).filter((id) => id !== ''))
          if (ids.size > 0) timer.refresh()
          for (const id of ids) yield await this.#refresh(id, signal)
        }
      } catch (error) {
        // Silence is no failure: the list that follows shows whether the daemon answers.
        if (!idle.signal.aborted || signal.aborted) throw error
      } finally {
        both.removeEventListener('abort', giveUp)
        stream.destroy()
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /**
   * An event only names the container to ask for. It is inspected, not listed: a list shows the daemon's last
   * checkpoint, which it writes after it has sent "die" (seen with 20.10: still "running" in a list just after it).
   */
  async #refresh(id: string, signal: AbortSignal): Promise<PodEvent> {
    try {
      const info = await this.#ask(signal, () => this.#options.docker.getContainer(id).inspect())
      const facts = inspected(info)
      return this.#shows(facts) ? { kind: 'set', pod: this.#pod(facts) } : { kind: 'gone', uid: id }
    } catch (error) {
      if (isRecord(error) && error.statusCode === 404) return { kind: 'gone', uid: id }
      throw error
    }
  }

  async #containers(signal: AbortSignal): Promise<PodFacts[]> {
    const containers = await this.#ask(signal, () => this.#options.docker.listContainers({ all: true }))
    return containers
      .map(listed)
      .filter((container) => this.#shows(container))
      .map((container) => this.#pod(container))
  }

  #shows(container: ContainerSketch): boolean {
    return this.#options.includeKubelet || container.labels[KUBELET_POD_LABEL] === undefined
  }

  #pod(container: ContainerSketch): PodFacts {
    return dockerPod(container, this.#options.cluster, this.#node)
  }

  async #events(since: string, signal: AbortSignal): Promise<Readable> {
    const options: Docker.GetEventsOptions & { readonly abortSignal: AbortSignal } = {
      since: Number(since),
      filters: { type: ['container'], event: EVENTS },
      abortSignal: signal,
    }
    const stream = await this.#ask(signal, () => this.#options.docker.getEvents(options))
    return stream as Readable
  }

  #ask<T>(signal: AbortSignal, question: () => Promise<T>): Promise<T> {
    return raced(question(), AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]))
  }
}

function containerId(event: Readonly<Record<string, unknown>>): string {
  const actor = isRecord(event.Actor) ? event.Actor : {}
  return typeof actor.ID === 'string' ? actor.ID : ''
}

/** What list and inspect both say, each in its own words. */
interface ContainerSketch {
  readonly id: string
  /** With a "/" before it. */
  readonly name: string
  /** created, running, restarting, paused, exited, dead, removing. */
  readonly state: string
  readonly labels: Readonly<Record<string, string>>
  readonly networks: readonly { readonly IPAddress: string }[]
  readonly createdMs: number
}

function listed(container: Docker.ContainerInfo): ContainerSketch {
  return {
    id: container.Id,
    name: container.Names?.[0] ?? container.Id.slice(0, 12),
    state: container.State,
    labels: container.Labels ?? {},
    networks: Object.values(container.NetworkSettings?.Networks ?? {}),
    createdMs: container.Created * 1000,
  }
}

function inspected(container: Docker.ContainerInspectInfo): ContainerSketch {
  return {
    id: container.Id,
    name: container.Name,
    state: container.State.Status,
    labels: container.Config.Labels ?? {},
    networks: Object.values(container.NetworkSettings?.Networks ?? {}),
    createdMs: Math.floor(Date.parse(container.Created) / 1000) * 1000,
  }
}

function dockerPod(container: ContainerSketch, cluster: string, node: string): PodFacts {
  const name = container.name.replace(/^\//, '')
  const running = container.state === 'running'
  const state = container.state.charAt(0).toUpperCase() + container.state.slice(1)
  const containers: ContainerFacts[] = [{ name, kind: 'app', containerId: `docker://${container.id}`, running, ready: running, state }]
  return {
    cluster,
    namespace: DOCKER_NAMESPACE,
    name,
    uid: container.id,
    ip: container.networks.find((network) => network.IPAddress)?.IPAddress ?? '',
    node,
    hostIp: '',
    // A paused container keeps its IP.
    phase: running || container.state === 'paused' ? 'Running' : 'Failed',
    ready: running,
    containers,
    labels: container.labels,
    workloads: [],
    createdMs: container.createdMs,
  }
}

/** A pod as the Kubernetes API prints it -> the few facts that are kept. Everything that comes in is `unknown`. */
import type { ContainerFacts, OwnerFacts, PodFacts } from './inventory.js'
import { isRecord } from './json-lines.js'

type Json = Readonly<Record<string, unknown>>

export interface PodFactsOptions {
  readonly cluster: string
  /** Labels or annotations that hold the pod-set id; the first that is there counts. */
  readonly setIdKeys: readonly string[]
}

/** Where the pod-set id is looked for unless the config says otherwise. */
export const DEFAULT_SET_ID_KEYS: readonly string[] = ['dockin.io/pod-set-id', 'pod-set-id', 'podSetId']
/** What kubectl takes when no container is named; known-labels of kubernetes.io, "kubectl.kubernetes.io/default-container". */
const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container'

/** @returns undefined when it has no name, namespace or uid: such a thing cannot be a target */
export function podFacts(pod: unknown, options: PodFactsOptions): PodFacts | undefined {
  const root = record(pod)
  const meta = record(root.metadata)
  const spec = record(root.spec)
  const status = record(root.status)
  const name = text(meta.name)
  const namespace = text(meta.namespace)
  const uid = text(meta.uid)
  if (name === '' || namespace === '' || uid === '') return undefined
  const labels = texts(meta.labels)
  const annotations = record(meta.annotations)
  const setId = options.setIdKeys.map((key) => labels[key] ?? text(annotations[key])).find((value) => value !== '')
  const deletedMs = meta.deletionTimestamp === undefined ? undefined : time(meta.deletionTimestamp)
  return {
    cluster: options.cluster,
    namespace,
    name,
    uid,
    ip: text(status.podIP),
    node: text(spec.nodeName),
    hostIp: text(status.hostIP),
    phase: text(status.phase),
    ready: list(status.conditions).some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    containers: containersOf(spec, status),
    labels,
    workloads: workloadsOf(meta, labels),
    createdMs: time(meta.creationTimestamp),
    ...some('reason', text(status.reason)),
    ...some('setId', setId ?? ''),
    ...some('defaultContainer', text(annotations[DEFAULT_CONTAINER])),
    ...(deletedMs === undefined ? {} : { deletedMs }),
  }
}

const CONTAINER_LISTS = [
  { kind: 'app', spec: 'containers', status: 'containerStatuses' },
  { kind: 'init', spec: 'initContainers', status: 'initContainerStatuses' },
  { kind: 'ephemeral', spec: 'ephemeralContainers', status: 'ephemeralContainerStatuses' },
] as const

/** In the order of the spec: the status is sorted by name (seen with Kubernetes 1.20), and the first container of the spec is kubectl's choice. */
function containersOf(spec: Json, status: Json): ContainerFacts[] {
  return CONTAINER_LISTS.flatMap((row) => {
    const statuses = new Map(list(status[row.status]).map((one) => [text(one.name), one]))
    return list(spec[row.spec])
      .filter((one) => text(one.name) !== '')
      .map((one) => containerFacts(one, row.kind, statuses.get(text(one.name)) ?? {}, text(status.phase)))
  })
}

function containerFacts(spec: Json, kind: ContainerFacts['kind'], status: Json, phase: string): ContainerFacts {
  const state = record(status.state)
  const running = isRecord(state.running)
  const reason = text(record(state.waiting).reason) || text(record(state.terminated).reason)
  const ended = isRecord(state.terminated) ? 'Terminated' : phase === 'Running' ? 'Waiting' : phase || 'Unknown'
  return {
    name: text(spec.name),
    kind,
    containerId: text(status.containerID),
    running,
    ready: status.ready === true,
    state: running ? 'Running' : reason || ended,
    ...historyOf(status),
    ...limitsOf(record(record(spec.resources).limits)),
  }
}

/** Of a container that restarts, the end before this start; of one that does not run, its end. */
function historyOf(status: Json): Pick<ContainerFacts, 'restarts' | 'lastEnd'> {
  const restarts = typeof status.restartCount === 'number' ? { restarts: status.restartCount } : {}
  const now = record(record(status.state).terminated)
  const end = text(now.finishedAt) === '' ? record(record(status.lastState).terminated) : now
  if (text(end.finishedAt) === '') return restarts
  const exitCode = typeof end.exitCode === 'number' ? end.exitCode : 0
  return { ...restarts, lastEnd: { reason: text(end.reason), exitCode, atMs: time(end.finishedAt) } }
}

function limitsOf(limits: Json): Pick<ContainerFacts, 'limits'> {
  const own = { ...some('cpu', text(limits.cpu)), ...some('memory', text(limits.memory)) }
  return Object.keys(own).length === 0 ? {} : { limits: own }
}

/**
 * The controller; and for a ReplicaSet the Deployment behind it, which is read off its name: a Deployment calls its
 * ReplicaSets NAME-HASH and labels their pods pod-template-hash=HASH, so ReplicaSets need not be listed (and need no rights).
 */
function workloadsOf(meta: Json, labels: Readonly<Record<string, string>>): OwnerFacts[] {
  // Static pods are owned by their Node, which is no workload.
  const controller = list(meta.ownerReferences).find((owner) => owner.controller === true && owner.kind !== 'Node')
  if (!controller) return []
  const owner = { kind: text(controller.kind), name: text(controller.name) }
  if (owner.name === '') return []
  const suffix = `-${labels['pod-template-hash'] ?? ''}`
  if (owner.kind !== 'ReplicaSet' || suffix === '-' || !owner.name.endsWith(suffix) || owner.name === suffix) return [owner]
  return [{ kind: 'Deployment', name: owner.name.slice(0, -suffix.length) }, owner]
}

function some<K extends string>(key: K, value: string): { readonly [P in K]?: string } {
  return value === '' ? {} : ({ [key]: value } as { readonly [P in K]?: string })
}
function record(value: unknown): Json {
  return isRecord(value) ? value : {}
}
function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}
function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
/** Own properties only, even for a key called __proto__. */
function texts(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
function time(value: unknown): number {
  const ms = Date.parse(text(value))
  return Number.isNaN(ms) ? 0 : ms
}

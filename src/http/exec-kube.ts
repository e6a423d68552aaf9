/**
 * The few GETs that kubectl makes before it opens an exec: which resources there are, and the pod. Answers hold what the
 * identity may see and no more than an exec needs; this is no API server. With `/k8s/CLUSTER` before the path one cluster is meant.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OpsError, toOpsError } from '../core/errors.js'
import type { Identity, TargetListing } from '../core/types.js'
import type { Identify } from './exec-parts.js'
import { kubeStatus } from './ws-upgrades.js'

export interface KubeRoutesParts {
  readonly identify: Identify
  /** `TargetResolver.list` */
  readonly list: (identity: Identity) => readonly TargetListing[]
}
interface PodParams {
  readonly cluster?: string
  readonly namespace?: string
  readonly pod?: string
}

const VERSION = { major: '1', minor: '32', gitVersion: 'v1.32.0+dockin', gitCommit: '', gitTreeState: 'clean', platform: 'linux/amd64' }
const RESOURCES = {
  kind: 'APIResourceList',
  groupVersion: 'v1',
  resources: [
    { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get', 'list'], shortNames: ['po'] },
    { name: 'pods/exec', singularName: '', namespaced: true, kind: 'PodExecOptions', verbs: ['create', 'get'] },
  ],
}

/** Registers the paths at the root and below /k8s/:cluster. */
export function kubeRoutes(parts: KubeRoutesParts): (app: FastifyInstance) => void {
  return (app) => {
    for (const prefix of ['', '/k8s/:cluster']) {
      const get = (path: string, answer: (identity: Identity, params: PodParams) => object) =>
        app.get(`${prefix}${path}`, (request, reply) => answered(parts, request, reply, answer))
      get('/version', () => VERSION)
      get('/api', () => ({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }))
      get('/apis', () => ({ kind: 'APIGroupList', apiVersion: 'v1', groups: [] }))
      get('/api/v1', () => RESOURCES)
      get('/api/v1/pods', (identity, params) => podList(parts.list(identity), params))
      get('/api/v1/namespaces/:namespace/pods', (identity, params) => podList(parts.list(identity), params))
      get('/api/v1/namespaces/:namespace/pods/:pod', (identity, params) => onePod(parts.list(identity), params))
    }
  }
}

/** Errors are Kubernetes Statuses: kubectl prints their message, and of anything else only that it could not be read. */
async function answered(
  parts: KubeRoutesParts,
  request: FastifyRequest,
  reply: FastifyReply,
  answer: (identity: Identity, params: PodParams) => object,
): Promise<object> {
  try {
    return answer(await parts.identify(request.raw), request.params as PodParams)
  } catch (thrown) {
    const error = toOpsError(thrown)
    reply.code(error.httpStatus)
    return kubeStatus(error)
  }
}

function podList(listings: readonly TargetListing[], params: PodParams): object {
  return { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '' }, items: podsOf(listings, params).map(podOf) }
}

function onePod(listings: readonly TargetListing[], params: PodParams): object {
  const pods = podsOf(listings, params)
  const [only, ...more] = pods
  const name = `${params.namespace}/${params.pod}`
  if (!only) throw new OpsError('TARGET_UNKNOWN', `no pod ${name}`, { detail: `pods "${params.pod}" not found` })
  if (more.length > 0) {
    const clusters = pods.map(([first]) => first?.target.cluster).join(', ')
    throw new OpsError('TARGET_AMBIGUOUS', `pod ${name} is in several clusters`, {
      detail: `${name} is in clusters ${clusters}; put /k8s/CLUSTER behind the server's address`,
    })
  }
  return podOf(only)
}

/** The containers of each pod that the parameters name, in the order of the listing. */
function podsOf(listings: readonly TargetListing[], { cluster, namespace, pod }: PodParams): readonly (readonly TargetListing[])[] {
  const pods = new Map<string, TargetListing[]>()
  for (const listing of listings) {
    const { target } = listing
    if (cluster !== undefined && target.cluster !== cluster) continue
    if (namespace !== undefined && target.namespace !== namespace) continue
    if (pod !== undefined && target.pod !== pod) continue
    const key = `${target.cluster}/${target.uid}`
    const containers = pods.get(key)
    if (containers) containers.push(listing)
    else pods.set(key, [listing])
  }
  return [...pods.values()]
}

function podOf(containers: readonly TargetListing[]): object {
  const [first] = containers
  if (!first) throw new OpsError('INTERNAL', 'a pod without containers')
  const { target, podIp } = first
  const isDone = containers.every(({ state }) => state === 'Completed')
  const phase = containers.some(({ state }) => state === 'Running') ? 'Running' : isDone ? 'Succeeded' : 'Pending'
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: target.pod, namespace: target.namespace, uid: target.uid, labels: target.labels, creationTimestamp: null },
    spec: { nodeName: target.node, containers: containers.map(({ target: { container } }) => ({ name: container, image: '', resources: {} })) },
    status: {
      phase,
      podIP: podIp,
      containerStatuses: containers.map(({ target: { container, containerId }, ready, state }) => ({
        name: container,
        ready,
        restartCount: 0,
        image: '',
        imageID: '',
        containerID: containerId,
        state: state === 'Running' ? { running: {} } : { waiting: { reason: state } },
      })),
    },
  }
}

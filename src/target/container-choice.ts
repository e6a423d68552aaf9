/** Which container of a pod is meant, and whether anything can be started in it. */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import type { Resolution, Target } from '../core/types.js'
import type { ContainerFacts, PodFacts } from './inventory.js'

/** The target that a container of a pod is. */
export function targetOf(pod: PodFacts, container: ContainerFacts): Target {
  return {
    cluster: pod.cluster,
    namespace: pod.namespace,
    pod: pod.name,
    container: container.name,
    uid: pod.uid,
    node: pod.node,
    containerId: container.containerId,
    labels: pod.labels,
  }
}

/** Containers that a person may be in: those of the app always, init (a sidecar) and ephemeral (kubectl debug) ones while they run. */
export function enterable(pod: PodFacts): readonly ContainerFacts[] {
  return pod.containers.filter((container) => container.kind === 'app' || container.running)
}

/** What stands in the column "state": the pod's own trouble first, then the container's. */
export function stateOf(pod: PodFacts, container: ContainerFacts): string {
  if (pod.deletedMs !== undefined) return 'Terminating'
  return pod.reason ?? container.state
}

/** Whether something can be started in it now. */
export function runs(pod: PodFacts, container: ContainerFacts): boolean {
  return container.running && container.containerId !== '' && pod.deletedMs === undefined
}

/** `POD.NAMESPACE.CLUSTER`, safe for a terminal. */
export function fullAddress(pod: Pick<PodFacts, 'name' | 'namespace' | 'cluster'>): string {
  return escapePeerText(`${pod.name}.${pod.namespace}.${pod.cluster}`, 512)
}

/**
 * Chooses among the containers that the asker may see (never empty): the named one, the only one, the pod's default, or the first as kubectl does.
 * @param allowsEnded one that does not run will do, once it has been started
 * @throws OpsError TARGET_UNKNOWN naming the containers, TARGET_NOT_RUNNING with the state
 */
export function chooseContainer(pod: PodFacts, visible: readonly ContainerFacts[], named: string | undefined, allowsEnded = false): Resolution {
  const chosen = named === undefined ? implied(pod, visible) : visible.find((container) => container.name === named)
  const names = visible.map((container) => escapePeerText(container.name, 63)).join(', ')
  if (chosen === undefined) {
    const detail = named === undefined ? `${fullAddress(pod)} has no container you may enter` : `${fullAddress(pod)} has no container "${named}" but ${names}`
    throw new OpsError('TARGET_UNKNOWN', `choose container: ${detail}`, { detail })
  }
  if (allowsEnded ? chosen.containerId === '' : !runs(pod, chosen)) throw notRunning(pod, chosen)
  const target = targetOf(pod, chosen)
  if (named !== undefined || visible.length === 1) return { target }
  const others = visible.filter((container) => container !== chosen).map((container) => `+${escapePeerText(container.name, 63)}`)
  return { target, note: `container ${escapePeerText(chosen.name, 63)}; also here: ${others.join(' ')}` }
}

function implied(pod: PodFacts, visible: readonly ContainerFacts[]): ContainerFacts | undefined {
  const apps = visible.filter((container) => container.kind === 'app')
  return apps.find((container) => container.name === pod.defaultContainer) ?? apps[0] ?? visible[0]
}

/** Of a pod with a single container the container's name would only be noise. */
function notRunning(pod: PodFacts, container: ContainerFacts): OpsError {
  const what = pod.containers.length === 1 ? '' : `+${escapePeerText(container.name, 63)}`
  const detail = `${fullAddress(pod)}${what} is ${escapePeerText(stateOf(pod, container), 80)}`
  return new OpsError('TARGET_NOT_RUNNING', `choose container: ${detail}`, { detail })
}

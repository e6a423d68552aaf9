/** The pods of one Kubernetes cluster. */
import type { Logger } from '../core/log.js'
import type { Inventory, PodFacts } from './inventory.js'
import { KubeApi, type KubeApiOptions } from './kube-api.js'
import { KubeListWatch, type KubeListWatchOptions } from './kube-list-watch.js'
import { DEFAULT_SET_ID_KEYS } from './pod-facts.js'
import { PodIndex } from './pod-index.js'
import { ReflectedInventory } from './reflected-inventory.js'
import { Reflector, type ReflectorOptions } from './reflector.js'

export interface KubeInventoryOptions extends KubeApiOptions {
  /** Name in the config; part of every target. */
  readonly cluster: string
  readonly log: Logger
  /** Follows only these, for a kubeconfig that may not list pods of all namespaces (HTTP 403). Default: all. */
  readonly namespaces?: readonly string[]
  /** Labels or annotations that hold the pod-set id. Default DEFAULT_SET_ID_KEYS. */
  readonly setIdKeys?: readonly string[]
  /** For tests: time limits and sizes of the requests, and the clock of the reflectors. */
  readonly tuning?: Pick<KubeListWatchOptions, 'pageSize' | 'idleTimeoutMs' | 'pageTimeoutMs' | 'maxLineBytes'> &
    Pick<ReflectorOptions, 'backoff' | 'maxPods' | 'now' | 'random' | 'delay'>
}

/** Makes the inventory; nothing is read before `start`. */
export function createKubeInventory(options: KubeInventoryOptions): Inventory {
  const { cluster, log, tuning = {} } = options
  const api = new KubeApi(options)
  const index = new PodIndex()
  const facts = { cluster, setIdKeys: options.setIdKeys ?? DEFAULT_SET_ID_KEYS }
  const scopes = options.namespaces === undefined ? [undefined] : [...new Set(options.namespaces)]
  const reflectors = scopes.map((namespace) => {
    const source = new KubeListWatch({ ...tuning, api, facts, ...(namespace === undefined ? {} : { namespace }) })
    return new Reflector({ ...tuning, source, log, sink: scopedSink(index, namespace) })
  })
  return new ReflectedInventory({ cluster, index, reflectors, release: () => api.close() })
}

/** Writes to the index, but a complete list speaks only for its own namespace. */
function scopedSink(index: PodIndex, namespace: string | undefined): ReflectorOptions['sink'] {
  return {
    set: (pod: PodFacts) => index.set(pod),
    deleteUid: (uid) => index.deleteUid(uid),
    keepOnly: (uids) => {
      const gone = [...index.all()].filter((pod) => (namespace === undefined || pod.namespace === namespace) && !uids.has(pod.uid))
      for (const pod of gone) index.deleteUid(pod.uid)
    },
  }
}

/** What is known of the pods of one cluster, and who tells. Implemented for Kubernetes, for one docker host, and for names from the config. */
import type { Target } from '../core/types.js'

/** One container of a pod, as far as a target needs it. */
export interface ContainerFacts {
  readonly name: string
  /** `init` holds sidecars too; `ephemeral` are those of kubectl debug. */
  readonly kind: 'app' | 'init' | 'ephemeral'
  /** "docker://…", "containerd://…", "local://…"; empty while it has never been started. */
  readonly containerId: string
  readonly running: boolean
  readonly ready: boolean
  /** "Running", or the reason that it does not: "CrashLoopBackOff", "ContainerCreating", "Completed", "OOMKilled". */
  readonly state: string
  /** How often kubelet has started it again; absent where nobody counts. */
  readonly restarts?: number
  /** Why it ended last: "OOMKilled", "Error"; absent while it never has. */
  readonly lastEnd?: { readonly reason: string; readonly exitCode: number; readonly atMs: number }
  /** As Kubernetes writes quantities: "500m", "64Mi". */
  readonly limits?: { readonly cpu?: string; readonly memory?: string }
}

export interface OwnerFacts {
  /** "Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet" or what else the controller is called. */
  readonly kind: string
  readonly name: string
}

export interface PodFacts {
  readonly cluster: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Empty while none is assigned. */
  readonly ip: string
  readonly node: string
  readonly hostIp: string
  /** "Pending", "Running", "Succeeded", "Failed", "Unknown". */
  readonly phase: string
  /** Why the pod as a whole is as it is: "Evicted", "NodeLost". */
  readonly reason?: string
  /** The pod's Ready condition. */
  readonly ready: boolean
  /** In the order of the pod's spec: the first is the one that kubectl would take. */
  readonly containers: readonly ContainerFacts[]
  readonly labels: Readonly<Record<string, string>>
  /** The workloads that it belongs to: its controller, and the Deployment behind a ReplicaSet. */
  readonly workloads: readonly OwnerFacts[]
  readonly setId?: string
  /** Annotation kubectl.kubernetes.io/default-container. */
  readonly defaultContainer?: string
  /** Milliseconds since the epoch; 0 when not known. */
  readonly createdMs: number
  /** Set while the pod is being deleted. */
  readonly deletedMs?: number
}

export interface PodChange {
  readonly kind: 'added' | 'changed' | 'gone'
  readonly pod: PodFacts
}

/** The pods of a cluster by everything that an address may name. Answers hold pods that run no more, except `byIp`. */
export interface PodLookup {
  /** Grows with every change; equal versions mean equal contents. */
  readonly version: number
  readonly size: number
  all(): Iterable<PodFacts>
  /** By namespace, then name; computed once for each version. */
  sorted(): readonly PodFacts[]
  byName(name: string): readonly PodFacts[]
  byNamespacedName(namespace: string, name: string): PodFacts | undefined
  byUid(uid: string): PodFacts | undefined
  /** Without finished pods: Kubernetes gives their IP to others. */
  byIp(ip: string): readonly PodFacts[]
  byWorkload(name: string): readonly PodFacts[]
  bySetId(setId: string): readonly PodFacts[]
}

export interface InventoryStatus {
  /** True once every pod has been read; stays true when the connection is lost later. */
  readonly synced: boolean
  /** When the inventory was last known to be whole, in milliseconds since the epoch. */
  readonly lastSyncMs?: number
  /** Since when the cluster does not answer, in milliseconds since the epoch; absent while it does. */
  readonly staleSinceMs?: number
  /** Why, for the log and /readyz; never for a user. */
  readonly lastError?: string
  readonly pods: number
}

export interface Inventory {
  readonly cluster: string
  /** Lookups. */
  readonly find: PodLookup
  pods(): Iterable<PodFacts>
  status(): InventoryStatus
  /**
   * Resolves once the inventory is whole and its cluster answers; waits for the first reading as long as `signal` allows. For /readyz.
   * @throws OpsError TARGET_UNREACHABLE when it is stale, or `signal` came first
   */
  ready(signal: AbortSignal): Promise<void>
  /** Whether the container that `target` means is still the same one, and runs: uid and container id. */
  isCurrent(target: Target): boolean
  /** Calls back for every change, in order. Returns the way to stop. Listeners must not throw. */
  onChange(listener: (change: PodChange) => void): () => void
  /** Calls back once, when the pod with this uid has gone; soon, when it is gone already. Returns the way to stop. */
  onGone(uid: string, callback: () => void): () => void
  /** Takes pods that were known elsewhere until the first reading says what is there; ignored after it. */
  seed?(pods: readonly PodFacts[]): void
  /** Begins to follow the cluster until `signal` aborts or `close` is called. Never throws; failures are retried and show in `status`. */
  start(signal: AbortSignal): void
  /** May be called twice; resolves when nothing runs any more. */
  close(): Promise<void>
}

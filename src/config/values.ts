/** What the configuration is once it has been read: every default filled in, paths absolute, numbers with their unit. */
import type { User } from '../identity/directory.js'
import type { LoginLimits } from '../identity/login.js'
import type { Rule } from '../policy/rules.js'
import type { AnchorConfig, EncryptionConfig, RetentionConfig, S3Config } from './evidence-values.js'
import type { Mistake } from './mistakes.js'

/** Deep-frozen. The keys of the file are those of contract.md; names here say the unit as well. */
export interface Config {
  /** Absolute; "(demo)" when there is none. */
  readonly file: string
  /** Audit, recordings, state; the gateway creates it 0700. Default "data" beside the file. */
  readonly dataDir: string
  readonly ssh: SshConfig
  readonly http: HttpConfig
  readonly audit: AuditConfig
  readonly recording: RecordingConfig
  readonly clusters: readonly ClusterConfig[]
  /** Mutual TLS between gateway and agents. */
  readonly agentAuth?: TlsFiles & { readonly ca: string }
  readonly resourceManager: ResourceManagerConfig
  /** Absent: pods are known to this gateway alone. */
  readonly podCache?: PodCacheConfig
  readonly login: LoginLimits
  readonly users: readonly User[]
  readonly rules: readonly Rule[]
  /** Present: rules live in Redis, and `rules` are what an empty one is filled with. */
  readonly ruleStore?: ListStoreConfig
  /** The same for users. */
  readonly userStore?: ListStoreConfig
  /** How long SIGTERM waits for running sessions. Default 30 s. */
  readonly drainTimeoutMs: number
  /** Default "info". */
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** What is allowed but probably not meant. */
  readonly warnings: readonly Mistake[]
}

/** Port 0: any free port; the ready line names it. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
}
/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

export interface SshConfig {
  /** Default 127.0.0.1:2222. */
  readonly listen: ListenAddress
  /** Created when absent, 0600. Default [keys/ssh_host_ed25519_key, keys/ssh_host_ecdsa_key]. */
  readonly hostKeys: readonly string[]
  /** Shown before the login (RFC 4252 s5.4). */
  readonly banner?: string
  /** Default 4000. */
  readonly maxConnections: number
  /** Default 64: offices share addresses. */
  readonly maxConnectionsPerAddress: number
  /** Wrong passwords and signatures per connection. Default 6. */
  readonly maxAuthAttempts: number
  /** From connect to login. Default 2 min, as OpenSSH; delays after failures run within it. */
  readonly loginGraceTimeMs: number
  /** Default 30 s. */
  readonly keepaliveIntervalMs: number
  /** Unanswered keepalives that end the connection. Default 3. */
  readonly keepaliveCountMax: number
  /** Silence that ends a session; absent: none does. */
  readonly idleTimeoutMs?: number
  /** Longest session; absent: no limit. */
  readonly maxSessionTimeMs?: number
  /** New session keys after so many bytes. Default 1 GiB (RFC 4253 s9). */
  readonly rekeyBytes: number
  /** New session keys after so long. Default 1 h (RFC 4253 s9). */
  readonly rekeyIntervalMs: number
}

export interface HttpConfig {
  /** API and console. Default 127.0.0.1:8080. */
  readonly listen: ListenAddress
  readonly tls?: TlsFiles
  /** How long a bearer token of /api/v1/login lasts. Default 8 h. */
  readonly tokenLifetimeMs: number
  /** Besides our own: origins whose pages may open WebSockets here, like "https://ops.example.org". Default none. */
  readonly origins: readonly string[]
  /** Execs and terminals over HTTP at once. Default 256 of one user, 2000 in all. */
  readonly exec: { readonly perUser: number; readonly total: number }
}

export type OnFailure = 'refuse' | 'continue'
export interface AuditConfig {
  /** Every one is required to hold an event. Default: one file store. */
  readonly stores: readonly AuditStoreConfig[]
  /** Whether sessions may run when the audit cannot be kept. Default "refuse". */
  readonly onFailure: OnFailure
  /** A file of the log ends at this size, or with its day. Default 256 MiB. */
  readonly maxFileBytes: number
  /** Absent: nothing is ever removed. */
  readonly retention?: RetentionConfig
  /** Besides `state/head.json`, which is always written. */
  readonly anchor?: AnchorConfig
}
export type AuditStoreConfig =
  | { readonly type: 'file' }
  | {
      readonly type: 'redis'
      /** redis://, rediss:// or unix:// */
      readonly url: string
      /** Default "dockin:audit"; each gateway that shares a Redis needs its own. */
      readonly stream: string
    }

/** Who knows subsystems and DCNs: Dockin-rm at `url`, or without one this gateway, from pod labels. */
export interface ResourceManagerConfig {
  readonly url?: string
  /** Holds a bearer for a resource manager that asks for one, as another gateway does; read for every connection anew. */
  readonly tokenFile?: string
  /** Default 5 s. */
  readonly timeoutMs: number
  /** How long an answer counts. Default 30 s. */
  readonly cacheMs: number
  /** Names of pod labels. Default subsystem, subsystem-id and dcn. */
  readonly labels: { readonly subsystem: string; readonly subsystemId: string; readonly dcn: string }
}
/** Pods in Redis, shared by gateways; labels that stand there decide until a cluster's first reading. */
export interface PodCacheConfig {
  /** redis://, rediss:// or unix:// */
  readonly url: string
  /** When what nobody refreshes is forgotten. Default 24 h. */
  readonly expireMs: number
  /** How long a writer that is not heard of keeps others from writing. Default 10 s. */
  readonly leaseMs: number
  /** About how many events the stream keeps. Default 10,000. */
  readonly maxEvents: number
}

export interface ListStoreConfig {
  /** redis://, rediss:// or unix:// */
  readonly redis: string
  /** `rules` or `users` as they were written. */
  readonly seed: readonly unknown[]
}

export interface RecordingConfig {
  /** Whether a session may run when it cannot be recorded. Default "refuse". */
  readonly onFailure: OnFailure
  /** Longest recording of one session; absent: no limit. */
  readonly maxBytes?: number
  /** The same where there is no terminal. Default 1 MiB; 0: such sessions are not recorded. */
  readonly execMaxBytes: number
  /** Older recordings are removed, each by an event; absent: none is. */
  readonly maxAgeMs?: number
  readonly encryption?: EncryptionConfig
  /** Sealed recordings go there; a note of where stays in their place. */
  readonly s3?: S3Config
}

export type ClusterConfig = KubernetesCluster | DockerCluster | LocalCluster
interface NamedCluster {
  /** A DNS label: it stands in addresses. */
  readonly name: string
}
export interface KubernetesCluster extends NamedCluster {
  readonly kind: 'kubernetes'
  readonly kubeconfig: string
  /** The kubeconfig's current context when absent. */
  readonly context?: string
  /** How programs are started. Default "auto" (the agent where it answers, else the API server) with `agent`, else "apiserver". */
  readonly via: 'agent' | 'apiserver' | 'auto'
  /** Present unless via is "apiserver". */
  readonly agent?: AgentConfig
  /** Only these are followed; absent: all that the kubeconfig may list. */
  readonly namespaces?: readonly string[]
  /** Labels or annotations that hold a pod-set id; absent: the resolver's own list. */
  readonly setIdKeys?: readonly string[]
}
export interface AgentConfig {
  readonly port: number
  /** Node name, or "*" for every other node, to the host where its agent listens; the node's own address otherwise. */
  readonly hosts: Readonly<Record<string, string>>
}
export interface DockerCluster extends NamedCluster {
  readonly kind: 'docker'
  /** unix:///path or tcp://host:port */
  readonly docker: string
}
export interface LocalCluster extends NamedCluster {
  readonly kind: 'local'
  readonly pods: readonly string[]
}

/** The host that the config gives for the agent of `node`; undefined: use the node's own address. */
export function agentHost(agent: AgentConfig, node: string): string | undefined {
  return Object.hasOwn(agent.hosts, node) ? agent.hosts[node] : agent.hosts['*']
}

/**
 * The words of the system. Everything here is a fact (readonly data) or a small contract; nothing here does I/O.
 * Features implement these interfaces, `build.ts` joins them, and `session/` knows only these.
 */
import type { Duplex, Readable, Writable } from 'node:stream'
import type { FileAccess, FileChange } from './files.js'

// ---------------------------------------------------------------- who

/** What the console and the API let a person do beyond their own sessions. */
export type Role = 'user' | 'auditor' | 'admin'
export type LoginMethod = 'password' | 'publickey' | 'keyboard-interactive' | 'token'
export interface PeerAddress {
  readonly host: string
  readonly port: number
}
/** A person who has proven who they are. Immutable for the life of a connection. */
export interface Identity {
  readonly user: string
  readonly groups: readonly string[]
  readonly roles: readonly Role[]
  readonly method: LoginMethod
  readonly from: PeerAddress
}

/** One try of one method. The caller (the SSH server, the API) has parsed it; `identity/` judges it. */
export type LoginAttempt =
  | { readonly method: 'password'; readonly user: string; readonly from: PeerAddress; readonly password: string }
  | {
      readonly method: 'publickey'
      readonly user: string
      readonly from: PeerAddress
      /** Algorithm the client will sign or has signed with: "ssh-ed25519", "rsa-sha2-512", … */
      readonly algorithm: string
      /** The public key in RFC 4253 s6.6 wire form. */
      readonly key: Buffer
      /** Checks the client's signature. Absent while the client only asks whether the key would do (RFC 4252 s7). */
      readonly verify?: () => boolean
    }
export type LoginAnswer =
  | { readonly kind: 'accepted'; readonly identity: Identity }
  /** The key would do; the client must sign. Says nothing about whether the user exists beyond that. */
  | { readonly kind: 'sign' }
  | { readonly kind: 'refused'; readonly reason: string; readonly locked: boolean }
export interface Login {
  /** Resolves after the delay that the failures so far have earned. Every acceptance and refusal is an audit event, durable before it resolves. */
  attempt(attempt: LoginAttempt, signal: AbortSignal): Promise<LoginAnswer>
}

// ---------------------------------------------------------------- where

/** One container of one pod, bound to the pod's UID: a pod of the same name that replaces it is another target. */
export interface Target {
  readonly cluster: string
  readonly namespace: string
  readonly pod: string
  readonly container: string
  /** metadata.uid of the pod (a docker host uses the container id). */
  readonly uid: string
  readonly node: string
  /** As kubelet prints it: "docker://…", "containerd://…", "local://…". */
  readonly containerId: string
  readonly labels: Readonly<Record<string, string>>
}

/** Prints a target the one way it is printed everywhere: `cluster/namespace/pod/container`. */
export function targetText(target: Pick<Target, 'cluster' | 'namespace' | 'pod' | 'container'>): string {
  return `${target.cluster}/${target.namespace}/${target.pod}/${target.container}`
}

// ---------------------------------------------------------------- what is asked

/** The ways in. Every one of them goes through `Policy.decide`. */
export const DOORS = ['shell', 'exec', 'sftp', 'scp', 'rsync', 'http', 'ws', 'batch', 'logs'] as const
export type Door = (typeof DOORS)[number]

/** Character cells; pixels are 0 when the client does not know them (RFC 4254 s6.2). */
export interface WindowSize {
  readonly columns: number
  readonly rows: number
  readonly widthPx: number
  readonly heightPx: number
}
export interface PtyRequest {
  readonly term: string
  readonly size: WindowSize
  /** Encoded terminal modes of RFC 4254 s8 by name, as ssh2 decodes them: `{ ECHO: 1, VERASE: 127, … }`. */
  readonly modes: Readonly<Record<string, number>>
}
/** A program to start in a target. */
export interface ExecRequest {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** With a pty stdout and stderr are one stream. */
  readonly pty?: PtyRequest
  /** Working directory; the image's own when absent. Executors that cannot set it refuse with BAD_REQUEST. */
  readonly cwd?: string
}

/** Which part of a container's log is asked for. */
export interface LogsRequest {
  /** Go on with what is written until the container ends. */
  readonly follow: boolean
  /** Only the last so many lines; all of them when absent. Counted before `filter`. */
  readonly tail?: number
  readonly since?: Date
  /** Each line begins with its time, RFC 3339. */
  readonly timestamps: boolean
  /** Of the container before this one: what a crash left. */
  readonly previous: boolean
  /** Where the log keeps the two apart; both when absent. */
  readonly stream?: 'stdout' | 'stderr'
  readonly filter?: LogsFilter
  /** The output ends after so many bytes, and says so. */
  readonly limitBytes: number
}
/** Texts, not patterns: an expression could be made to take any time. */
export interface LogsFilter {
  /** A line has all of these. */
  readonly grep: readonly string[]
  /** And none of these. */
  readonly exclude: readonly string[]
  readonly ignoreCase: boolean
}

/** What a container uses now; what is not known is absent. */
export interface ContainerUsage {
  /** Thousandths of a core, over the last moments. */
  readonly cpuMillis?: number
  /** Without what the kernel would give back first (inactive page cache), as kubelet counts it. */
  readonly memoryBytes?: number
  /** How often the kernel has killed a process of it for want of memory, since it was started. */
  readonly oomKills?: number
}
export interface UsageReport {
  /** By container id, with its scheme. */
  readonly usage: ReadonlyMap<string, ContainerUsage>
  /** Why something is not known: "node node-a: …". For the user. */
  readonly problems: readonly string[]
}

// ---------------------------------------------------------------- one run

/** One run in one target: facts, and a switch that ends it. */
export interface Session {
  readonly id: string
  readonly door: Door
  readonly identity: Identity
  readonly target: Target
  readonly startedAt: Date
  /** Aborted at most once; its reason is an OpsError whose text the user will read. */
  readonly signal: AbortSignal
  readonly pty?: PtyRequest
  /** The command line of an exec, exactly as the client sent it. */
  readonly command?: string
  /** What its rule says of recording. */
  readonly record?: RecordRule
}

/** How a program ended. A failure to run it at all is an OpsError instead. */
export type ExitStatus =
  | { readonly kind: 'exited'; readonly code: number }
  /** `signal` without the SIG prefix, as RFC 4254 s6.10 writes it: "KILL". */
  | { readonly kind: 'signaled'; readonly signal: string; readonly coreDumped: boolean }

/**
 * The user's side of a session.
 * `stdin` is always drained into its own buffer by the implementation: an ssh2 channel that is not read never says
 * that its peer has left. Writes to `stdout` and `stderr` respect the client's window and the write governor.
 */
export interface ClientEnd {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Aborted when the client has left, whichever of channel and connection said so first. */
  readonly gone: AbortSignal
  /** Calls back at once and in order of arrival; never queues behind data. Returns the way to stop listening. */
  subscribe(listener: ClientListener): () => void
  /** Sends `status`, then end-of-file and close. Called once, after the last byte of output was written. */
  finish(status: ExitStatus): void
}
export interface ClientListener {
  resize?(size: WindowSize): void
  /** Name without SIG. */
  signal?(name: string): void
}

/** The target's side of a session: a program that runs. */
export interface RemoteProcess {
  /** Ending it gives the program end-of-file and leaves stdout open (half-close). */
  readonly stdin: Writable
  readonly stdout: Readable
  /** Absent with a pty. */
  readonly stderr?: Readable
  /** Settles once the program has ended; output may still be in flight. Rejects with an OpsError when the way to the target broke. */
  readonly exit: Promise<ExitStatus>
  /** Where the program runs, for the audit: "agent node-a", "apiserver v4 websocket". */
  readonly via: string
  resize(size: WindowSize): void
  /** Name without SIG; best effort where the runtime has no signals. */
  kill(signal: string): void
  /** Ends the program and everything it started, then the streams. May be called twice; never rejects. */
  close(): Promise<void>
  /** More for `session.close`: counts of a process that is part of the gateway, such as a file server. */
  facts?(): Readonly<Record<string, string | number>>
}

/** Starts programs in targets of one cluster. */
export interface Executor {
  readonly name: string
  /**
   * Starts `request.argv` and resolves once it runs.
   * @param signal aborting kills the program; the reason is rethrown
   * @throws OpsError TARGET_UNREACHABLE, TARGET_GONE, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE
   */
  exec(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess>
  /**
   * The files of a target's container, as its user sees them. Absent: this way leads to no files.
   * @throws OpsError TARGET_UNREACHABLE, TARGET_GONE
   */
  files?(target: Target, signal: AbortSignal): Promise<FileAccess>
  /**
   * The container's log as a process that writes it and ends with 0; `filter` and `limitBytes` are the caller's to hold.
   * The container may have ended. Absent: no logs are kept on this way.
   * @throws OpsError TARGET_UNREACHABLE, TARGET_GONE, NOT_FOUND (no log is kept)
   */
  logs?(target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess>
  /** What these containers use now. Never throws but for `signal`: what cannot be learned is a problem of the report. Absent: not known on this way. */
  usage?(targets: readonly Target[], signal: AbortSignal): Promise<UsageReport>
  /** Resolves when a program could be started now; throws an OpsError that says why not. For /readyz. */
  ready?(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Starts programs in containers of this machine; the agent's side of an Executor. */
export interface ContainerRuntime {
  /** Scheme of the container ids it knows: "docker", "containerd", "local". */
  readonly scheme: string
  /** @param containerId without the scheme */
  exec(containerId: string, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess>
  /** The containers that run here, with the pod they belong to. */
  containers(signal: AbortSignal): Promise<readonly NodeContainer[]>
  close(): Promise<void>
}
export interface NodeContainer {
  readonly id: string
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  readonly container: string
}

// ---------------------------------------------------------------- between the two ends

/** A transform per lane, set between client and process. `up` carries stdin, `down` stdout, `err` stderr. */
export interface Stage {
  readonly name: string
  readonly up?: Duplex
  readonly down?: Duplex
  readonly err?: Duplex
  resize?(size: WindowSize): void
  /**
   * Called once when the lanes have ended, well (with a status, before it is sent) or not (undefined: lanes may have
   * been cut in the middle). Its failure is the session's failure.
   */
  finish?(status: ExitStatus | undefined): Promise<void>
  /** Facts for the session.close event, read after `finish`. */
  facts?(): Readonly<Record<string, string | number>>
}
export type Interceptor = (session: Session) => Stage | undefined | Promise<Stage | undefined>

// ---------------------------------------------------------------- whether

/** What a rule says about command lines; contract.md, `commands`. */
export interface CommandRule {
  readonly mode: 'deny' | 'allow'
  readonly entries: readonly CommandEntry[]
  readonly opaque: boolean
  readonly escapeCapable: boolean
  /** Globs: no argument of any command may name such a path, whatever the list says of the command. */
  readonly denyPaths?: readonly string[]
  /** Bytes; undefined means no limit. */
  readonly editLimit?: number
  readonly shells: readonly ShellName[]
  /** A line with one of these runs once the user has typed the pod's name. */
  readonly confirm?: readonly CommandEntry[]
  /** A line with one of these runs once another person has approved it; outranks `confirm`. */
  readonly approve?: ApproveRule
}
export interface ApproveRule {
  readonly entries: readonly CommandEntry[]
  readonly by: Approvers
  /** How long a line waits for an answer. */
  readonly withinMs: number
}
/** Who may approve: whoever one of these names, but never the user whose line it is. */
export interface Approvers {
  readonly users: readonly string[]
  readonly groups: readonly string[]
  readonly roles: readonly Role[]
}
/** What a line that the rule would let run still needs. A door that cannot provide it refuses. */
export type Demand = { readonly kind: 'confirm' } | { readonly kind: 'approve'; readonly by: Approvers; readonly withinMs: number }
export interface CommandEntry {
  readonly cmd: string
  /** Each element is one flag with its spellings ("r|R|recursive"); all must be present for the entry to apply. */
  readonly flags: readonly (readonly string[])[]
  /** Globs against each argument, made absolute. */
  readonly path: readonly string[]
}
export type ShellName = 'bash' | 'dash' | 'ash'

/** What may be done with a file; contract.md, "Audit events". */
export type FileOp = 'upload' | 'download' | 'list' | 'stat' | 'mkdir' | 'remove' | 'rename' | 'chmod' | 'link'
/** What an upload may make in a container. */
export type FileType = 'file' | 'directory' | 'symlink' | 'hardlink'

export interface FileRule {
  readonly upload: boolean
  readonly download: boolean
  /** Bytes of one file. */
  readonly maxUpload?: number
  readonly maxDownload?: number
  /** Files up and down in one session. */
  readonly maxFiles?: number
  /** Globs over absolute paths. Denied wins over allowed; absent `allowPaths` allows every path. */
  readonly denyPaths: readonly string[]
  readonly allowPaths?: readonly string[]
  /** Absent: all. */
  readonly types?: readonly FileType[]
  /** Uploads are copied for review, up to so many bytes each; absent: none is. */
  readonly keep?: number
}

/** How sessions of a rule are recorded, where it differs from the gateway's own way. */
export interface RecordRule {
  /** Also lines that were typed, as far as the terminal showed them; what is typed without an echo never. */
  readonly input: boolean
  /** Bytes of output after which the recording ends, in place of the gateway's limits. */
  readonly maxBytes?: number
}

/** What one person may ask of one target. */
export type Question =
  | { readonly kind: 'see'; readonly identity: Identity; readonly target: Target }
  | { readonly kind: 'open'; readonly identity: Identity; readonly target: Target; readonly door: Door }
  | {
      readonly kind: 'run'
      readonly identity: Identity
      readonly target: Target
      readonly door: Door
      readonly line: string
      /** "any": nobody knows which shell will read the line, as behind `sh -c`. */
      readonly dialect: Dialect | 'any'
      readonly cwd: string
    }
  | {
      readonly kind: 'transfer'
      readonly identity: Identity
      readonly target: Target
      readonly door: Door
      readonly direction: 'upload' | 'download'
      /** Absolute; links are resolved by who asks, who also asks for the name as it was given. */
      readonly path: string
      /** `direction` itself when absent. Looking (list, stat) is allowed to whom either direction is. */
      readonly op?: FileOp
      /** rename and link: the other name (where it goes; what a link leads to). */
      readonly to?: string
      /** What would be made, where something is; for rename, whether it is a directory that moves. */
      readonly type?: FileType
      /** Size of the file, or where a transfer has come to. */
      readonly bytes?: number
      /** How many files the session has transferred with this one. */
      readonly count?: number
    }
/** Which grammar reads a line: bash, or nothing beyond POSIX (dash, ash, an unknown /bin/sh). */
export type Dialect = 'bash' | 'posix'

export interface Allowed {
  readonly allow: true
  readonly rule: string
  /** Present when the rule has a command list: shells of this session must be guarded. */
  readonly commands?: CommandRule
  readonly files?: FileRule
  readonly record?: RecordRule
  /** For `run`: the simple commands of the line. */
  readonly analysis?: LineAnalysis
}
export interface Refused {
  readonly allow: false
  /** The rule that refused; undefined when none matched. */
  readonly rule?: string
  /** Why, in one line, for the user and the log. */
  readonly reason: string
  /** The rule's own message: whom to ask. */
  readonly message?: string
  readonly analysis?: LineAnalysis
  /** For `run`: the line would be allowed once this is met, and is to be asked about again then. */
  readonly demand?: Demand
}
export type Verdict = Allowed | Refused

/** What the analyser understood of a line. */
export interface LineAnalysis {
  /** Every simple command, wrappers unwrapped: [name, ...args]. Dynamic words print as "…". */
  readonly commands: readonly (readonly string[])[]
  readonly confidence: Confidence
  /** The line starts something that runs commands of its own (a shell, an interpreter); the rule lets it. */
  readonly opaque?: boolean
  /** The line is not finished: an editor may ask for more; whoever cannot must refuse. */
  readonly incomplete?: boolean
  /** Editors and pagers with the files they would load: to be measured against the rule's editLimit before the line runs. */
  readonly sizeChecks?: readonly { readonly command: string; readonly path: string }[]
}
export type Confidence = 'exact' | 'nested' | 'advisory'

/** The one decision function of every door. Pure and synchronous: nothing on the hot path waits. */
export interface Policy {
  decide(question: Question): Verdict
}

// ---------------------------------------------------------------- finding

export interface TargetResolver {
  /**
   * Finds the one container that `address` names among the pods `identity` may see.
   * @param allowsEnded a container that runs no more, or not now, will do: for its log
   * @throws OpsError TARGET_SYNTAX, TARGET_UNKNOWN, TARGET_AMBIGUOUS (detail lists the candidates), TARGET_NOT_RUNNING, TARGET_UNREACHABLE
   */
  resolve(address: string, identity: Identity, signal: AbortSignal, allowsEnded?: boolean): Promise<Resolution>
  /** Every container the identity may see, sorted; for the picker and the API. */
  list(identity: Identity): readonly TargetListing[]
}
export interface Resolution {
  readonly target: Target
  /** A line for the banner when the choice was ours: "deployment web: took web-5f7-x2x of 3 ready pods". */
  readonly note?: string
}
export interface TargetListing {
  readonly target: Target
  /** "Running", "Pending", "CrashLoopBackOff", … */
  readonly state: string
  readonly ready: boolean
  readonly podIp: string
}

// ---------------------------------------------------------------- what must rest

interface EventSubject {
  readonly session?: string
  readonly user?: string
  readonly from?: string
  readonly door?: Door
  readonly target?: Pick<Target, 'cluster' | 'namespace' | 'pod' | 'container' | 'uid' | 'node'>
  /** One id over the sessions that a client opened as one batch; each is decided and logged on its own. */
  readonly batch?: string
}
/** contract.md, "Audit events". A new type makes the compiler list every place that must learn it. */
export type AuditEvent = EventSubject &
  (
    | { readonly type: 'login'; readonly method: string }
    | { readonly type: 'login.refused'; readonly method: string; readonly reason: string }
    | {
        readonly type: 'session.open'
        readonly rule: string
        readonly via?: string
        readonly pty?: { readonly term: string; readonly columns: number; readonly rows: number }
        /** Door logs: what was asked for. */
        readonly logs?: Omit<LogsRequest, 'since'> & { readonly since?: string }
      }
    | { readonly type: 'session.refused'; readonly rule?: string; readonly reason: string; readonly address?: string }
    | { readonly type: 'session.start'; readonly via: string }
    | { readonly type: 'session.resize'; readonly columns: number; readonly rows: number }
    | {
        readonly type: 'session.close'
        readonly rule: string
        readonly reason: string
        /** What the client was told: 0..255. */
        readonly exit: number
        readonly bytesIn: number
        readonly bytesOut: number
        readonly ms: number
        /** Doors that transfer: files that came whole, went whole, and operations refused. */
        readonly uploads?: number
        readonly downloads?: number
        readonly refusals?: number
        /** Path below dataDir; absent when nothing was recorded. */
        readonly recording?: string
        readonly recordingSha256?: string
      }
    | {
        readonly type: 'command'
        readonly line?: string
        /** In place of `line` where the bytes are not UTF-8. */
        readonly lineBase64?: string
        readonly cwd?: string
        readonly verdict: 'allow' | 'deny' | 'approved' | 'refused'
        readonly rule?: string
        readonly reason?: string
        readonly commands?: readonly (readonly string[])[]
        readonly confidence: Confidence
        /** Who said yes or no, where the rule asks another person. */
        readonly approver?: string
        /** What the approver wrote beside it. */
        readonly note?: string
      }
    | { readonly type: 'command.exit'; readonly command: number; readonly status: number; readonly ms: number }
    | {
        readonly type: 'file'
        readonly op: FileOp
        /** Absolute, as UTF-8; where the bytes are not, what can be read of them, and the bytes in `pathBase64`. */
        readonly path: string
        readonly pathBase64?: string
        /** Where links led, when that is another path. */
        readonly resolved?: string
        /** rename: the new name; link: what it leads to. */
        readonly to?: string
        readonly toBase64?: string
        /** Bytes that passed. */
        readonly bytes?: number
        /** Of the file's content as it passed, first byte to last; absent with a reason in `unhashed`. */
        readonly sha256?: string
        readonly unhashed?: string
        readonly ms?: number
        /** The copy for review: its path below dataDir, content in it, hash of its own file. */
        readonly kept?: string
        readonly keptBytes?: number
        readonly keptSha256?: string
        /** The transfer did not reach its end: what was written is not the whole file. */
        readonly partial?: true
        /** chmod: what was set. */
        readonly change?: FileChange
        /** Allowed, and the container then failed it: a code of FileError. */
        readonly error?: string
        readonly verdict: 'allow' | 'deny'
        readonly rule?: string
        readonly reason?: string
      }
    | { readonly type: 'admin'; readonly action: string; readonly object: string; readonly before?: unknown; readonly after?: unknown }
    | { readonly type: 'checkpoint'; readonly head: string; readonly count: number; readonly signature: string; readonly keyId: string }
  )
/** An event at rest. `hash = sha256(prev || canonical JSON without hash)`; `seq` has no gaps within a gateway. */
export type StoredEvent = AuditEvent & {
  readonly seq: number
  /** RFC 3339, milliseconds, UTC. */
  readonly time: string
  readonly prev: string
  readonly hash: string
}

/** Facts that must rest. */
export interface AuditSink {
  /** Resolves when every required store holds the event durably. @throws OpsError AUDIT_UNAVAILABLE */
  write(event: AuditEvent): Promise<StoredEvent>
  /** Undefined while events can be kept; else why not. New sessions ask before they open. */
  unavailable(): string | undefined
  close(): Promise<void>
}
/** One place where finished events rest: a file, a Redis stream. Sequencing and hashing happen before it. */
export interface AuditStore {
  readonly name: string
  /** Appends in order and resolves when all are durable. A batch is never empty. */
  append(events: readonly StoredEvent[]): Promise<void>
  /** The last event held, to go on from; undefined when empty. */
  last(): Promise<StoredEvent | undefined>
  query(filter: AuditFilter, signal?: AbortSignal): AsyncIterable<StoredEvent>
  close(): Promise<void>
}
export interface AuditFilter {
  readonly user?: string
  readonly session?: string
  readonly type?: string
  /** Matches `cluster/namespace/pod/container` by substring. */
  readonly target?: string
  readonly text?: string
  readonly from?: Date
  readonly to?: Date
  /** Events with a greater seq only. */
  readonly after?: number
  readonly limit?: number
}

// ---------------------------------------------------------------- finding what rested

/** A part of a long answer. Cursors are opaque: they stay good while events arrive, and say where the next part begins. */
export interface PageRequest {
  /** `next` of the part before. @throws OpsError BAD_REQUEST when it is none */
  readonly cursor?: string
  /** Most items in one part; 100. */
  readonly limit?: number
  /** "newest" by default. */
  readonly order?: 'newest' | 'oldest'
}
export interface Page<T> {
  readonly items: readonly T[]
  /** Absent when nothing follows. */
  readonly next?: string
}
export interface EventFilter extends Omit<AuditFilter, 'after' | 'limit'>, PageRequest {
  /** Of commands and transfers. */
  readonly verdict?: 'allow' | 'deny' | 'approved' | 'refused'
  readonly batch?: string
}
export type SessionState = 'live' | 'ended' | 'refused'
export interface SessionFilter extends PageRequest {
  readonly user?: string
  /** Matches `cluster/namespace/pod/container` by substring. */
  readonly target?: string
  readonly door?: Door
  readonly state?: SessionState
  /** Of the start. */
  readonly from?: Date
  readonly to?: Date
  /** In any event of the session: command lines, paths, reasons. */
  readonly text?: string
  readonly batch?: string
}
/** One session as its events tell it. */
export interface SessionSummary {
  readonly id: string
  /** `live`: opened and not closed, as far as the log tells; whoever knows the running sessions corrects it. */
  readonly state: SessionState
  readonly user: string
  /** HOST:PORT. */
  readonly from: string
  readonly door: Door
  /** Absent when the address of a refused session named none. */
  readonly target?: NonNullable<EventSubject['target']>
  /** What a refused session asked for. */
  readonly address?: string
  readonly rule?: string
  /** RFC 3339, as `StoredEvent.time`. */
  readonly startedAt: string
  readonly endedAt?: string
  readonly ms?: number
  readonly exit?: number
  readonly reason?: string
  readonly via?: string
  readonly bytesIn?: number
  readonly bytesOut?: number
  readonly pty?: { readonly term: string; readonly columns: number; readonly rows: number }
  /** Path below dataDir. */
  readonly recording?: string
  readonly recordingSha256?: string
  /** How many `command` events, how many of them denied or refused, how many `file` events. */
  readonly commands: number
  readonly denied: number
  readonly files: number
  readonly batch?: string
  /** The last `admin` event `session.review` on it. */
  readonly review?: { readonly by: string; readonly at: string; readonly note: string }
}
/** Finds events and sessions, by an index beside the log or by reading it. */
export interface AuditSearch {
  events(filter: EventFilter, signal?: AbortSignal): Promise<Page<StoredEvent>>
  sessions(filter: SessionFilter, signal?: AbortSignal): Promise<Page<SessionSummary>>
  /** One session by its id; undefined when no event names it. */
  session(id: string, signal?: AbortSignal): Promise<SessionSummary | undefined>
}

/** Bytes that must rest: one recording. */
export interface TapeStore {
  /** Opens a recording for `session`; refuses when it exists. @throws OpsError RECORDING_FAILED */
  create(session: Session): Promise<Tape>
  open(sessionId: string): Promise<Readable>
}
export interface Tape {
  /** Path below dataDir. */
  readonly path: string
  /** Lines of asciicast; slow storage shows as back-pressure. The caller ends it. */
  readonly sink: Writable
  /** After `sink` has ended: closes, and answers the file's hash. */
  seal(): Promise<{ readonly sha256: string; readonly bytes: number }>
}

/** Executor around a container runtime of this process: a docker host as a cluster of its own. */
import type { Duplex } from 'node:stream'
import { OpsError } from '../core/errors.js'
import { type FileAccess, FileError } from '../core/files.js'
import {
  type ContainerRuntime,
  type ContainerUsage,
  type ExecRequest,
  type Executor,
  type LogsRequest,
  type RemoteProcess,
  type Target,
  targetText,
  type UsageReport,
} from '../core/types.js'
import { SftpClient } from '../wire/sftp/client.js'

/** A runtime that may lead to files: as a stream that speaks SFTP, which ends with them. */
export interface FilesRuntime extends ContainerRuntime {
  files?(containerId: string, signal: AbortSignal): Promise<{ readonly stream: Duplex; close(): Promise<void> }>
}
/** What else is known of a runtime's containers; closed with the executor. */
export interface RuntimeObserver {
  logs(containerId: string, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess>
  /** By container id without scheme. */
  usage(signal: AbortSignal): Promise<ReadonlyMap<string, ContainerUsage>>
  close(): void
}

export class DirectExecutor implements Executor {
  readonly name: string
  readonly #runtime: FilesRuntime
  readonly #observer: RuntimeObserver | undefined

  /** Owns `runtime` and `observer` and closes them. */
  constructor(runtime: FilesRuntime, observer?: RuntimeObserver) {
    this.name = `${runtime.scheme} direct`
    this.#runtime = runtime
    this.#observer = observer
  }

  async exec(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    return this.#runtime.exec(this.#idOf(target), request, signal)
  }

  async logs(target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess> {
    if (!this.#observer) throw new OpsError('NOT_FOUND', `${this.name} leads to no logs`, { detail: 'no logs are kept there' })
    return this.#observer.logs(this.#idOf(target), request, signal)
  }

  async usage(_targets: readonly Target[], signal: AbortSignal): Promise<UsageReport> {
    const known = await this.#observer?.usage(signal)
    return { usage: new Map([...(known ?? [])].map(([id, usage]) => [`${this.#runtime.scheme}://${id}`, usage])), problems: [] }
  }

  async files(target: Target, signal: AbortSignal): Promise<FileAccess> {
    if (!this.#runtime.files) throw new OpsError('TARGET_UNREACHABLE', `${this.name} leads to no files`, { detail: 'no files can be reached there' })
    const via = this.name
    const session = await this.#runtime.files(this.#idOf(target), signal)
    const { stream } = session
    stream.once('close', () => void session.close())
    try {
      return await SftpClient.connect({ readable: stream, writable: stream }, { via }, signal)
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      throw new OpsError('TARGET_UNREACHABLE', `Cannot open the files through ${via}: ${error.message}`, { cause: error })
    }
  }

  /** @throws OpsError TARGET_UNREACHABLE */
  #idOf(target: Target): string {
    const [scheme, id] = splitContainerId(target.containerId)
    if (scheme === this.#runtime.scheme) return id
    throw new OpsError('TARGET_UNREACHABLE', `${targetText(target)} is "${target.containerId}", not of ${this.#runtime.scheme}`)
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#runtime.containers(signal)
  }

  async close(): Promise<void> {
    await this.#runtime.close()
    this.#observer?.close()
  }
}

/** "docker://4711" -> ["docker", "4711"]; without a scheme the first is empty. */
export function splitContainerId(containerId: string): [scheme: string, id: string] {
  const at = containerId.indexOf('://')
  return at < 0 ? ['', containerId] : [containerId.slice(0, at), containerId.slice(at + 3)]
}

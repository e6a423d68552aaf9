/** Executor around a container runtime of this process: a docker host as a cluster of its own. */
import { OpsError } from '../core/errors.js'
import { type ContainerRuntime, type ExecRequest, type Executor, type RemoteProcess, type Target, targetText } from '../core/types.js'

export class DirectExecutor implements Executor {
  readonly name: string
  readonly #runtime: ContainerRuntime

  /** Owns `runtime` and closes it. */
  constructor(runtime: ContainerRuntime) {
    this.name = `${runtime.scheme} direct`
    this.#runtime = runtime
  }

  async exec(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    const [scheme, id] = splitContainerId(target.containerId)
    if (scheme !== this.#runtime.scheme)
      throw new OpsError('TARGET_UNREACHABLE', `${targetText(target)} is "${target.containerId}", not of ${this.#runtime.scheme}`)
    return this.#runtime.exec(id, request, signal)
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#runtime.containers(signal)
  }

  close(): Promise<void> {
    return this.#runtime.close()
  }
}

/** "docker://4711" -> ["docker", "4711"]; without a scheme the first is empty. */
export function splitContainerId(containerId: string): [scheme: string, id: string] {
  const at = containerId.indexOf('://')
  return at < 0 ? ['', containerId] : [containerId.slice(0, at), containerId.slice(at + 3)]
}

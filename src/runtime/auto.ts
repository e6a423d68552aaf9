/** Executor that prefers the node agent and falls back to the API server where no agent answers. */
import { OpsError, toOpsError } from '../core/errors.js'
import type { FileAccess } from '../core/files.js'
import type { Logger } from '../core/log.js'
import { type ExecRequest, type Executor, type LogsRequest, type RemoteProcess, type Target, targetText, type UsageReport } from '../core/types.js'

export class AutoExecutor implements Executor {
  readonly name: string
  readonly #agent: Executor
  readonly #fallback: Executor
  readonly #log: Logger

  /** Owns both executors and closes them. */
  constructor(options: { readonly agent: Executor; readonly fallback: Executor; readonly log: Logger }) {
    this.#agent = options.agent
    this.#fallback = options.fallback
    this.#log = options.log
    this.name = `${this.#agent.name}, else ${this.#fallback.name}`
  }

  /** Falls back only when the agent could not be reached: a command that failed is not run twice. `via` of the process tells which it was. */
  async exec(target: Target, request: ExecRequest, signal: AbortSignal): Promise<RemoteProcess> {
    try {
      return await this.#agent.exec(target, request, signal)
    } catch (error) {
      if (!(error instanceof OpsError) || error.code !== 'TARGET_UNREACHABLE' || signal.aborted) throw error
      this.#log.warn({ target: targetText(target), node: target.node, reason: error.message, to: this.#fallback.name }, 'executor.fallback')
      return this.#fallback.exec(target, request, signal)
    }
  }

  /** A log through the agent keeps stdout and stderr apart; through the API server they are one. */
  async logs(target: Target, request: LogsRequest, signal: AbortSignal): Promise<RemoteProcess> {
    try {
      if (!this.#agent.logs) throw new OpsError('TARGET_UNREACHABLE', `${this.#agent.name} leads to no logs`)
      return await this.#agent.logs(target, request, signal)
    } catch (error) {
      if (!(error instanceof OpsError) || error.code !== 'TARGET_UNREACHABLE' || signal.aborted || !this.#fallback.logs) throw error
      this.#log.warn({ target: targetText(target), node: target.node, reason: error.message, to: this.#fallback.name }, 'executor.fallback')
      return this.#fallback.logs(target, request, signal)
    }
  }

  /** What the agents do not know is asked of the API server. */
  async usage(targets: readonly Target[], signal: AbortSignal): Promise<UsageReport> {
    const first = (await this.#agent.usage?.(targets, signal)) ?? { usage: new Map(), problems: [] }
    const rest = targets.filter(({ containerId }) => containerId !== '' && !first.usage.has(containerId))
    if (first.problems.length === 0 || rest.length === 0 || !this.#fallback.usage) return first
    const second = await this.#fallback.usage(rest, signal)
    return { usage: new Map([...first.usage, ...second.usage]), problems: [...first.problems, ...second.problems] }
  }

  /** Falls back where no agent can be reached, or where it says that it cannot reach the files. */
  async files(target: Target, signal: AbortSignal): Promise<FileAccess> {
    try {
      if (!this.#agent.files) throw new OpsError('TARGET_UNREACHABLE', `${this.#agent.name} leads to no files`)
      return await this.#agent.files(target, signal)
    } catch (error) {
      if (!(error instanceof OpsError) || error.code !== 'TARGET_UNREACHABLE' || signal.aborted) throw error
      if (!this.#fallback.files)
        throw new OpsError('TARGET_UNREACHABLE', `${error.message}; ${this.#fallback.name} leads to no files`, {
          cause: error,
          detail: 'files need the agent of the node',
        })
      this.#log.warn({ target: targetText(target), node: target.node, reason: error.message, to: this.#fallback.name }, 'executor.fallback')
      return this.#fallback.files(target, signal)
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    const tries = [this.#agent, this.#fallback].map(async (executor) => executor.ready?.(signal))
    await Promise.any(tries).catch((error: AggregateError) => {
      throw toOpsError(error.errors[0], 'TARGET_UNREACHABLE')
    })
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.close(), this.#fallback.close()])
  }
}

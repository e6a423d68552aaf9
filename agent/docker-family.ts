/** How the agent reaches the processes of an exec whose host pids it cannot see: by a second exec beside it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DockerApi } from './docker-api.js'
import { type Family, signalName } from './family.js'

/** Set in the environment of execs whose host pids the agent cannot see, to find them again from inside. */
export const MARK_VARIABLE = 'DOCKIN_EXEC'

/** Sends $1 to every process whose environment has the mark $2; prints how many there were. Needs sh and grep in the image. */
const KILL_SCRIPT = `n=0; for e in /proc/[0-9]*/environ; do
if grep -qs -- "$2" "$e"; then p=\${e#/proc/}; kill -s "$1" "\${p%/environ}" 2>/dev/null && n=$((n+1)); fi
done; exit $((n > 100 ? 100 : n))`
const SIDE_EXEC_LIMIT_MS = 10_000

/** A family found by the mark in its environment, through execs of `kill` in the same container. */
export class SideFamily implements Family {
  readonly #api: DockerApi
  readonly #containerId: string
  readonly #mark: string

  constructor(api: DockerApi, containerId: string, mark: string) {
    this.#api = api
    this.#containerId = containerId
    this.#mark = mark
  }

  async signal(signal: string): Promise<void> {
    if (signalName(signal)) await this.#kill(signal)
  }

  async end(): Promise<number> {
    if ((await this.#kill('HUP')) === 0) return 0
    await sleep(1000)
    let left = 1
    for (let round = 0; round < 5 && left > 0; round++) left = await this.#kill('KILL')
    return left
  }

  /** @returns how many received it, at most 100 */
  async #kill(signal: string): Promise<number> {
    const stop = AbortSignal.timeout(SIDE_EXEC_LIMIT_MS)
    const request = { argv: ['/bin/sh', '-c', KILL_SCRIPT, 'kill', signal, `${MARK_VARIABLE}=${this.#mark}`], env: {} }
    const execId = await this.#api.createExec(this.#containerId, request, stop)
    const socket = await this.#api.startExec(execId, request)
    try {
      await new Promise<void>((resolve) => {
        socket
          .on('end', resolve)
          .on('close', resolve)
          .on('error', () => resolve())
          .resume()
        stop.addEventListener('abort', () => resolve(), { once: true })
      })
      for (let waitMs = 2; !stop.aborted; waitMs *= 2) {
        const state = await this.#api.inspectExec(execId, stop)
        if (state.exitCode !== undefined) return state.pid === 0 ? 0 : state.exitCode
        await sleep(waitMs)
      }
      return 0
    } finally {
      socket.destroy()
    }
  }
}

/** What docker keeps of containers beside their programs: logs, and what they use. Asks on a connection of its own. */
import { OpsError } from '../src/core/errors.js'
import { escapePeerText } from '../src/core/log.js'
import type { ContainerUsage, RemoteProcess } from '../src/core/types.js'
import { CgroupUsage } from './cgroup-usage.js'
import { describeContainer } from './containers.js'
import { DockerApi } from './docker-api.js'
import { DockerLogProcess } from './docker-log-process.js'
import type { AskedLogs } from './logs-request.js'

const SCHEME = 'docker://'
/** A question that docker answers from memory. */
const ANSWER_MS = 10_000

interface Inspected {
  readonly Id: string
  readonly Name: string
  readonly Created: string
  readonly State: { readonly Running: boolean }
  readonly Config: { readonly Labels?: Readonly<Record<string, string>> | null; readonly Tty?: boolean }
}
interface Listed {
  readonly Id: string
  readonly Created: number
}

export class DockerObserver {
  readonly #api: DockerApi
  readonly #usage: CgroupUsage

  /** @param docker "unix:///var/run/docker.sock" */
  constructor(docker: string) {
    this.#api = new DockerApi(docker.replace(/^unix:\/\//, ''))
    this.#usage = new CgroupUsage((id, signal) => this.#api.containerPid(id, signal))
  }

  /**
   * The log of the container that was asked for, and of no other that has taken its place; it may have ended.
   * @throws OpsError TARGET_GONE, TARGET_UNREACHABLE, NOT_FOUND: no log is kept of it
   */
  async logsOf(asked: AskedLogs, signal: AbortSignal): Promise<RemoteProcess> {
    const { namespace, pod, uid, container, containerId } = asked
    const info = await this.#inspect(containerId.startsWith(SCHEME) ? containerId.slice(SCHEME.length) : '', signal)
    const is = describeContainer({ id: info.Id, names: [info.Name], labels: info.Config.Labels ?? {} })
    if (!is || is.namespace !== namespace || is.pod !== pod || is.uid !== uid || is.container !== container) {
      const what = [namespace, pod, container].map((word) => escapePeerText(word)).join('/')
      throw new OpsError('TARGET_GONE', `Container ${info.Id.slice(0, 12)} is not ${what} of pod uid ${escapePeerText(uid)}`)
    }
    return this.#open(info, asked.logs, signal)
  }

  /** The same for a docker host, where a container is known by its id alone. */
  async logs(containerId: string, logs: AskedLogs['logs'], signal: AbortSignal): Promise<RemoteProcess> {
    return this.#open(await this.#inspect(containerId, signal), logs, signal)
  }

  /** Of all containers that run, by id. */
  async usage(signal: AbortSignal): Promise<ReadonlyMap<string, ContainerUsage>> {
    const running = await this.#api.containers(AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]))
    const wanted = running.filter((info) => describeContainer(info) !== undefined).map(({ id }) => id)
    return this.#usage.read(wanted, signal)
  }

  close(): void {
    this.#api.close()
  }

  async #open(info: Inspected, logs: AskedLogs['logs'], signal: AbortSignal): Promise<RemoteProcess> {
    const { Id, Config } = logs.previous ? await this.#before(info, signal) : info
    const { follow, timestamps, tail, since, stream } = logs
    const query = new URLSearchParams({ stdout: stream === 'stderr' ? '0' : '1', stderr: stream === 'stdout' ? '0' : '1' })
    if (follow) query.set('follow', '1')
    if (timestamps) query.set('timestamps', '1')
    if (tail !== undefined) query.set('tail', String(tail))
    if (since) query.set('since', (since.getTime() / 1000).toFixed(3))
    const answer = await this.#api.stream(`/containers/${Id}/logs?${query}`, `read the log of ${Id.slice(0, 12)}`, signal).catch((error: unknown) => {
      if (!(error instanceof OpsError) || error.code !== 'NOT_FOUND') throw error
      throw notKept('its log driver keeps no log that could be read', error)
    })
    return new DockerLogProcess(answer, Config.Tty === true, signal)
  }

  async #inspect(id: string, signal: AbortSignal): Promise<Inspected> {
    if (!/^[0-9a-f]{12,64}$/.test(id)) throw new OpsError('TARGET_GONE', `"${escapePeerText(id, 80)}" is no container of docker`)
    return (await this.#api.get(`/containers/${id}/json`, `inspect container ${id.slice(0, 12)}`, signal)) as Inspected
  }

  /** kubelet starts a container of the same name anew after each end, and keeps the last one or few. */
  async #before(info: Inspected, signal: AbortSignal): Promise<Inspected> {
    const labels = info.Config.Labels ?? {}
    const same = ['io.kubernetes.pod.uid', 'io.kubernetes.container.name'].map((name) => `${name}=${labels[name] ?? ''}`)
    const filters = encodeURIComponent(JSON.stringify({ label: same }))
    const found = (await this.#api.get(`/containers/json?all=1&filters=${filters}`, 'list containers', signal)) as readonly Listed[]
    const createdSeconds = Date.parse(info.Created) / 1000
    const [last] = found.filter(({ Id, Created }) => Id !== info.Id && Created <= createdSeconds).sort((a, b) => b.Created - a.Created)
    if (last && labels['io.kubernetes.pod.uid'] !== undefined) return this.#inspect(last.Id, signal)
    // of a container that waits to be started again kubelet keeps its last run only, and means that one
    if (!info.State.Running) return info
    throw notKept('there is no container before this one whose log is kept')
  }
}

/** The gateway tells its user the message as it is. */
function notKept(why: string, cause?: unknown): OpsError {
  return new OpsError('NOT_FOUND', why, { cause, detail: why })
}

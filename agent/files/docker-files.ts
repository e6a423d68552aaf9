/** File sessions in docker containers. */
import type { DockerHost } from '../docker-process.js'
import { FileSessions } from './file-sessions.js'
import { type FileSession, startFiles } from './start-files.js'

export class DockerFiles {
  readonly #host: Pick<DockerHost, 'api' | 'watch'>
  readonly #sessions = new FileSessions()

  constructor(host: Pick<DockerHost, 'api' | 'watch'>) {
    this.#host = host
  }

  /** The child keeps the container's mounts and control groups busy: it must not outlive the container. @throws OpsError TARGET_GONE, TARGET_NOT_RUNNING, TARGET_UNREACHABLE */
  async open(containerId: string, signal: AbortSignal): Promise<FileSession> {
    const { api, watch } = this.#host
    const { id, pid, user, groups, workingDir } = await api.containerFacts(containerId, signal)
    const session = this.#sessions.keep(await startFiles({ kind: 'container', pid, containerId: id, user, groups, workingDir }, signal))
    const over = new AbortController()
    void session.ended.then(() => over.abort())
    void watch.untilGone(pid, over.signal).then(() => session.close())
    return session
  }

  close(): Promise<void> {
    return this.#sessions.close()
  }
}

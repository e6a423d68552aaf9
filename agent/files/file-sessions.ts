/** The file sessions that run, to be ended with what runs them. */
import type { FileSession } from './start-files.js'

export class FileSessions {
  readonly #running = new Set<FileSession>()

  keep(session: FileSession): FileSession {
    this.#running.add(session)
    void session.ended.then(() => this.#running.delete(session))
    return session
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running].map((session) => session.close()))
  }
}

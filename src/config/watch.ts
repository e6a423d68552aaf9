/**
 * Tells when the content of files may have changed. Folders are watched and not the files: editors rename over them, and
 * Kubernetes swaps a link beside them. Whether the content has changed is for the hash to say, so too many calls do no harm.
 */
import { type FSWatcher, watch } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from '../core/log.js'

/** An editor writes, renames and removes in one go. */
const QUIET_MS = 100
/** Where no event comes (network file systems, a folder that was replaced): looked at so often. */
const POLL_MS = 15_000

/** @param changed called some time after a change, and now and then; never while the one before runs. Its failure is logged */
export class FileWatch {
  readonly #watchers: FSWatcher[] = []
  readonly #poll: NodeJS.Timeout
  readonly #changed: () => Promise<void>
  readonly #log: Logger
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(files: readonly string[], changed: () => Promise<void>, log: Logger) {
    this.#changed = changed
    this.#log = log
    for (const folder of new Set(files.map((file) => dirname(file)))) this.#watch(folder)
    this.#poll = setInterval(() => this.#soon(0), POLL_MS).unref()
  }

  /** Looks now, as SIGHUP asks. Resolves when it has. */
  async look(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#running
    await this.#run()
  }

  /** May be called twice. Resolves when the look that runs has ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#poll)
    for (const watcher of this.#watchers) watcher.close()
    await this.#running
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#soon(QUIET_MS))
      watcher.on('error', (error) => this.#log.warn({ folder, reason: error.message }, 'config.watch'))
      this.#watchers.push(watcher)
    } catch (error) {
      this.#log.warn({ folder, reason: error instanceof Error ? error.message : String(error), remedy: `looked at every ${POLL_MS / 1000} s` }, 'config.watch')
    }
  }

  #soon(ms: number): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#run(), ms).unref()
  }

  #run(): Promise<void> {
    if (this.#running) {
      this.#again = true
      return this.#running
    }
    this.#running = this.#changed()
      .catch((error: unknown) => this.#log.error({ error }, 'config.watch'))
      .finally(() => {
        this.#running = undefined
        if (this.#again && !this.#closed) {
          this.#again = false
          this.#soon(0)
        }
      })
    return this.#running
  }
}

/** Why what Redis holds is not in force, told once: in the log, as an event, and for as long as it lasts in /readyz. */
import { toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { ListName } from '../store/list-redis.js'

/** Writes an admin event of the list. */
export type TellEvent = (event: { readonly action: string; readonly before?: unknown; readonly after?: unknown }) => Promise<unknown>

export class ListTrouble {
  readonly #list: ListName
  readonly #tell: TellEvent
  readonly #log: Logger
  #text: string | undefined
  #isAway = false
  #told = ''

  constructor(list: ListName, tell: TellEvent, log: Logger) {
    this.#list = list
    this.#tell = tell
    this.#log = log
  }

  /** Undefined while what Redis holds is in force. */
  get text(): string | undefined {
    return this.#text
  }

  /**
   * Told once for each broken list and once for each time that Redis is away, not at each look. Never rejects.
   * @param sha256 of what was found
   * @param version what is in force in its place
   */
  async note(thrown: unknown, sha256: string | undefined, version: number, instead: string): Promise<void> {
    const { code, message: reason } = toOpsError(thrown)
    const isAway = code === 'TARGET_UNREACHABLE'
    this.#text = `${reason}; ${instead}`
    // while Redis is away it may say so in other words each time
    const told = isAway ? 'away' : `${sha256}${reason}`
    if (told === this.#told) return
    this.#told = told
    this.#isAway = isAway
    this.#log.error({ list: this.#list, reason, instead }, isAway ? 'list.away' : 'list.reload.refused')
    const after = { ...(sha256 !== undefined && { sha256 }), reason }
    const kept = await this.#keep({ action: isAway ? 'away' : 'reload.refused', before: { version }, after })
    // an audit that was away itself is told at the next look
    if (!kept) this.#told = ''
  }

  /** All is well, with this version. Never rejects. */
  async clear(version: number): Promise<void> {
    const wasAway = this.#isAway
    this.#text = undefined
    this.#told = ''
    this.#isAway = false
    if (!wasAway) return
    this.#log.info({ list: this.#list, version }, 'list.back')
    await this.#keep({ action: 'back', after: { version } })
  }

  async #keep(event: Parameters<TellEvent>[0]): Promise<boolean> {
    try {
      await this.#tell(event)
      return true
    } catch (error) {
      this.#log.error({ error }, 'audit.failed')
      return false
    }
  }
}

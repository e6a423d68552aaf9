/** Refusals of the API in the audit log: each one, up to what a flood may write; then how many more there were. */
import type { Logger } from '../core/log.js'
import { escapePeerText } from '../core/log.js'
import type { AuditEvent, AuditSink, PeerAddress } from '../core/types.js'

const WINDOW_MS = 60_000

export interface RefusalLimits {
  /** Events a minute about one address; 20. */
  readonly perAddress?: number
  /** Events a minute in all; 300. */
  readonly total?: number
}
export interface Refusal {
  readonly from: PeerAddress
  /** "GET /api/v1/sessions/x": no query, which may hold anything. */
  readonly request: string
  readonly reason: string
  /** Absent: nobody who is known. */
  readonly user?: string
}

export class Refusals {
  readonly #audit: Pick<AuditSink, 'write'>
  readonly #log: Logger
  readonly #perAddress: number
  readonly #total: number
  #timer: NodeJS.Timeout | undefined
  readonly #byAddress = new Map<string, number>()
  #written = 0
  #dropped = 0

  constructor(audit: Pick<AuditSink, 'write'>, log: Logger, { perAddress = 20, total = 300 }: RefusalLimits = {}) {
    this.#audit = audit
    this.#log = log
    this.#perAddress = perAddress
    this.#total = total
  }

  /** A login token that does not hold, or a right that somebody known does not have. Never throws, and nobody waits for it. */
  note({ from, request, reason, user }: Refusal): void {
    this.#timer ??= setTimeout(() => this.#turn(), WINDOW_MS).unref()
    const count = this.#byAddress.get(from.host) ?? 0
    if (count >= this.#perAddress || this.#written >= this.#total) {
      this.#dropped++
      return
    }
    this.#byAddress.set(from.host, count + 1)
    this.#written++
    const at = `${from.host}:${from.port}`
    const object = escapePeerText(request)
    if (user === undefined) this.#write({ type: 'login.refused', method: 'token', reason, from: at })
    else this.#write({ type: 'admin', action: 'access.refused', object, user, from: at, after: { reason } })
  }

  /** Writes what a minute held back. */
  close(): void {
    clearTimeout(this.#timer)
    this.#turn()
  }

  #turn(): void {
    this.#timer = undefined
    this.#byAddress.clear()
    this.#written = 0
    if (this.#dropped > 0) this.#write({ type: 'admin', action: 'access.refused.more', object: 'http', after: { count: this.#dropped } })
    this.#dropped = 0
  }

  #write(event: AuditEvent): void {
    this.#audit.write(event).catch((error: unknown) => this.#log.error({ error, type: event.type }, 'audit.failed'))
  }
}

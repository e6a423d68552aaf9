/** What the exec doors of HTTP are handed, and what they share. */
import type { IncomingMessage } from 'node:http'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { ClientEnd, Identity } from '../core/types.js'
import type { OpenRequest } from '../session/open.js'

/** Who asks, by bearer token or session cookie. @throws OpsError AUTH_FAILED */
export type Identify = (request: IncomingMessage) => Promise<Identity>

export interface ExecDoorParts {
  readonly identify: Identify
  /** `Entrance.open` */
  readonly open: (request: OpenRequest, client: ClientEnd) => Promise<void>
  readonly slots: RunSlots
  readonly log: Logger
  /** Between heartbeats of a streaming answer and pings of a WebSocket. Default 15 s. */
  readonly heartbeatMs?: number
}
export const HEARTBEAT_MS = 15_000
/** Clients that know the size of their terminal send it first: a program that asks at once finds it. */
export const FIRST_SIZE_MS = 200

export interface SlotLimits {
  /** Execs and terminals of one user at once over HTTP. Default 256: a batch runs many side by side. */
  readonly perUser?: number
  /** Of all users. Default 2000. */
  readonly total?: number
}

/** Counts what runs over HTTP, so that one client cannot take all of it. */
export class RunSlots {
  readonly #perUser: number
  readonly #total: number
  readonly #users = new Map<string, number>()
  #running = 0

  constructor({ perUser = 256, total = 2000 }: SlotLimits = {}) {
    this.#perUser = perUser
    this.#total = total
  }

  get running(): number {
    return this.#running
  }

  /** @returns the way to give it back; a second call does nothing @throws OpsError LIMIT_EXCEEDED */
  take(user: string): () => void {
    const own = this.#users.get(user) ?? 0
    if (own >= this.#perUser) throw new OpsError('LIMIT_EXCEEDED', `exec refused: ${own} run for the user`, { detail: `${own} of your execs run already` })
    if (this.#running >= this.#total) throw new OpsError('LIMIT_EXCEEDED', `exec refused: ${this.#running} run`, { detail: 'too many execs run already' })
    this.#users.set(user, own + 1)
    this.#running += 1
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      this.#running -= 1
      const left = (this.#users.get(user) ?? 1) - 1
      if (left > 0) this.#users.set(user, left)
      else this.#users.delete(user)
    }
  }
}

/** What a caller may say of where: the grammar of contract.md, "Address". */
export interface NamedTarget {
  readonly cluster?: string | undefined
  readonly namespace?: string | undefined
  readonly pod: string
  readonly container?: string | undefined
}

/** An address as one text. @throws OpsError TARGET_SYNTAX for a cluster without a namespace, which the grammar cannot say */
export function addressOf({ cluster, namespace, pod, container }: NamedTarget): string {
  if (cluster !== undefined && namespace === undefined) {
    throw new OpsError('TARGET_SYNTAX', 'a cluster without a namespace', { detail: 'name the namespace too, where you name the cluster' })
  }
  const names = [pod, namespace, cluster].filter((name) => name !== undefined).join('.')
  return container === undefined ? names : `${names}+${container}`
}

/** An address and the container that was named beside it. @throws OpsError BAD_REQUEST where both name one */
export function addressWith(address: string, container: string | undefined): string {
  if (container === undefined) return address
  if (address.includes('+')) throw new OpsError('BAD_REQUEST', 'two containers', { detail: 'the target names a container already' })
  return `${address}+${container}`
}

/** The error as the API says it; contract.md, "HTTP". */
export function errorBody(error: OpsError): { code: string; message: string; rule?: string } {
  return { code: error.code, message: error.userText, ...(error.rule !== undefined && { rule: error.rule }) }
}

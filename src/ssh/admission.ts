/** Who may connect: counts connections in all, per address, and those that have not logged in. */
import type { SshLimits } from './limits.js'

/** One accepted connection as admission sees it. */
export interface Guest {
  readonly address: string
  /** Ends a connection that has not logged in, to make room. */
  giveWay(): void
}

export class Admission {
  readonly #limits: SshLimits
  readonly #all = new Set<Guest>()
  readonly #byAddress = new Map<string, number>()
  /** Address -> its connections that have not logged in, oldest first. */
  readonly #logins = new Map<string, Set<Guest>>()
  #loginCount = 0

  constructor(limits: SshLimits) {
    this.#limits = limits
  }

  get connections(): number {
    return this.#all.size
  }

  /** @returns why one more connection from `address` is refused, in words for its user */
  refusal(address: string): string | undefined {
    const { connections, connectionsPerAddress, loginsPerAddress } = this.#limits
    if (this.#all.size >= connections) return 'this gateway has as many connections as it takes, try again later'
    if ((this.#byAddress.get(address) ?? 0) >= connectionsPerAddress) return 'too many connections from your address'
    if ((this.#logins.get(address)?.size ?? 0) >= loginsPerAddress) return 'too many logins in progress from your address, try again later'
    return undefined
  }

  /** Counts a newcomer. When too many are logging in, the oldest of the busiest address gives way, so that one address cannot keep others out. */
  enter(guest: Guest): void {
    if (this.#loginCount >= this.#limits.logins) this.#oldestOfBusiest()?.giveWay()
    this.#all.add(guest)
    this.#byAddress.set(guest.address, (this.#byAddress.get(guest.address) ?? 0) + 1)
    const logins = this.#logins.get(guest.address) ?? new Set()
    this.#logins.set(guest.address, logins.add(guest))
    this.#loginCount += 1
  }

  loggedIn(guest: Guest): void {
    const logins = this.#logins.get(guest.address)
    if (!logins?.delete(guest)) return
    this.#loginCount -= 1
    if (logins.size === 0) this.#logins.delete(guest.address)
  }

  /** May be called twice. */
  leave(guest: Guest): void {
    if (!this.#all.delete(guest)) return
    this.loggedIn(guest)
    const left = (this.#byAddress.get(guest.address) ?? 1) - 1
    if (left > 0) this.#byAddress.set(guest.address, left)
    else this.#byAddress.delete(guest.address)
  }

  #oldestOfBusiest(): Guest | undefined {
    let busiest: Set<Guest> | undefined
    for (const logins of this.#logins.values()) {
      if (logins.size > (busiest?.size ?? 0)) busiest = logins
    }
    return busiest?.values().next().value
  }
}

/**
 * What failed logins cost. Three tallies: one per user name at an address, one per user name everywhere, one per address; names
 * known or not, for a lock must not tell which exist. After a few free failures each answer waits, twice as long each time; after
 * more the door is shut for a while. The numbers stand in `ThrottleLimits`.
 *
 * A lock that anybody can cause for anybody would be a weapon. So a name is shut first at the address that guesses; everywhere only
 * after many more failures, which one address cannot make before it is shut itself; and never at an address from which its owner
 * has come in before, where only failures from that address count.
 *
 * Memory is bounded: beyond `maxTracked` the name (or address) that failed longest ago is forgotten. Pushing one name
 * out takes as many failures under other names, and the address that makes them is shut long before.
 */
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { abortReason } from '../core/errors.js'

export interface ThrottleLimits {
  /** Failures of one user name at one address that cost nothing. Default 3. */
  readonly userFreeFailures: number
  /** Failures of one user name at one address that shut it there for passwords. Default 10. */
  readonly userLockAfter: number
  /** Failures of one user name from all addresses that shut it for passwords where its owner never was; half of them cost nothing. Default 100. */
  readonly userLockAfterEverywhere: number
  /** Failures from one address that cost nothing; offices share addresses. Default 10. */
  readonly addressFreeFailures: number
  /** Failures from one address that shut it for every method. Default 100. */
  readonly addressLockAfter: number
  /** Wait after the first failure that is not free; doubles with each more. Default 1 s. */
  readonly firstDelayMs: number
  /** The longest wait, and the wait before each refusal while locked. Default 8 s. */
  readonly maxDelayMs: number
  /** Failures are forgotten when none followed for this long. Default 15 min. */
  readonly windowMs: number
  /** How long a lock lasts. Default 15 min. */
  readonly lockMs: number
  /** User names, addresses and pairs of them remembered, each. Default 10,000 (about 6 MB). */
  readonly maxTracked: number
}

export const DEFAULT_THROTTLE_LIMITS: ThrottleLimits = {
  userFreeFailures: 3,
  userLockAfter: 10,
  userLockAfterEverywhere: 100,
  addressFreeFailures: 10,
  addressLockAfter: 100,
  firstDelayMs: 1000,
  maxDelayMs: 8000,
  windowMs: 15 * 60_000,
  lockMs: 15 * 60_000,
  maxTracked: 10_000,
}

/** Time as an argument; tests move it. */
export interface Clock {
  /** Milliseconds that never run backwards. */
  now(): number
  /** @throws OpsError the reason of `signal` */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

/** The clock of this process. */
export const processClock: Clock = {
  now: () => performance.now(),
  async wait(ms, signal) {
    try {
      await sleep(ms, undefined, { signal })
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : error
    }
  },
}

/** What an attempt has to wait, and whether it will be refused whatever it proves. */
export interface Standing {
  readonly delayMs: number
  readonly locked: boolean
}

interface Tally {
  failures: number
  lastAt: number
  /** 0 when not locked. */
  lockedUntil: number
}

/** Counts failures of one kind of key, least recently failed first. */
class Failures {
  readonly #tallies = new Map<string, Tally>()
  readonly #limits: ThrottleLimits
  readonly #free: number
  readonly #lockAfter: number

  constructor(limits: ThrottleLimits, free: number, lockAfter: number) {
    this.#limits = limits
    this.#free = free
    this.#lockAfter = lockAfter
  }

  get size(): number {
    return this.#tallies.size
  }

  standing(key: string, now: number): Standing {
    const tally = this.#current(key, now)
    if (!tally) return { delayMs: 0, locked: false }
    if (tally.lockedUntil > now) return { delayMs: this.#limits.maxDelayMs, locked: true }
    const paid = tally.failures - this.#free
    const delayMs = paid <= 0 ? 0 : Math.min(this.#limits.firstDelayMs * 2 ** (paid - 1), this.#limits.maxDelayMs)
    return { delayMs, locked: false }
  }

  count(key: string, now: number): number {
    return this.#current(key, now)?.failures ?? 0
  }

  add(key: string, now: number): void {
    const tally = this.#current(key, now) ?? { failures: 0, lastAt: now, lockedUntil: 0 }
    tally.failures++
    tally.lastAt = now
    if (tally.failures >= this.#lockAfter && tally.lockedUntil <= now) tally.lockedUntil = now + this.#limits.lockMs
    // deleting first moves the key to the end, so that the first key of the map is the one to forget
    this.#tallies.delete(key)
    this.#tallies.set(key, tally)
    const [oldest] = this.#tallies.keys()
    if (this.#tallies.size > this.#limits.maxTracked && oldest !== undefined) this.#tallies.delete(oldest)
  }

  subtract(key: string, count: number): void {
    const tally = this.#tallies.get(key)
    if (tally) tally.failures = Math.max(0, tally.failures - count)
  }

  forget(key: string): void {
    this.#tallies.delete(key)
  }

  #current(key: string, now: number): Tally | undefined {
    const tally = this.#tallies.get(key)
    if (!tally) return undefined
    const over = tally.lockedUntil > 0 ? now >= tally.lockedUntil : now - tally.lastAt > this.#limits.windowMs
    if (over) this.#tallies.delete(key)
    return over ? undefined : tally
  }
}

/** How long an address is known as one from which a user comes. */
const FAMILIAR_MS = 30 * 24 * 3_600_000

/** Failed logins per user name and per address. */
export class Throttle {
  readonly #users: Failures
  readonly #pairs: Failures
  readonly #addresses: Failures
  /** Failures in a row from an address for one user; forgiven when that user then gets in. Bounded like the others. */
  readonly #rows = new Map<string, { user: string; count: number }>()
  /** When a user last came in from an address, the longest ago first. */
  readonly #familiar = new Map<string, number>()
  readonly #limits: ThrottleLimits
  readonly #clock: Clock

  constructor(limits: ThrottleLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    const { userLockAfterEverywhere: everywhere } = limits
    this.#users = new Failures(limits, Math.floor(everywhere / 2), everywhere)
    this.#pairs = new Failures(limits, limits.userFreeFailures, limits.userLockAfter)
    this.#addresses = new Failures(limits, limits.addressFreeFailures, limits.addressLockAfter)
  }

  /** How many names and addresses are remembered; for metrics and tests. */
  get tracked(): { readonly users: number; readonly addresses: number; readonly pairs: number; readonly familiar: number } {
    return { users: this.#users.size, addresses: this.#addresses.size, pairs: this.#pairs.size, familiar: this.#familiar.size }
  }

  /**
   * @param user absent for a method that cannot be guessed (public keys): a lock on the name would only let a stranger
   * keep its owner out
   */
  standing(host: string, user?: string): Standing {
    const now = this.#clock.now()
    const key = addressKey(host)
    const all = [this.#addresses.standing(key, now)]
    if (user !== undefined) {
      all.push(this.#pairs.standing(pairKey(key, user), now))
      if (!this.#isFamiliar(key, user, now)) all.push(this.#users.standing(user, now))
    }
    return { delayMs: Math.max(...all.map(({ delayMs }) => delayMs)), locked: all.some(({ locked }) => locked) }
  }

  /** @param counts whether the failure counts against the user name as well as against the address */
  failed(host: string, user: string, counts: 'user and address' | 'address'): void {
    const now = this.#clock.now()
    const key = addressKey(host)
    this.#addresses.add(key, now)
    if (counts === 'user and address') {
      this.#users.add(user, now)
      this.#pairs.add(pairKey(key, user), now)
    }
    const row = this.#rows.get(key)
    putLast(this.#rows, key, { user, count: row?.user === user ? row.count + 1 : 1 }, this.#limits.maxTracked)
  }

  /**
   * Forgets what this user did wrong here just before getting in: a mistyped password, a key tried before the right one.
   * Failures for other names from the same address stay, or an account of one's own would buy endless guesses; so do failures for
   * this name from other addresses, or its owner's coming and going would.
   * @param byPassword a password clears the name's failures at this address; a key says nothing about who guessed passwords
   */
  succeeded(host: string, user: string, byPassword: boolean): void {
    const now = this.#clock.now()
    const key = addressKey(host)
    const pair = pairKey(key, user)
    const row = this.#rows.get(key)
    if (row?.user === user) {
      this.#addresses.subtract(key, row.count)
      this.#rows.delete(key)
    }
    if (byPassword) {
      this.#users.subtract(user, this.#pairs.count(pair, now))
      this.#pairs.forget(pair)
    }
    putLast(this.#familiar, pair, now, this.#limits.maxTracked)
  }

  #isFamiliar(key: string, user: string, now: number): boolean {
    const at = this.#familiar.get(pairKey(key, user))
    return at !== undefined && now - at < FAMILIAR_MS
  }
}

/** Addresses hold no space. */
function pairKey(address: string, user: string): string {
  return `${address} ${user}`
}

/** As the last of the map, which forgets its first when it holds too many. */
function putLast<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > most && oldest !== undefined) map.delete(oldest)
}

/**
 * What counts as one address: an IPv4 address, however written, or the /64 of an IPv6 address, for one customer has
 * 2^64 of those.
 */
export function addressKey(host: string): string {
  const bare = host.replace(/%.*$/, '').toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)
  if (mapped) return mapped[1] as string
  if (!isIPv6(bare)) return bare.slice(0, 256)
  const [head = '', tail] = bare.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  // an IPv4 tail stands for two groups; it lies in the lower half, so only its length matters
  const rightGroups = right.length + (right.at(-1)?.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - rightGroups)
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right].slice(0, 4)
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}

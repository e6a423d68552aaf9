/** The users that hold now: a directory whose content is replaced as a whole, and what that means for people who are logged in. */
import type { Identity, Role } from '../core/types.js'
import { createDirectory, type Directory, type User } from './directory.js'

export class LiveDirectory implements Directory {
  #directory: Directory
  /** Every name that was ever in it: one that is gone has lost its account, one that never was has another source. */
  readonly #known: Set<string>
  #current = new WeakMap<Identity, Identity>()

  constructor(users: readonly User[]) {
    this.#directory = createDirectory(users)
    this.#known = new Set(users.map(({ name }) => name))
  }

  /** From the next question on these are the users. */
  replace(users: readonly User[]): void {
    this.#directory = createDirectory(users)
    for (const { name } of users) this.#known.add(name)
    this.#current = new WeakMap()
  }

  find(name: string): User | undefined {
    return this.#directory.find(name)
  }

  get costClasses(): readonly string[] {
    return this.#directory.costClasses
  }

  /** `identity` with today's groups and roles, the same object each time; undefined when its account was removed. */
  current(identity: Identity): Identity | undefined {
    const known = this.#current.get(identity)
    if (known) return known
    const user = this.find(identity.user)
    if (!user) return this.#known.has(identity.user) ? undefined : identity
    const same = sameNames(user.groups, identity.groups) && sameNames(user.roles, identity.roles)
    const current = same ? identity : { ...identity, groups: user.groups, roles: user.roles }
    this.#current.set(identity, current)
    return current
  }
}

function sameNames(one: readonly (string | Role)[], other: readonly (string | Role)[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name))
}

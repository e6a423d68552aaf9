/** Users with their groups, roles, password hashes and keys, as users.yaml writes them (contract.md, "Config"). */
import { z } from 'zod'
import type { Role } from '../core/types.js'
import { costClass, hashMistake } from './password.js'
import { type AuthorizedKey, parseAuthorizedKey } from './public-key.js'

export interface User {
  readonly name: string
  readonly groups: readonly string[]
  /** Always holds "user": everyone may see their own sessions. */
  readonly roles: readonly Role[]
  /** PHC string; absent: no password opens this account. */
  readonly password?: string
  readonly keys: readonly AuthorizedKey[]
}

/** Finds people by name. Another source (LDAP, a database) would be another implementation. */
export interface Directory {
  find(name: string): User | undefined
  /** Every cost class in use, so that a login by an unknown name can take as long as one by a known. */
  readonly costClasses: readonly string[]
}

/** A name must survive in `USER+TARGET@HOST`, in paths and in log lines. */
const name = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-", and not start with "." or "-"')

const password = z.string().superRefine((phc, context) => {
  const mistake = hashMistake(phc)
  if (mistake) context.addIssue({ code: 'custom', message: mistake })
})

const key = z.string().transform((line, context): AuthorizedKey => {
  try {
    return parseAuthorizedKey(line)
  } catch (error) {
    // the account's name and the number of the key stand in the path
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    return z.NEVER
  }
})

/** One user of a users file. */
export const userSchema = z
  .strictObject({
    name,
    groups: z.array(name).default([]),
    password: password.exactOptional(),
    keys: z.array(key).default([]),
    roles: z.array(z.enum(['user', 'auditor', 'admin'])).default([]),
  })
  .transform((user): User => ({ ...user, roles: [...new Set<Role>(['user', ...user.roles])] }))

/** @throws z.ZodError listing every mistake with its path */
export function parseUsers(value: unknown): readonly User[] {
  return z.array(userSchema).parse(value)
}

/** A directory that holds `users` in memory. Names are compared exactly. */
export function createDirectory(users: readonly User[]): Directory {
  const byName = new Map(users.map((user) => [user.name, user]))
  const classes = users.flatMap((user) => (user.password === undefined ? [] : [costClass(user.password)]))
  return { find: (name) => byName.get(name), costClasses: [...new Set(classes)].sort() }
}

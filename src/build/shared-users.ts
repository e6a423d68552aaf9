/** Accounts that live in Redis: the document `dockin:users`, in the form of users.yaml. */
import { createHash } from 'node:crypto'
import { type User, userSchema } from '../identity/directory.js'
import { reask } from '../session/reask.js'
import type { SessionRegistry } from '../session/registry.js'
import { readEntries } from './list-mistakes.js'
import type { RuleBook } from './rules.js'
import type { ListKind } from './shared-list.js'

export function userList(book: RuleBook, registry: SessionRegistry): ListKind<User> {
  return {
    name: 'users',
    read: (list) => readEntries('users', list, userSchema),
    apply: (users) => {
      book.replaceUsers(users)
      reask(registry, book.policy)
    },
    objections: (users) =>
      users.some(({ roles, password, keys }) => roles.includes('admin') && (password !== undefined || keys.length > 0))
        ? []
        : [{ index: 0, key: '', message: 'nobody would be left who is admin and can log in' }],
    shown: withoutHash,
  }
}

/** A hash of the hash tells that a password has changed, and helps nobody to guess it. */
function withoutHash(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null || !('password' in entry)) return entry
  const digest = createHash('sha256')
    .update(`dockin.account.v1\n${String(entry.password)}`)
    .digest('hex')
  return { ...entry, password: `sha256:${digest.slice(0, 16)}` }
}

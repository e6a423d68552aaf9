/** Whom `docker exec` would run as: the container's user, by the passwd and group files of the image. */
import { closeSync, fstatSync, readSync } from 'node:fs'
import { openRegular } from './node-handle.js'

export interface ContainerUser {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
  /** "" when passwd has none. */
  readonly home: string
}
/** These files are the container's: whoever is root there may have put anything into them. */
const FILE_BYTES_MAX = 1024 * 1024
const GROUPS_MAX = 1024
const ID_MAX = 0xfffffffe
const READ_ONLY = { read: true, write: false, append: false, create: false, truncate: false, exclusive: false } as const

/**
 * Must be called within the container's root. The C library's own functions must not: they load modules from there.
 * The rules are those of runc (libcontainer/user, GetExecUser).
 * @param user "", NAME, UID, NAME:GROUP, UID:GID; "" is root
 * @throws Error for a name that the image does not know
 */
export function resolveUser(user: string, added: readonly string[], readTable: (path: string) => string[][] = readColons): ContainerUser {
  const [name = '', group] = (user === '' ? '0' : user).split(':')
  const row = readTable('/etc/passwd').find(([known, , uid]) => known === name || uid === name)
  if (!row && idOf(name) === undefined) throw new Error(`the container's user "${name}" is not in its /etc/passwd`)
  const uid = idOf(row?.[2] ?? name)
  const groupRows = readTable('/etc/group')
  const gid = group === undefined || group === '' ? (idOf(row?.[3] ?? '0') ?? 0) : groupId(group, groupRows)
  if (uid === undefined) throw new Error(`the container's user "${name}" has no number`)
  // a group that was named takes the place of those that the user is in
  const member = group === undefined && row ? groupRows.filter(([, , , names]) => names?.split(',').includes(row[0] ?? '')).map(([, , id]) => idOf(id)) : []
  const more = added.map((one) => groupId(one, groupRows))
  const groups = [...new Set([gid, ...member, ...more])].filter((id) => id !== undefined)
  return { uid, gid, groups: groups.slice(0, GROUPS_MAX), home: row?.[5] ?? '' }
}

function groupId(group: string, rows: readonly (readonly string[])[]): number {
  const id = idOf(rows.find(([name]) => name === group)?.[2] ?? group)
  if (id === undefined) throw new Error(`the container's group "${group}" is not in its /etc/group`)
  return id
}

function idOf(text: string | undefined): number | undefined {
  const id = Number(text)
  return /^\d{1,10}$/.test(text ?? '') && id <= ID_MAX ? id : undefined
}

/** Lines split at colons; none where there is no such regular file. */
function readColons(path: string): string[][] {
  let fd: number
  try {
    fd = openRegular(Buffer.from(path), READ_ONLY, {})
  } catch {
    return []
  }
  try {
    const text = Buffer.alloc(Math.min(fstatSync(fd).size, FILE_BYTES_MAX))
    const length = readSync(fd, text, 0, text.length, 0)
    return text
      .toString('utf8', 0, length)
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(':'))
  } finally {
    closeSync(fd)
  }
}

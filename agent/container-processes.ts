/**
 * The processes of one container by host pid, without walking all of /proc: a node has thousands, a container a few, and
 * this is asked at the end of every exec. A container's control group lists them (cgroups(7), cgroup.procs).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { allPids, ProcessTable } from './processes.js'

export interface HostRoots {
  readonly proc: string
  readonly cgroup: string
}
const ROOTS: HostRoots = { proc: '/proc', cgroup: '/sys/fs/cgroup' }

/**
 * The table of a container's processes; of all processes where its control group cannot be read. Undefined when `pid` is
 * not one of the container's in this /proc: without the host's pid namespace the same number belongs to something else,
 * which must not be killed.
 * @param pid of the container's first process, as docker has it
 */
export function containerTable(pid: number, containerId: string, roots: HostRoots = ROOTS): ProcessTable | undefined {
  const groups = readOr(`${roots.proc}/${pid}/cgroup`, '')
  if (!groups.includes(containerId)) return undefined
  const folder = groupFolders(groups, containerId, roots.cgroup).find((one) => pidsOf(one)?.includes(pid))
  const list = folder === undefined ? () => allPids(roots.proc) : () => pidsOf(folder) ?? []
  return new ProcessTable(list, roots.proc)
}

/** Lines are `ID:CONTROLLERS:PATH`; no controllers means version 2. The path is cut behind the container: it may have groups of its own below. */
function groupFolders(groups: string, containerId: string, root: string): string[] {
  return groups.split('\n').flatMap((line) => {
    const [, controllers, ...rest] = line.split(':')
    const parts = rest.join(':').split('/')
    const last = parts.findIndex((part) => part.includes(containerId))
    if (controllers === undefined || last < 0) return []
    const path = parts.slice(0, last + 1).join('/')
    const mounts = controllers === '' ? ['', 'unified'] : [controllers.replace(/^name=/, '')]
    return mounts.map((mount) => join(root, mount, path))
  })
}

/** Pids in a group and in those below it; undefined when there is no such group. */
function pidsOf(folder: string): number[] | undefined {
  const own = readOr(join(folder, 'cgroup.procs'), undefined)
  if (own === undefined) return undefined
  const pids = own.split('\n').filter(Boolean).map(Number)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) pids.push(...(pidsOf(join(folder, entry.name)) ?? []))
  }
  return pids
}

function readOr<T>(path: string, otherwise: T): string | T {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return otherwise
  }
}

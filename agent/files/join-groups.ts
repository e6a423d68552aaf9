/** Takes this process into a container's control groups, so that the container's limits hold for what is done in its name. */
import { writeFileSync } from 'node:fs'

/**
 * Controllers of version 1. `devices`: whatever gets opened, a device that the container may not open stays shut. `memory`:
 * pages of files that are written count where they belong. Not `freezer`: a frozen process cannot be killed; not `pids`: our
 * threads would count against the container's.
 */
const CONTROLLERS: ReadonlySet<string> = new Set(['devices', 'memory'])
const PLACES = { score: '/proc/self/oom_score_adj', root: '/sys/fs/cgroup' } as const

/**
 * In version 2 there is but one group. What was allocated before does not move, and whoever joins is the first that the
 * kernel ends when the container has no memory left: never the container's own program.
 * @param groups lines of the container's /proc/PID/cgroup
 * @returns what was joined: "devices", "memory", "unified"
 */
export function joinGroups(groups: readonly string[], { score, root }: { readonly score: string; readonly root: string } = PLACES): string[] {
  if (!tryWrite(score, '1000')) return []
  return candidates(groups).flatMap(({ name, folder }) => (tryWrite(`${root}${folder}/cgroup.procs`, '0') ? [name] : []))
}

function candidates(groups: readonly string[]): { name: string; folder: string }[] {
  const parsed = groups.map((line) => {
    const [, controllers = '', ...path] = line.split(':')
    return { controllers, path: path.join(':') }
  })
  const isV1 = parsed.some(({ controllers }) => controllers.split(',').includes('devices'))
  if (!isV1) return parsed.filter(({ controllers }) => controllers === '').map(({ path }) => ({ name: 'unified', folder: path }))
  return parsed
    .filter(({ controllers }) => controllers.split(',').some((one) => CONTROLLERS.has(one)))
    .map(({ controllers, path }) => ({ name: controllers, folder: `/${controllers}${path}` }))
}

function tryWrite(path: string, text: string): boolean {
  try {
    writeFileSync(path, text)
    return true
  } catch {
    return false // no such hierarchy here, or it is mounted read-only: the answer tells what was joined
  }
}

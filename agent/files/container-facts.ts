/** What /proc says of a container's first process, read where no other can have taken its place. */
import { readFileSync, readlinkSync } from 'node:fs'

export interface ContainerFacts {
  /** Capabilities that any program in the container can have. */
  readonly capabilities: bigint
  /** Lines of /proc/PID/cgroup. */
  readonly groups: readonly string[]
}

/**
 * Reads in the working directory, which is /proc/PID: a directory of a process that has ended answers ESRCH for ever, also
 * when its pid is another's by now.
 * @throws Error when it is not the container's process, or when the container has a user namespace of its own
 */
export function readContainerFacts(containerId: string): ContainerFacts {
  const groups = readFileSync('cgroup', 'latin1')
  if (!groups.includes(containerId)) throw new Error('the process with that pid is not of the container: does the agent see the pids of the host?')
  if (readlinkSync('ns/user') !== readlinkSync('/proc/self/ns/user')) throw new Error('containers in a user namespace of their own are not served')
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('status', 'latin1'))?.[1]
  if (bounding === undefined) throw new Error('the capabilities of the container cannot be read')
  return { capabilities: BigInt(`0x${bounding}`), groups: groups.split('\n').filter(Boolean) }
}

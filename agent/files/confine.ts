/**
 * Makes this process one that can do in a container what the container's user can do there, and nothing elsewhere.
 *
 * chroot(2) and not setns(2): the kernel refuses CLONE_NEWNS to a process with threads, and node always has some. Through
 * /proc/PID/root the container's mounts are all there, symbolic links and ".." end at its root, and nothing of ours is open
 * that leads out. Its pid namespace is not joined: the container cannot see, trace or signal this process, and its own
 * /proc/self leads nowhere.
 *
 * Threads. Capabilities belong to threads, node has several, and there is no call that takes them from all. So for a
 * container whose user is root: glibc's setresuid makes every thread nobody, which takes all capabilities from all of them;
 * only this one keeps what is permitted, becomes root again by the bare system call, and cuts itself down. The other
 * threads stay nobody without a capability. File operations must therefore run on this thread: see NodeFiles.
 */
import { statSync } from 'node:fs'
import { readContainerFacts } from './container-facts.js'
import { type ContainerUser, resolveUser } from './container-user.js'
import { joinGroups } from './join-groups.js'
import type { FilesPlan } from './plan.js'
import type { System } from './system.js'

export interface Confined {
  readonly user: ContainerUser
  readonly capabilities: bigint
  readonly joined: readonly string[]
  readonly home: string
}
const NOBODY = 65_534
/** Bits of linux/capability.h. */
const CAP = { SETUID: 1n << 7n, SETPCAP: 1n << 8n } as const
const UMASK = 0o022

/** @throws Error of whichever step; the process must then end, for it is neither what it was nor what it was to be */
export function confine(plan: Extract<FilesPlan, { readonly kind: 'container' }>, system: System): Confined {
  process.chdir(`/proc/${plan.pid}`)
  const facts = readContainerFacts(plan.containerId)
  const joined = joinGroups(facts.groups)
  system.chroot('root')
  process.chdir('/')
  const user = resolveUser(plan.user, plan.groups)
  system.setGroups(user.groups)
  system.setGroup(user.gid)
  if (user.uid === 0) becomeRoot(system, facts.capabilities)
  else becomeUser(system, user.uid)
  system.noNewPrivileges()
  system.hide()
  system.endWithParent()
  process.umask(UMASK)
  return { user, capabilities: user.uid === 0 ? facts.capabilities : 0n, joined, home: firstDirectory([user.home, plan.workingDir]) }
}

function becomeUser(system: System, uid: number): void {
  system.dropBounding(0n)
  system.setUser(uid)
  system.setCapabilities(0n)
}

function becomeRoot(system: System, capabilities: bigint): void {
  system.keepCapabilities()
  system.setUser(NOBODY)
  system.setCapabilities(capabilities | CAP.SETUID | CAP.SETPCAP)
  system.setUserOfThread(0)
  system.dropBounding(capabilities)
  system.setCapabilities(capabilities)
}

function firstDirectory(paths: readonly string[]): string {
  return paths.find((path) => path.startsWith('/') && isDirectory(path)) ?? '/'
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

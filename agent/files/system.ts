/** System calls that node has no functions for. Loading libc takes some milliseconds; after that nothing is loaded any more. */
import { constants } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import koffi from 'koffi'

const PR = { SET_PDEATHSIG: 1, SET_DUMPABLE: 4, SET_KEEPCAPS: 8, CAPBSET_READ: 23, CAPBSET_DROP: 24, SET_NO_NEW_PRIVS: 38, CAP_AMBIENT: 47 } as const
const PR_CAP_AMBIENT_CLEAR_ALL = 4
const SIGKILL = 9
/** fcntl.h; the same on x86-64 and arm64. */
const O_CLOEXEC = 0o2000000
/** _LINUX_CAPABILITY_VERSION_3; capset(2). */
const CAPABILITY_VERSION = 0x20080522
const CAPABILITIES_MAX = 64
/** openat2(2), one number on every architecture; Linux 5.6. */
const SYS_OPENAT2 = 437
const AT_FDCWD = -100
/** linux/openat2.h. */
const RESOLVE = { noMagicLinks: 0x02, noSymlinks: 0x04 } as const
const SYS_SETRESUID: Readonly<Record<string, number>> = { x64: 117, arm64: 147 }

/** All throw Error with the call and errno. Those marked "thread" act on the calling thread only. */
export interface System {
  chroot(path: string): void
  setGroups(groups: readonly number[]): void
  /** All threads: glibc tells each of them. */
  setGroup(gid: number): void
  /** All threads. From root to anybody else, the kernel takes every capability from each thread that does not keep them. */
  setUser(uid: number): void
  /** Thread. */
  setUserOfThread(uid: number): void
  /** Thread: keeps what is permitted over a change of user. */
  keepCapabilities(): void
  /** Thread. Inheritable and ambient ones are none. */
  setCapabilities(mask: bigint): void
  /** Thread. */
  dropBounding(keep: bigint): void
  /** Thread, and those it starts. */
  noNewPrivileges(): void
  /** Nobody may trace this process or look into it. */
  hide(): void
  /** open(2) that follows no link, at the end of the path or on the way. @throws Error with `code`, such as ELOOP; ENOSYS of an old kernel */
  openLiteral(path: Uint8Array, flags: number, mode: number): number
  /** SIGKILL when the parent ends. A change of user forgets it. */
  endWithParent(): void
}

export function loadSystem(): System {
  const libc = koffi.load('libc.so.6')
  const prctl = libc.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)')
  const chroot = libc.func('int chroot(const char *path)')
  const setgroups = libc.func('int setgroups(size_t count, const uint32_t *groups)')
  const setresgid = libc.func('int setresgid(uint32_t real, uint32_t effective, uint32_t saved)')
  const setresuid = libc.func('int setresuid(uint32_t real, uint32_t effective, uint32_t saved)')
  const syscall = libc.func('long syscall(long number, unsigned long a, unsigned long b, unsigned long c)')
  const openat2 = libc.func('long syscall(long number, long directory, const uint8_t *path, const uint64_t *how, size_t size)')
  const capset = libc.func('int capset(const uint32_t *header, const uint32_t *data)')
  const check = (what: string, result: number) => {
    if (result < 0) throw new Error(`${what} failed with errno ${koffi.errno()}`)
    return result
  }
  const control = (what: string, option: number, a = 0, b = 0) => check(what, prctl(option, a, b, 0, 0))
  return {
    chroot: (path) => void check('chroot', chroot(path)),
    setGroups: (groups) => void check('setgroups', setgroups(groups.length, Uint32Array.from(groups))),
    setGroup: (gid) => void check('setresgid', setresgid(gid, gid, gid)),
    setUser: (uid) => void check('setresuid', setresuid(uid, uid, uid)),
    setUserOfThread: (uid) => {
      const number = SYS_SETRESUID[process.arch]
      if (number === undefined) throw new Error(`setresuid has no known number on ${process.arch}`)
      check('setresuid', syscall(number, uid, uid, uid))
    },
    keepCapabilities: () => void control('PR_SET_KEEPCAPS', PR.SET_KEEPCAPS, 1),
    setCapabilities: (mask) => {
      const [low, high] = [Number(mask & 0xffffffffn), Number(mask >> 32n)]
      const data = Uint32Array.of(low, low, 0, high, high, 0)
      check('capset', capset(Uint32Array.of(CAPABILITY_VERSION, 0), data))
    },
    dropBounding: (keep) => {
      for (let one = 0; one < CAPABILITIES_MAX; one++) {
        if ((keep >> BigInt(one)) & 1n) continue
        // beyond the last that the kernel knows it answers EINVAL
        if (prctl(PR.CAPBSET_READ, one, 0, 0, 0) === 1) control('PR_CAPBSET_DROP', PR.CAPBSET_DROP, one)
      }
      control('PR_CAP_AMBIENT', PR.CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    },
    noNewPrivileges: () => void control('PR_SET_NO_NEW_PRIVS', PR.SET_NO_NEW_PRIVS, 1),
    openLiteral: (path, flags, mode) => {
      const isMaking = (flags & constants.O_CREAT) !== 0
      // struct open_how; a mode without O_CREAT is an error here
      const how = BigUint64Array.of(BigInt(flags | O_CLOEXEC), BigInt(isMaking ? mode : 0), BigInt(RESOLVE.noMagicLinks | RESOLVE.noSymlinks))
      const fd = Number(openat2(SYS_OPENAT2, AT_FDCWD, Buffer.concat([path, Buffer.of(0)]), how, how.byteLength))
      if (fd >= 0) return fd
      const code = getSystemErrorName(-koffi.errno())
      throw Object.assign(new Error(`openat2 failed with ${code}`), { code })
    },
    hide: () => void control('PR_SET_DUMPABLE', PR.SET_DUMPABLE, 0),
    endWithParent: () => void control('PR_SET_PDEATHSIG', PR.SET_PDEATHSIG, SIGKILL),
  }
}

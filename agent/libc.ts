/**
 * What node has no functions for: pipes that a program can open again by name (node's own are sockets, on which
 * `cat /dev/stdin` fails), a terminal's descriptor received over a socket, the exit status of a program whose parent was
 * somebody else, and a start without fork(2), whose time grows with the memory of this process (30 ms at 300 MB).
 */
import { closeSync } from 'node:fs'
import koffi from 'koffi'

const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000
const F_SETFL = 4
const F_SETPIPE_SZ = 1031
const PR_SET_CHILD_SUBREAPER = 36
const AF_UNIX = 1
const SOL_SOCKET = 1
const SOCK_STREAM_CLOEXEC_NONBLOCK = 1 | O_CLOEXEC | O_NONBLOCK
const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000
const WNOHANG = 1
/** On x86 and ARM. */
const TIOCSWINSZ = 0x5414
/** sun_path in sockaddr_un, unix(7), with the zero at its end. */
const SOCKET_PATH_BYTES = 108
/** cmsghdr on 64-bit systems: length, level, type, then one descriptor. */
const CONTROL = { lengthBytes: 16 + 4, spaceBytes: 24, levelAt: 8, typeAt: 12, dataAt: 16 } as const

/** posix_spawn(3): flags, and sizes that its opaque structures have at most in glibc. */
const SPAWN = { setSignalDefaults: 0x04, setSignalMask: 0x08, setSession: 0x80, structBytes: 512, signalSetBytes: 128 } as const
const ENOEXEC = 8

export interface SpawnPlan {
  /** Path of the program. */
  readonly file: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Become 0, 1 and 2. */
  readonly stdio: readonly [number, number, number]
}

export interface PipeEnds {
  readonly read: number
  readonly write: number
}

/** All throw Error with the call and errno. Descriptors are closed on exec, and owned by the caller. */
export interface Libc {
  /** From now on, programs whose parent has ended become children of this process (prctl(2), PR_SET_CHILD_SUBREAPER). */
  adoptOrphans(): void
  /** Starts a program that leads a session of its own, without signals of ours blocked or ignored. @returns its pid; somebody has to wait for it */
  spawn(plan: SpawnPlan): number
  /** @param ours the end that does not block; @param bytes what the kernel holds, as far as it lets us */
  pipe(ours: 'read' | 'write', bytes: number): PipeEnds
  /** A unix socket that holds what connects to it until it is asked for. */
  listen(path: string): number
  /** The descriptor that the first to connect has sent; undefined when nobody has. Closes what it accepts. */
  receiveDescriptor(listener: number): number | undefined
  /** @param terminal its master */
  resize(terminal: number, columns: number, rows: number): void
  /** The raw wait status of a child that has ended (wait(2)); undefined while it runs, -1 when it is no child of this process. */
  wait(pid: number): number | undefined
}

export class SpawnError extends Error {
  readonly errno: number

  constructor(errno: number) {
    super(`posix_spawn failed with errno ${errno}`)
    this.errno = errno
  }
}

export function loadLibc(): Libc {
  const libc = koffi.load('libc.so.6')
  const iovec = koffi.struct({ base: 'void *', length: 'size_t' })
  const message = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    parts: koffi.pointer(iovec),
    partCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  })
  const prctl = libc.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)')
  const pipe2 = libc.func('int pipe2(_Out_ int *ends, int flags)')
  const fcntl = libc.func('int fcntl(int fd, int command, int value)')
  const socket = libc.func('int socket(int family, int type, int protocol)')
  const bind = libc.func('int bind(int fd, const uint8_t *address, uint32_t length)')
  const listen = libc.func('int listen(int fd, int backlog)')
  const accept = libc.func('int accept4(int fd, void *address, void *length, int flags)')
  const recvmsg = libc.func('recvmsg', 'long', ['int', koffi.pointer(message), 'int'])
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, const uint16_t *size)')
  const waitpid = libc.func('int waitpid(int pid, _Out_ int *status, int options)')
  const actionsInit = libc.func('int posix_spawn_file_actions_init(void *actions)')
  const actionsDestroy = libc.func('int posix_spawn_file_actions_destroy(void *actions)')
  const attributesInit = libc.func('int posix_spawnattr_init(void *attributes)')
  const attributesDestroy = libc.func('int posix_spawnattr_destroy(void *attributes)')
  const addDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)')
  const addChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)')
  const setFlags = libc.func('int posix_spawnattr_setflags(void *attributes, short flags)')
  const setDefaults = libc.func('int posix_spawnattr_setsigdefault(void *attributes, const void *signals)')
  const setMask = libc.func('int posix_spawnattr_setsigmask(void *attributes, const void *signals)')
  const posixSpawn = libc.func('int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **argv, const char **env)')
  const spawnWith = ({ file, argv, env, cwd, stdio }: SpawnPlan): { failure: number; pid: number } => {
    const actions = Buffer.alloc(SPAWN.structBytes)
    const attributes = Buffer.alloc(SPAWN.structBytes)
    actionsInit(actions)
    attributesInit(attributes)
    try {
      for (const [to, from] of stdio.entries()) addDup2(actions, from, to)
      addChdir(actions, cwd)
      setFlags(attributes, SPAWN.setSignalDefaults | SPAWN.setSignalMask | SPAWN.setSession)
      setDefaults(attributes, Buffer.alloc(SPAWN.signalSetBytes, 0xff))
      setMask(attributes, Buffer.alloc(SPAWN.signalSetBytes))
      const pid = [0]
      const pairs = Object.entries(env).map(([name, value]) => `${name}=${value}`)
      const failure = posixSpawn(pid, file, actions, attributes, [...argv, null], [...pairs, null]) as number
      return { failure, pid: pid[0] ?? 0 }
    } finally {
      actionsDestroy(actions)
      attributesDestroy(attributes)
    }
  }
  const check = (what: string, result: number): number => {
    if (result < 0) throw new Error(`${what} failed with errno ${koffi.errno()}`)
    return result
  }
  return {
    adoptOrphans: () => void check('PR_SET_CHILD_SUBREAPER', prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)),
    spawn: (plan) => {
      let { failure, pid } = spawnWith(plan)
      // a script without a first line that names its shell: execvp(3) and every shell give it to sh
      if (failure === ENOEXEC) ({ failure, pid } = spawnWith({ ...plan, file: '/bin/sh', argv: ['/bin/sh', plan.file, ...plan.argv.slice(1)] }))
      if (failure !== 0) throw new SpawnError(failure)
      return pid
    },
    pipe: (ours, bytes) => {
      const ends = [0, 0]
      check('pipe2', pipe2(ends, O_CLOEXEC))
      const [read = -1, write = -1] = ends
      // only the end that stays here: the flag belongs to an end's open file, and a program expects reads that wait
      check('F_SETFL', fcntl(ours === 'read' ? read : write, F_SETFL, O_NONBLOCK))
      // a user's pipes may be at their limit (pipe(7)); the default of 64 KiB works too
      fcntl(write, F_SETPIPE_SZ, bytes)
      return { read, write }
    },
    listen: (path) => {
      const bytes = Buffer.from(path)
      if (bytes.length >= SOCKET_PATH_BYTES) throw new Error(`the path of a socket has at most ${SOCKET_PATH_BYTES - 1} bytes: ${path}`)
      const address = Buffer.alloc(2 + SOCKET_PATH_BYTES)
      address.writeUInt16LE(AF_UNIX)
      bytes.copy(address, 2)
      const fd = check('socket', socket(AF_UNIX, SOCK_STREAM_CLOEXEC_NONBLOCK, 0))
      try {
        check('bind', bind(fd, address, address.length))
        check('listen', listen(fd, 1))
        return fd
      } catch (error) {
        closeSync(fd)
        throw error
      }
    },
    receiveDescriptor: (listener) => {
      const peer = accept(listener, null, null, SOCK_STREAM_CLOEXEC_NONBLOCK & ~1)
      if (peer < 0) return undefined
      try {
        // runc writes the terminal's name beside the descriptor
        const name = Buffer.alloc(4096)
        const control = Buffer.alloc(CONTROL.spaceBytes)
        const one = { name: null, nameLength: 0, parts: [{ base: name, length: name.length }], partCount: 1, control, controlLength: control.length, flags: 0 }
        if (recvmsg(peer, one, MSG_CMSG_CLOEXEC) < 0) return undefined
        const isDescriptor =
          control.readBigUInt64LE(0) === BigInt(CONTROL.lengthBytes) &&
          control.readInt32LE(CONTROL.levelAt) === SOL_SOCKET &&
          control.readInt32LE(CONTROL.typeAt) === SCM_RIGHTS
        return isDescriptor ? control.readInt32LE(CONTROL.dataAt) : undefined
      } finally {
        closeSync(peer)
      }
    },
    resize: (terminal, columns, rows) => void check('TIOCSWINSZ', ioctl(terminal, TIOCSWINSZ, Uint16Array.of(rows, columns, 0, 0))),
    wait: (pid) => {
      const status = [0]
      const found = waitpid(pid, status, WNOHANG)
      if (found === 0) return undefined
      return found < 0 ? -1 : (status[0] ?? 0)
    },
  }
}

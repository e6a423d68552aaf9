/**
 * What runs on this machine, read from /proc, and how to end all that one program started.
 * A container's processes stand in the host's /proc under host pids when the agent shares the host's pid namespace.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'

export interface ProcessEntry {
  readonly pid: number
  readonly parent: number
  /** Session id: the pid of the session's leader, also after that has ended. */
  readonly session: number
  /** Start time in clock ticks since boot; with the pid it names a process for good, for pids are used again. */
  readonly startTicks: number
}
/** By pid. */
export type ProcessSnapshot = ReadonlyMap<number, ProcessEntry>

/** Reads one line of /proc/PID/stat (proc(5)); undefined for zombies, which have ended, and for what does not parse. */
export function parseStat(line: string): ProcessEntry | undefined {
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const close = line.lastIndexOf(')')
  const pid = Number.parseInt(line, 10)
  const fields = line.slice(close + 2).split(' ')
  const [state, parent, , session] = fields
  const startTicks = fields[19]
  if (close < 0 || !pid || parent === undefined || session === undefined || startTicks === undefined) return undefined
  if (state === 'Z' || state === 'X') return undefined
  return { pid, parent: Number(parent), session: Number(session), startTicks: Number(startTicks) }
}

/** One process of `root`; undefined when it does not exist or has ended. */
export function readProcess(pid: number, root = '/proc'): ProcessEntry | undefined {
  let file: number
  try {
    file = openSync(`${root}/${pid}/stat`, 'r')
  } catch {
    return undefined
  }
  // Half the time of readFileSync, which first asks for a size that files of /proc do not have.
  const buffer = Buffer.allocUnsafe(STAT_BYTES)
  try {
    return parseStat(buffer.toString('latin1', 0, readSync(file, buffer)))
  } catch {
    // ESRCH: it ended between the two calls.
    return undefined
  } finally {
    closeSync(file)
  }
}

/** The pids in `root`. */
export function allPids(root = '/proc'): number[] {
  return readdirSync(root)
    .filter((name) => name >= '0' && name < ':')
    .map(Number)
}

/** A line has 52 numbers at most and a name of at most 64 bytes. */
const STAT_BYTES = 2048
/** How many processes are read before other work gets its turn: about 1 ms. */
const READ_SLICE = 64

/**
 * Snapshots of the process table. When a gateway dies, thousands of programs end at once, and each wants to see the
 * table: callers that arrive while a walk runs share the next one.
 */
export class ProcessTable {
  readonly #list: () => readonly number[]
  readonly #root: string
  #running: Promise<ProcessSnapshot> | undefined
  #next: Promise<ProcessSnapshot> | undefined

  /** @param list the pids to look at; default all */
  constructor(list?: () => readonly number[], root = '/proc') {
    this.#root = root
    this.#list = list ?? (() => allPids(root))
  }

  /** The table as it is at some moment after this call. */
  snapshot(): Promise<ProcessSnapshot> {
    if (!this.#running) return this.#start()
    this.#next ??= this.#running.then(() => {
      this.#next = undefined
      return this.#running ?? this.#start()
    })
    return this.#next
  }

  #start(): Promise<ProcessSnapshot> {
    this.#running = this.#walk().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #walk(): Promise<ProcessSnapshot> {
    const table = new Map<number, ProcessEntry>()
    for (const [index, pid] of this.#list().entries()) {
      if (index % READ_SLICE === READ_SLICE - 1) await setImmediate()
      const entry = readProcess(pid, this.#root)
      if (entry) table.set(entry.pid, entry)
    }
    return table
  }
}

/**
 * All that a program started and that still runs: the members of its session and, through any number of parents, the
 * children of those. What made a session of its own *and* whose parent has ended (a daemon) is not found; it left on purpose.
 * @param leader the program, which leads a session of its own (runc and forkpty call setsid)
 * @param known what was found before, so that a child whose parent has ended meanwhile is still found
 */
export function familyOf(table: ProcessSnapshot, leader: ProcessEntry, known: ReadonlyMap<number, ProcessEntry> = new Map()): Map<number, ProcessEntry> {
  const family = new Map<number, ProcessEntry>()
  const add = (entry: ProcessEntry | undefined) => entry && family.set(entry.pid, entry)
  const holder = table.get(leader.pid)
  // When the leader's pid was given to another process meanwhile, so may have been the session id.
  const sessionStands = holder === undefined || isSame(holder, leader)
  for (const entry of table.values()) {
    if (sessionStands && entry.session === leader.pid && entry.startTicks >= leader.startTicks) add(entry)
    const before = known.get(entry.pid)
    if (before && isSame(before, entry)) add(entry)
  }
  for (let grew = true; grew; ) {
    grew = false
    for (const entry of table.values()) {
      if (family.has(entry.pid) || !family.has(entry.parent)) continue
      add(entry)
      grew = true
    }
  }
  return family
}

/** A leader that has ended: its session's members are found by its pid, unless that has been given to another process. */
export function endedLeader(pid: number): ProcessEntry {
  return { pid, parent: 0, session: pid, startTicks: 0 }
}

function isSame(a: ProcessEntry, b: ProcessEntry): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks
}

/** Sends `signal` ("SIGHUP") to each; those that have ended meanwhile are passed over. */
export function signalAll(family: ReadonlyMap<number, ProcessEntry>, signal: NodeJS.Signals): void {
  for (const pid of family.keys()) signalProcess(pid, signal)
}

/** @returns whether the process was there; signal 0 only asks */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

/** Time that a program has between SIGHUP and SIGKILL to put its things in order. */
const HANGUP_GRACE_MS = 1000
/** A process that survives SIGKILL this long sits in the kernel (dead NFS); waiting longer does not help. */
const KILL_LIMIT_MS = 5000

/**
 * Ends a program and all that it started: SIGHUP (and SIGCONT, so that stopped jobs receive it), 1 s later SIGKILL to what
 * is left, again until nothing is, for a family may fork while it is being killed.
 * @returns how many were still there after 5 s of SIGKILL; 0 unless something is stuck in the kernel
 */
export async function endFamily(table: ProcessTable, leader: ProcessEntry): Promise<number> {
  let family = familyOf(await table.snapshot(), leader)
  if (family.size === 0) return 0
  signalAll(family, 'SIGHUP')
  signalAll(family, 'SIGCONT')
  const startedMs = Date.now()
  for (let waitMs = 10; family.size > 0; waitMs = Math.min(waitMs * 2, 250)) {
    const elapsedMs = Date.now() - startedMs
    if (elapsedMs > HANGUP_GRACE_MS + KILL_LIMIT_MS) return family.size
    if (elapsedMs >= HANGUP_GRACE_MS) signalAll(family, 'SIGKILL')
    const untilGraceMs = HANGUP_GRACE_MS - elapsedMs
    await setTimeout(untilGraceMs > 0 ? Math.min(waitMs, untilGraceMs) : waitMs)
    family = familyOf(await table.snapshot(), leader, family)
  }
  return 0
}

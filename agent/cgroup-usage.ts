/**
 * What containers use, from the files of their control groups (v1 and v2): a few reads each, where docker's own statistics
 * take it a second for every container.
 */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerUsage } from '../src/core/types.js'

/** Between two readings of a container that was not read lately: CPU is a difference. */
const FIRST_MS = 300
/** An older reading says nothing of now. */
const RECENT_MS = 30_000
/** Below this a difference is mostly rounding. */
const LEAST_MS = 100
const AT_ONCE = 32
const MEMORY_MAX = 5000

interface Reading {
  readonly pid: number
  readonly atMs: number
  readonly cpuNs: number
  readonly memoryBytes: number
  readonly oomKills: number
}

export class CgroupUsage {
  readonly #pidOf: (id: string, signal: AbortSignal) => Promise<number>
  readonly #root: string
  readonly #last = new Map<string, Reading>()

  /** @param pidOf host pid of a container's first process */
  constructor(pidOf: (id: string, signal: AbortSignal) => Promise<number>, root = '') {
    this.#pidOf = pidOf
    this.#root = root
  }

  /** One that cannot be read (it has just ended, or the host's control groups are not to be seen) is left out. */
  async read(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, ContainerUsage>> {
    const before = new Map(ids.flatMap((id) => this.#recent(id)))
    const isNew = ids.filter((id) => !before.has(id))
    if (isNew.length > 0) {
      for (const [id, reading] of await this.#readAll(isNew, signal)) before.set(id, reading)
      await sleep(FIRST_MS, undefined, { signal })
    }
    const usage = new Map<string, ContainerUsage>()
    for (const [id, now] of await this.#readAll(ids, signal)) usage.set(id, used(before.get(id), now))
    for (const id of this.#last.keys()) if (this.#last.size > MEMORY_MAX || !usage.has(id)) this.#last.delete(id)
    return usage
  }

  #recent(id: string): [string, Reading][] {
    const reading = this.#last.get(id)
    const ageMs = reading ? performance.now() - reading.atMs : 0
    return reading && ageMs >= LEAST_MS && ageMs < RECENT_MS ? [[id, reading]] : []
  }

  async #readAll(ids: readonly string[], signal: AbortSignal): Promise<Map<string, Reading>> {
    const found = new Map<string, Reading>()
    const waiting = [...ids]
    const worker = async (): Promise<void> => {
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
        signal.throwIfAborted()
        const reading = await this.#readOne(id, signal).catch(() => undefined) // ended meanwhile, or not to be seen
        if (!reading) continue
        found.set(id, reading)
        this.#last.set(id, reading)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, worker))
    return found
  }

  /** The pid of before is as good as asked for, while its control groups still bear the container's id. */
  async #readOne(id: string, signal: AbortSignal): Promise<Reading | undefined> {
    const known = this.#last.get(id)?.pid
    const groups = known === undefined ? undefined : await this.#groupsOf(known, id)
    const pid = groups && known !== undefined ? known : await this.#pidOf(id, signal)
    const places = groups ?? (await this.#groupsOf(pid, id))
    return places && { pid, atMs: performance.now(), ...(places.unified ? await this.#readV2(places.unified) : await this.#readV1(places)) }
  }

  async #groupsOf(pid: number, id: string): Promise<Groups | undefined> {
    const text = await readFile(`${this.#root}/proc/${pid}/cgroup`, 'utf8').catch(() => '') // it has ended
    return text.includes(id) ? groupsOf(text) : undefined
  }

  async #readV1({ cpuacct = '', memory = '' }: Groups): Promise<Omit<Reading, 'pid' | 'atMs'>> {
    const at = `${this.#root}/sys/fs/cgroup`
    const [cpu, bytes, stat, oom] = await Promise.all([
      readFile(`${at}/cpuacct${cpuacct}/cpuacct.usage`, 'utf8'),
      readFile(`${at}/memory${memory}/memory.usage_in_bytes`, 'utf8'),
      readFile(`${at}/memory${memory}/memory.stat`, 'utf8'),
      readFile(`${at}/memory${memory}/memory.oom_control`, 'utf8'),
    ])
    return { cpuNs: Number(cpu), memoryBytes: Math.max(0, Number(bytes) - field(stat, 'total_inactive_file')), oomKills: field(oom, 'oom_kill') }
  }

  async #readV2(unified: string): Promise<Omit<Reading, 'pid' | 'atMs'>> {
    const at = `${this.#root}/sys/fs/cgroup${unified}`
    const [cpu, bytes, stat, events] = await Promise.all(
      ['cpu.stat', 'memory.current', 'memory.stat', 'memory.events'].map((name) => readFile(`${at}/${name}`, 'utf8')),
    )
    const memoryBytes = Math.max(0, Number(bytes) - field(stat ?? '', 'inactive_file'))
    return { cpuNs: field(cpu ?? '', 'usage_usec') * 1000, memoryBytes, oomKills: field(events ?? '', 'oom_kill') }
  }
}

interface Groups {
  readonly cpuacct?: string
  readonly memory?: string
  /** Only where memory has no hierarchy of its own: on most v1 hosts there is an empty unified one beside. */
  readonly unified?: string
}

/** Lines of /proc/PID/cgroup: NUMBER:CONTROLLERS:PATH, cgroups(7). */
export function groupsOf(text: string): Groups {
  const groups: { cpuacct?: string; memory?: string } = {}
  let unified: string | undefined
  for (const line of text.split('\n')) {
    const [, controllers, ...rest] = line.split(':')
    const path = rest.join(':')
    if (controllers === '') unified = path
    for (const name of controllers?.split(',') ?? []) if (name === 'cpuacct' || name === 'memory') groups[name] = path
  }
  return groups.memory === undefined && unified !== undefined ? { unified } : groups
}

function used(before: Reading | undefined, now: Reading): ContainerUsage {
  const { memoryBytes, oomKills } = now
  const ms = before ? now.atMs - before.atMs : 0
  const isSame = before && before.pid === now.pid && now.cpuNs >= before.cpuNs && ms > 0
  return { ...(isSame && { cpuMillis: Math.round((now.cpuNs - before.cpuNs) / 1000 / ms) }), memoryBytes, oomKills }
}

/** The number behind a name on a line of its own; 0 when there is none. */
function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
}

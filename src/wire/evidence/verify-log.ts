/** The log's part of the verifier: chain, checkpoints, tombstones and signed heads kept elsewhere. */
import type { KeyObject } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredEvent } from '../../core/types.js'
import { type ChainHead, type ChainReport, GENESIS, verifyChain } from './chain.js'
import { isSignedBy, type SignedHead } from './checkpoint.js'
import { firstEvent, parseLine } from './log-files.js'
import { readLines } from './ndjson.js'
import type { EvidenceProblem } from './report.js'
import { isTombstoneSignedBy, parseTombstones, TOMBSTONES, type Tombstone } from './tombstone.js'

export interface LogToVerify {
  readonly dir: string
  /** File names in the order of their events. */
  readonly files: readonly string[]
  readonly publicKey?: KeyObject | undefined
  /** Heads that were signed and kept outside of the log, with the name of where. */
  readonly anchors: readonly { readonly name: string; readonly head: SignedHead }[]
  /** The log is a part of one (an evidence pack): what came before its first event is not asked for. */
  readonly isPart: boolean
  readonly onEvent: (event: StoredEvent) => void
}

export interface LogFindings {
  readonly chain: ChainReport
  readonly problems: readonly EvidenceProblem[]
  readonly notes: readonly string[]
  readonly tombstones: readonly Tombstone[]
  readonly times: { readonly from: string; readonly to: string }
  /** The number of the first event that rests here. */
  readonly begins: number
}

export async function verifyLog(log: LogToVerify): Promise<LogFindings> {
  const problems: EvidenceProblem[] = []
  const notes: string[] = []
  const tombstones = await readTombstones(log, problems)
  const first = log.files[0] === undefined ? undefined : await firstEvent(join(log.dir, log.files[0]))
  const after = beginning(log, first, tombstones, problems)
  const seen = new Heads(log.anchors)
  const tail: { torn?: string } = {}
  const times = { from: first?.time ?? '', to: first?.time ?? '' }
  const signed = (event: Extract<StoredEvent, { type: 'checkpoint' }>) => log.publicKey === undefined || isSignedBy(event, log.publicKey)
  const watched = async function* () {
    for await (const event of readLog(log, tail)) {
      if (event) {
        seen.note(event)
        times.to = event.time
        log.onEvent(event)
      }
      yield event
    }
  }
  const chain = await verifyChain(watched(), { ...(after && { after }), checkpoint: signed })
  if (chain.ok) {
    if (tail.torn !== undefined) problems.push(cutOff(chain.last.seq + 1, `the last line of "${tail.torn}" has no end`))
    else seen.compare(chain.last.seq, first?.seq ?? 1, log, problems)
  } else problems.unshift({ kind: chain.fault === 'unsigned' ? 'forged' : chain.fault, where: `event ${chain.seq}`, message: chain.message })
  return { chain, problems, notes, tombstones, times, begins: first?.seq ?? 0 }
}

/** Where the chain has to go on from, or a problem when nothing says why it begins late. */
function beginning(
  { isPart }: LogToVerify,
  first: StoredEvent | undefined,
  tombstones: readonly Tombstone[],
  problems: EvidenceProblem[],
): ChainHead | undefined {
  const newest = tombstones.at(-1)
  if (!first) return undefined
  if (isPart) return { seq: first.seq - 1, hash: first.prev }
  const before = tombstones.find(({ to }) => to === first.seq - 1)
  if (before) return { seq: before.to, hash: before.head }
  if (first.seq === 1) return GENESIS
  // retention was interrupted: some of what the tombstone stands for is still here
  if (newest && first.seq >= newest.from && first.seq <= newest.to) return undefined
  const start = (newest?.to ?? 0) + 1
  if (first.seq > start) {
    problems.push({
      kind: 'missing',
      where: `event ${start}`,
      message: `event ${start} is missing: the log begins with event ${first.seq}, and no tombstone says why`,
    })
  }
  return undefined
}

async function readTombstones({ dir, publicKey }: LogToVerify, problems: EvidenceProblem[]): Promise<Tombstone[]> {
  const good: Tombstone[] = []
  for (const each of parseTombstones(await textOf(join(dir, TOMBSTONES)))) {
    const range = each ? `events ${each.from}-${each.to}` : 'some events'
    const expected = (good.at(-1)?.to ?? 0) + 1
    if (!each) problems.push(forged(range, `a line of "${TOMBSTONES}" is no tombstone`))
    else if (publicKey && !isTombstoneSignedBy(each, publicKey)) problems.push(forged(range, `the tombstone of ${range} is not signed by the key`))
    else if (each.from !== expected)
      problems.push({ kind: 'missing', where: `event ${expected}`, message: `no tombstone stands for events ${expected}-${each.from - 1}` })
    if (each) good.push(each)
  }
  return good
}

/** Every line as an event; undefined for one that is none. A last line without its end is told by `tail`. */
async function* readLog({ dir, files }: LogToVerify, tail: { torn?: string }): AsyncGenerator<StoredEvent | undefined> {
  for (const name of files) {
    const handle = await open(join(dir, name), 'r')
    try {
      for await (const lines of readLines(handle, 0, (await handle.stat()).size)) {
        for (const line of lines) {
          if (line.whole || name !== files.at(-1)) yield line.whole ? parseLine(line.text) : undefined
          else tail.torn = name
        }
      }
    } finally {
      await handle.close()
    }
  }
}

/** What anchors say was there, compared with what is. */
class Heads {
  readonly #anchors: LogToVerify['anchors']
  readonly #hashes = new Map<number, string>()
  readonly #wanted: ReadonlySet<number>

  constructor(anchors: LogToVerify['anchors']) {
    this.#anchors = anchors
    this.#wanted = new Set(anchors.map(({ head }) => head.count))
  }

  note({ seq, hash }: StoredEvent): void {
    if (this.#wanted.has(seq)) this.#hashes.set(seq, hash)
  }

  compare(last: number, first: number, { publicKey, isPart }: LogToVerify, problems: EvidenceProblem[]): void {
    for (const { name, head } of this.#anchors) {
      const good = publicKey === undefined || isSignedBy(head, publicKey)
      if (!good) problems.push(forged(name, `the signed head in "${name}" is not signed by the key`))
      else if (head.count + 1 > last && !isPart) problems.push(cutOff(last + 1, `"${name}" holds the signature of event ${head.count} (${head.time})`))
      else if (head.count >= first && head.count <= last && this.#hashes.get(head.count) !== head.head) {
        problems.push({ kind: 'changed', where: `event ${head.count}`, message: `event ${head.count} was changed: "${name}" holds another hash of it` })
      }
    }
  }
}

function cutOff(seq: number, why: string): EvidenceProblem {
  return { kind: 'truncated', where: `event ${seq}`, message: `event ${seq} and what follows was cut off: ${why}` }
}
function forged(where: string, message: string): EvidenceProblem {
  return { kind: 'forged', where, message }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}

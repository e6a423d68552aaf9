/**
 * The evidence pack of one session, in the layout that wire/evidence/verify.ts reads: events.ndjson (the log from the session's
 * first event to the checkpoint behind its last, whole, because a chain with gaps proves nothing), the recording as it rests,
 * public-key.pem, pack.json and how to verify.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { OpsError } from '../core/errors.js'
import { type AuditFilter, type AuditSearch, type SessionSummary, type StoredEvent, targetText } from '../core/types.js'
import { type TarEntry, tarOf } from '../http/tar.js'
import type { TapeFile } from '../store/tape-file.js'

export interface EvidenceParts {
  readonly dataDir: string
  readonly publicKey: string
  readonly search: AuditSearch
  /** Recordings as they rest, wherever that is. */
  readonly tapes: Pick<TapeFile, 'rest'>
  /** In the order of `seq`; AuditLog.query. */
  readonly query: (filter: AuditFilter, signal?: AbortSignal) => AsyncIterable<StoredEvent>
}

/** Packs that are being made at once: each reads a piece of the log. */
const MAX_AT_ONCE = 2

/** @returns the pack of a session that is over, as a tar; rejects with OpsError NOT_FOUND, BAD_REQUEST while it runs, LIMIT_EXCEEDED */
export function evidencePacks(parts: EvidenceParts): (session: string) => Promise<Readable> {
  let busy = 0
  return async (id) => {
    const session = await parts.search.session(id)
    if (!session) throw new OpsError('NOT_FOUND', `no session "${id}"`)
    if (session.state === 'live' && session.endedAt === undefined && session.exit === undefined && (await isOpen(parts, id)))
      throw new OpsError('BAD_REQUEST', 'the session runs', { detail: 'the session has not ended: its evidence is not whole yet' })
    if (busy >= MAX_AT_ONCE) throw new OpsError('LIMIT_EXCEEDED', `${busy} evidence packs are being made`, { detail: 'other packs are being made, try again' })
    busy++
    const tmp = join(parts.dataDir, 'state', 'tmp')
    await mkdir(tmp, { recursive: true, mode: 0o700 })
    const dir = await mkdtemp(join(tmp, 'pack-'))
    const clean = async (): Promise<void> => {
      busy--
      await rm(dir, { recursive: true, force: true })
    }
    try {
      const events = join(dir, 'events.ndjson')
      await pipeline(Readable.from(linesOf(parts, id)), createWriteStream(events, { mode: 0o600 }))
      const pack = tarOf(entriesOf(parts, session, events), new Date())
      pack.once('close', () => void clean().catch(() => undefined)) // a folder that stays is removed with state/tmp
      return pack
    } catch (error) {
      await clean()
      throw error
    }
  }
}

async function isOpen({ search }: EvidenceParts, session: string): Promise<boolean> {
  const { items } = await search.events({ session, type: 'session.close', limit: 1 })
  return items.length === 0
}

/** From the session's first event to the first checkpoint behind its last. */
async function* linesOf({ search, query }: EvidenceParts, session: string): AsyncGenerator<string> {
  const [oldest, closing] = await Promise.all([search.events({ session, order: 'oldest', limit: 1 }), closedAt(search, session)])
  const [first] = oldest.items
  if (!first) throw new OpsError('NOT_FOUND', `no events of session "${session}"`)
  const last = closing ?? first.seq
  for await (const event of query({ after: first.seq - 1 })) {
    yield `${JSON.stringify(event)}\n`
    if (event.type === 'checkpoint' && event.seq > last) return
  }
}

/**
 * Number of the last event that tells how the session ended. Looks at it, and reviews, are events of the session too; what proves it
 * ends before them. One whose gateway was killed has no session.close: the next start told what was left of it.
 */
async function closedAt(search: AuditSearch, session: string): Promise<number | undefined> {
  const { items: closes } = await search.events({ session, type: 'session.close', order: 'newest', limit: 1 })
  if (closes[0]) return closes[0].seq
  const { items: acts } = await search.events({ session, type: 'admin', order: 'oldest', limit: 1000 })
  return acts.findLast((event) => event.type === 'admin' && (event.action === 'recording.closed' || event.action === 'session.lost'))?.seq
}

async function* entriesOf({ tapes, publicKey }: EvidenceParts, session: SessionSummary, events: string): AsyncGenerator<TarEntry> {
  yield textEntry('README.txt', readme(session))
  yield textEntry('pack.json', `${JSON.stringify({ version: 1, session: session.id })}\n`)
  yield textEntry('public-key.pem', publicKey)
  yield await fileEntry('events.ndjson', events)
  if (session.recording === undefined) return
  const rest = await tapes.rest(session.id).catch((error: unknown) => {
    // retention has removed it, and its event says so; that it cannot be reached is no reason to hand over a pack without it
    if (error instanceof OpsError && error.code === 'NOT_FOUND') return undefined
    throw error
  })
  if (rest) yield { name: session.recording, bytes: rest.bytes, content: rest.content }
}

function textEntry(name: string, text: string): TarEntry {
  const content = Buffer.from(text)
  return { name, bytes: content.length, content }
}

async function fileEntry(name: string, path: string): Promise<TarEntry> {
  const { size } = await stat(path)
  const file = await open(path, 'r')
  return { name, bytes: size, content: file.createReadStream({ end: Math.max(0, size - 1), ...(size === 0 && { end: -1 }) }) as AsyncIterable<Buffer> }
}

function readme(session: SessionSummary): string {
  const target = session.target ? targetText(session.target) : (session.address ?? '')
  return `Evidence of session ${session.id}

  user      ${session.user} from ${session.from}
  target    ${target}
  began     ${session.startedAt}
  ended     ${session.endedAt ?? 'unknown'}
  recording ${session.recording ?? 'none'}

events.ndjson  the audit log from the first event of the session to the signed checkpoint behind its last, with what others
               did in between: the chain has no gaps. Each event holds the hash of the one before it.
public-key.pem the key that signed. It proves nothing by itself: compare it with the copy that was kept elsewhere.
recordings/    the recording as it rests; its sha256 stands in the session.close event.

To verify, unpack and run, offline:

  opsctl verify DIRECTORY --key THE-PUBLIC-KEY-YOU-KEPT.pem

It prints the range that is proven, or names the first event or recording that is not what it was.
`
}

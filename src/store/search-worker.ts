/** The thread of the index: follows the log by reading it, answers questions in between. search.ts is its other end. */
import { parentPort, workerData } from 'node:worker_threads'
import { OpsError } from '../core/errors.js'
import { silentLogger } from '../core/log.js'
import type { AuditStore, StoredEvent } from '../core/types.js'
import { AuditFile } from './audit-file.js'
import { AuditRedis } from './audit-redis.js'
import type { SearchAnswer, SearchAsk, SearchSource } from './search.js'
import { isDamage, SearchIndex } from './search-index.js'
import { findSession, searchEvents, searchSessions } from './search-query.js'

/** Between two batches questions are answered: about 10 ms of work. */
const BATCH = 400
const RETRY_MS = 1000

const { path, source } = workerData as { readonly path: string; readonly source: SearchSource }
const log: AuditStore = source.type === 'file' ? new AuditFile(source.dir) : new AuditRedis(source, silentLogger)
let index = SearchIndex.open(path)
/** The log may have more than the index; the first event that it still has, when that is known to have moved. */
const wanted = { more: true, first: 0 }
let isChecked = false
let following = false

parentPort?.on('message', (ask: SearchAsk) => {
  if (ask.kind === 'follow') {
    wanted.more = true
    void follow()
  } else if (ask.kind === 'removed') {
    index.removeBefore(ask.first)
  } else answer(ask)
})
parentPort?.postMessage({ indexed: index.range().last } satisfies SearchAnswer)
void follow()

function answer(ask: Exclude<SearchAsk, { kind: 'follow' | 'removed' }>): void {
  let said: SearchAnswer
  try {
    said = { id: ask.id, value: answerTo(ask) }
  } catch (error) {
    if (isDamage(error)) startAnew(error as Error)
    const known = error instanceof OpsError
    said = {
      id: ask.id,
      error: { code: known ? error.code : 'INTERNAL', message: (error as Error).message, ...(known && error.detail !== undefined && { detail: error.detail }) },
    }
  }
  parentPort?.postMessage(said)
}

function answerTo(ask: Exclude<SearchAsk, { kind: 'follow' | 'removed' }>): unknown {
  switch (ask.kind) {
    case 'events':
      return searchEvents(index, ask.filter)
    case 'sessions':
      return searchSessions(index, ask.filter)
    case 'session':
      return findSession(index, ask.session)
  }
}

/** Reads on from where the index ends until there is nothing more. */
async function follow(): Promise<void> {
  if (following) return
  following = true
  try {
    while (wanted.more) {
      wanted.more = false
      await checkSame()
      await readOn()
    }
  } catch (error) {
    if (isDamage(error)) startAnew(error as Error)
    else parentPort?.postMessage({ note: 'search.behind', reason: (error as Error).message } satisfies SearchAnswer)
    wanted.more = true
    setTimeout(() => void follow(), RETRY_MS)
  } finally {
    following = false
  }
}

async function readOn(): Promise<void> {
  let batch: StoredEvent[] = []
  const flush = async () => {
    if (batch.length === 0) return
    index.add(batch)
    parentPort?.postMessage({ indexed: batch.at(-1)?.seq ?? 0 } satisfies SearchAnswer)
    batch = []
    await new Promise((resolve) => setImmediate(resolve))
  }
  for await (const event of log.query({ after: index.range().last })) {
    batch.push(event)
    if (batch.length >= BATCH) await flush()
  }
  await flush()
}

/** Compares the end of the index with the log: another log, or one that was set back, means another index. */
async function checkSame(): Promise<void> {
  if (isChecked) return
  const { last } = index.range()
  if (last > 0) {
    let held: StoredEvent | undefined
    for await (const event of log.query({ after: last - 1, limit: 1 })) held = event
    if (held?.seq !== last || held.hash !== index.lastHash()) startAnew(new Error(`it ends with event ${last}, which is not the log's`))
  }
  const oldest = await oldestOf()
  if (oldest > index.range().first && index.range().first > 0) index.removeBefore(oldest)
  isChecked = true
}

async function oldestOf(): Promise<number> {
  for await (const { seq } of log.query({ limit: 1 })) return seq
  return 0
}

function startAnew(error: Error): void {
  parentPort?.postMessage({ note: 'search.rebuilt', reason: error.message } satisfies SearchAnswer)
  index.close()
  index = SearchIndex.fresh(path)
  isChecked = true
  wanted.more = true
  void follow()
}

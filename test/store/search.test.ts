import assert from 'node:assert/strict'
import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { silentLogger } from '../../src/core/log.js'
import { type AuditEvent, type EventFilter, type StoredEvent, targetText } from '../../src/core/types.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { eventFilter } from '../../src/store/audit-filter.js'
import { AuditRedis } from '../../src/store/audit-redis.js'
import { Search } from '../../src/store/search.js'
import { SearchIndex } from '../../src/store/search-index.js'
import { searchEvents } from '../../src/store/search-query.js'
import { type ChainHead, GENESIS, link } from '../../src/wire/evidence/chain.js'
import { needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { tempDir } from '../support/temp-dir.js'

const LIMIT = () => AbortSignal.timeout(20_000)
const START = Date.parse('2026-11-23T10:00:00.000Z')
const target = (pod: string) => ({ cluster: 'a', namespace: 'shop', pod, container: 'web', uid: pod, node: 'n' })

/** Sessions of a few users, interleaved as they come. */
function sessionEvents(sessions: number, head: ChainHead = GENESIS): StoredEvent[] {
  const events: StoredEvent[] = []
  let at = head
  const add = (event: AuditEvent) => {
    const stored = link(event, at, new Date(START + at.seq * 1000).toISOString())
    events.push(stored)
    at = stored
  }
  for (let i = 0; i < sessions; i++) {
    const subject = {
      session: `s-${head.seq + i}`,
      user: ['alice', 'bob', 'carol'][i % 3] as string,
      from: '10.0.0.1:1',
      door: i % 2 ? 'exec' : 'shell',
      target: target(`web-${i % 7}`),
    } as const
    if (i % 11 === 10) add({ ...subject, type: 'session.refused', reason: 'no rule for you' })
    else {
      add({ ...subject, type: 'session.open', rule: 'sre', ...(i % 5 === 0 && { batch: `b-${i}` }) })
      add({ ...subject, type: 'session.start', via: 'agent n' })
      add({ ...subject, type: 'command', line: `cat /etc/nginx/conf.d/site-${i}.conf | grep "Ünïcode 100%"`, verdict: 'allow', confidence: 'exact' })
      add({ ...subject, type: 'command', line: `rm -rf /srv/app_${i}`, verdict: i % 4 ? 'deny' : 'allow', reason: 'rm is refused', confidence: 'exact' })
      add({ ...subject, type: 'file', op: 'upload', path: `/tmp/Report-${i}.txt`, verdict: 'allow' })
      if (i % 6) {
        const closed = { rule: 'sre', reason: 'exited', exit: i % 3, bytesIn: 1, bytesOut: 2, ms: 3, recording: `recordings/${i}`, recordingSha256: 'f' }
        add({ ...subject, type: 'session.close', ...closed })
      }
    }
    if (i % 9 === 0) add({ type: 'admin', action: 'session.review', object: subject.session, session: subject.session, user: 'audra', after: { note: 'seen' } })
  }
  return events
}

async function aSearch(t: TestContext, events: readonly StoredEvent[]) {
  const dir = await tempDir(t)
  const store = new AuditFile(join(dir, 'audit'), { maxFileBytes: 100_000 })
  t.after(() => store.close())
  for (let i = 0; i < events.length; i += 500) await store.append(events.slice(i, i + 500))
  const open = async () => {
    const search = new Search({ path: join(dir, 'state', 'search.db'), source: { type: 'file', dir: join(dir, 'audit') }, logger: silentLogger })
    t.after(() => search.close())
    await search.caughtUp(events.at(-1)?.seq ?? 0, LIMIT())
    return search
  }
  return { dir, store, open, search: await open() }
}

/** All pages. */
async function all(search: Pick<Search, 'events'>, filter: EventFilter): Promise<number[]> {
  const found: number[] = []
  let cursor: string | undefined
  do {
    const page = await search.events({ ...filter, ...(cursor !== undefined && { cursor }) })
    found.push(...page.items.map(({ seq }) => seq))
    cursor = page.next
  } while (cursor !== undefined)
  return found
}

test('index finds what a reading of the whole log finds, in pages and both orders', async (t) => {
  const events = sessionEvents(300)
  const { search } = await aSearch(t, events)
  const filters: readonly EventFilter[] = [
    {},
    { user: 'bob' },
    { session: 's-17' },
    { type: 'command' },
    { type: 'command', verdict: 'deny' },
    { verdict: 'allow' },
    { target: 'shop/web-3' },
    { batch: 'b-20' },
    { text: 'nginx/conf' },
    { text: 'RM -RF /srv/app_1' },
    { text: 'ünïcode 100%"' },
    { text: 'e-1' },
    { text: '-' },
    { text: 'report-29', user: 'carol' },
    { text: 'web-2' },
    { from: new Date(START + 100_000), to: new Date(START + 200_000) },
    { from: new Date(START + 100_500), text: 'rm', verdict: 'deny', order: 'oldest' },
    { to: new Date(START - 1) },
    { text: 'nowhere to be found' },
    { user: 'nobody', text: 'rm -' },
    { user: 'alice', target: 'web-1/web', type: 'file', order: 'oldest' },
  ]
  for (const filter of filters) {
    const { verdict, batch, order, ...rest } = filter
    const passes = eventFilter(rest)
    const wanted = events.filter((e) => passes(e) && (!verdict || Reflect.get(e, 'verdict') === verdict) && (!batch || e.batch === batch)).map(({ seq }) => seq)
    assert.deepEqual(await all(search, { ...filter, limit: 37 }), order === 'oldest' ? wanted : wanted.reverse(), JSON.stringify(filter))
  }
})

test('whatever is asked for is words, never syntax', () => {
  const index = SearchIndex.fresh(':memory:')
  const events = sessionEvents(20)
  index.add(events)
  const odd = [
    '"',
    '""',
    "'",
    '*',
    'a*',
    'NEAR(',
    'NOT',
    'AND OR',
    '^rm',
    'line:',
    '{',
    '\\',
    '%',
    '_',
    '\0',
    '\0abc',
    'a"b"c',
    "'; DROP TABLE events; --",
    '-rf',
    '(((',
    '\ud800',
    '😀',
    'é',
  ]
  const check = (text: string) => {
    const passes = eventFilter({ text })
    assert.deepEqual(
      searchEvents(index, { text, limit: 1000, order: 'oldest' }).items.map(({ seq }) => seq),
      events.filter(passes).map(({ seq }) => seq),
      JSON.stringify(text),
    )
  }
  for (const text of odd) check(text)
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 12 }), check), { numRuns: 300 })
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (value) => {
      assert.deepEqual(searchEvents(index, { user: value, session: value, target: `x${value}`, batch: value }).items, [])
      if (!/^\d{1,15}$/.test(value)) assert.throws(() => searchEvents(index, { cursor: value }), { code: 'BAD_REQUEST' })
    }),
  )
  index.close()
})

test('sessions are told as their events tell them', async (t) => {
  const events = sessionEvents(300)
  const { search } = await aSearch(t, events)
  const first = await search.session('s-2')
  assert.deepEqual(
    { ...first, target: first?.target && targetText(first.target) },
    {
      id: 's-2',
      state: 'ended',
      user: 'carol',
      from: '10.0.0.1:1',
      door: 'shell',
      target: 'a/shop/web-2/web',
      startedAt: first?.startedAt,
      endedAt: first?.endedAt,
      rule: 'sre',
      via: 'agent n',
      commands: 2,
      denied: 1,
      files: 1,
      exit: 2,
      reason: 'exited',
      bytesIn: 1,
      bytesOut: 2,
      ms: 3,
      recording: 'recordings/2',
      recordingSha256: 'f',
    },
  )
  assert.equal((await search.session('s-0'))?.state, 'live')
  assert.equal((await search.session('s-0'))?.review?.note, 'seen')
  assert.equal((await search.session('s-10'))?.state, 'refused')
  assert.equal(await search.session('none'), undefined)
  const ids = async (filter: Parameters<Search['sessions']>[0]) => {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await search.sessions({ ...filter, limit: 13, ...(cursor !== undefined && { cursor }) })
      found.push(...page.items.map(({ id }) => id))
      cursor = page.next
    } while (cursor !== undefined)
    return found
  }
  assert.equal((await ids({})).length, 300)
  assert.equal((await ids({}))[0], 's-299')
  assert.equal((await ids({ order: 'oldest' }))[0], 's-0')
  assert.equal((await ids({ user: 'bob', door: 'exec' })).length, 50)
  assert.deepEqual(await ids({ text: 'app_42' }), ['s-42'])
  assert.deepEqual(await ids({ text: '42.' }), ['s-242', 's-42'])
  assert.equal((await ids({ text: 'rm', state: 'ended', target: 'web-1' })).length, (await ids({ state: 'ended', target: 'web-1' })).length)
  assert.deepEqual(await ids({ state: 'refused', user: 'nobody' }), [])
  assert.deepEqual(await ids({ batch: 'b-25' }), ['s-25'])
})

test('index follows the log, goes on where it ended, and forgets what retention removed', async (t) => {
  const events = sessionEvents(100)
  const { store, search, open } = await aSearch(t, events)
  const more = sessionEvents(10, events.at(-1))
  await store.append(more)
  search.noted()
  await search.caughtUp(more.at(-1)?.seq ?? 0, LIMIT())
  assert.equal((await all(search, {})).length, events.length + more.length)
  search.removed(200)
  assert.equal((await all(search, {})).at(-1), 200)
  assert.deepEqual(await all(search, { text: 'site-11.conf' }), [])
  assert.equal(await search.session('s-1'), undefined)
  await search.close()
  const again = await open()
  assert.equal((await all(again, {})).at(-1), 200)
})

test('index that is missing, damaged or of another log is made again', async (t) => {
  const events = sessionEvents(200)
  const { dir, search, open } = await aSearch(t, events)
  await search.close()
  const path = join(dir, 'state', 'search.db')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  const clear = () => Promise.all(['', '-wal', '-shm'].map((ending) => rm(path + ending, { force: true })))
  const other = () => {
    const index = SearchIndex.fresh(path)
    index.add(sessionEvents(50).map((event) => ({ ...event, hash: 'x'.repeat(64) })))
    index.close()
  }
  for (const damage of [clear, () => writeFile(path, 'no database '.repeat(1000)), () => writeFile(path, ''), other]) {
    await damage()
    const again = await open()
    assert.equal((await all(again, { text: 'nginx' })).length, events.filter(eventFilter({ text: 'nginx' })).length)
    await again.close()
  }
  assert.ok((await readdir(join(dir, 'state'))).includes('search.db'))
})

test('index of a log that is in Redis only is filled from there', { skip: needs.program('redis-server') }, async (t) => {
  const redis = await redisServer(t)
  const store = new AuditRedis({ url: redis.url }, silentLogger)
  t.after(() => store.close())
  const events = sessionEvents(50)
  await store.append(events)
  const search = new Search({ path: join(await tempDir(t), 'search.db'), source: { type: 'redis', url: redis.url }, logger: silentLogger })
  t.after(() => search.close())
  await search.caughtUp(events.at(-1)?.seq ?? 0, LIMIT())
  assert.equal((await all(search, {})).length, events.length)
})

test('question that is given up, or asked of a closed index, is answered at once', async (t) => {
  const { search } = await aSearch(t, sessionEvents(5))
  await assert.rejects(search.events({}, AbortSignal.abort(new Error('enough'))), /enough/)
  await search.close()
  await search.close()
  await assert.rejects(search.events({}), { code: 'DRAINING' })
})

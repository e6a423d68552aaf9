import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as later } from 'node:timers/promises'
import { tellLostSessions } from '../../src/build/lost-sessions.js'
import { silentLogger } from '../../src/core/log.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { Search } from '../../src/store/search.js'
import { tempDir } from '../support/temp-dir.js'

/** The evidence of a gateway, opened as a start does. */
async function start(t: TestContext, dataDir: string) {
  const key = await loadCheckpointKey(join(dataDir, 'state', 'key'))
  const log = await AuditLog.open({ stores: [new AuditFile(join(dataDir, 'audit'))], onFailure: 'refuse', logger: silentLogger, key })
  const search = new Search({ path: join(dataDir, 'search.db'), source: { type: 'file', dir: join(dataDir, 'audit') }, logger: silentLogger })
  log.onAppend(search.noted)
  let isOver = false
  const stop = async () => {
    if (isOver) return
    isOver = true
    await search.close()
    await log.close()
  }
  t.after(stop)
  const open = (session: string) => log.write({ type: 'session.open', session, user: 'bob', from: '10.0.0.1:1', door: 'sftp', rule: 'dev' })
  const indexed = () => search.caughtUp(log.status().committed, AbortSignal.timeout(60_000))
  return { log, search, stop, open, indexed }
}

test('sessions that the gateway did not survive end as lost at its next start, in the index and in one that is made anew', async (t) => {
  const dataDir = await tempDir(t)
  const before = await start(t, dataDir)
  for (const id of ['lost-1', 'lost-2', 'closed']) await before.open(id)
  await before.log.write({ type: 'session.close', session: 'closed', rule: 'dev', reason: 'exited', exit: 0, bytesIn: 0, bytesOut: 0, ms: 1 })
  await before.stop()
  // sessions of this start are younger than it
  await later(5)

  const next = await start(t, dataDir)
  const lost = tellLostSessions({ audit: next.log, search: next.search, registry: { find: () => undefined }, log: silentLogger })
  await later(5)
  await next.open('runs')
  assert.equal(await lost.told, 2)
  await next.indexed()
  const states = async (search: Search) =>
    Object.fromEntries((await search.sessions({ order: 'oldest' })).items.map(({ id, state, reason }) => [id, [state, reason?.split(':')[0]]]))
  const expected = { 'lost-1': ['ended', 'lost'], 'lost-2': ['ended', 'lost'], closed: ['ended', 'exited'], runs: ['live', undefined] }
  assert.deepEqual(await states(next.search), expected)
  assert.equal((await next.search.sessions({ state: 'live' })).items.length, 1)
  await lost.close()
  await next.stop()

  await rm(join(dataDir, 'search.db'))
  const anew = await start(t, dataDir)
  await anew.indexed()
  assert.deepEqual(await states(anew.search), expected)
  const { told } = tellLostSessions({ audit: anew.log, search: anew.search, registry: { find: () => undefined }, log: silentLogger })
  assert.equal(await told, 1, 'each is told once')
})

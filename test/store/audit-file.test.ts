import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { AuditFile } from '../../src/store/audit-file.js'
import { GENESIS } from '../../src/wire/evidence/chain.js'
import { auditStoreContract, gather, someEvents } from '../contract/audit-store.js'
import { MemoryAudit } from '../support/memory-audit.js'
import { tempDir } from '../support/temp-dir.js'
import { mountTmpfs, needsMount } from '../support/tmpfs.js'

auditStoreContract('AuditFile', async (t) => {
  const dir = join(await tempDir(t), 'audit')
  let store = new AuditFile(dir)
  t.after(() => store.close())
  const reopen = async () => {
    await store.close()
    store = new AuditFile(dir)
    return store
  }
  return { store, reopen }
})

auditStoreContract('MemoryAudit', async () => {
  const store = new MemoryAudit()
  const reopen = async () => store
  return { store, reopen }
})

test('audit file rotates by UTC day, 0600 in a directory of 0700', async (t) => {
  const dir = join(await tempDir(t), 'audit')
  const store = new AuditFile(dir)
  t.after(() => store.close())
  await store.append(someEvents(4, GENESIS, '2026-11-23T23:59:58.000Z'))
  assert.deepEqual((await readdir(dir)).sort(), ['2026-11-23.ndjson', '2026-11-24.ndjson'])
  assert.equal((await stat(dir)).mode & 0o777, 0o700)
  assert.equal((await stat(join(dir, '2026-11-24.ndjson'))).mode & 0o777, 0o600)
  assert.equal((await readFile(join(dir, '2026-11-23.ndjson'), 'utf8')).trim().split('\n').length, 2)
})

for (const [what, tail] of [
  ['half a line', '{"seq":4,"time":"2026'],
  ['a whole line without its end', JSON.stringify(someEvents(4)[3])],
  ['zeros that a crash left', '\0'.repeat(9000)],
  ['an event whose hash is not its own', `${JSON.stringify({ ...someEvents(4)[3], user: 'mallory' })}\n`],
] as const) {
  test(`audit file keeps ${what} aside and goes on from the last whole event`, async (t) => {
    const dir = await tempDir(t)
    const path = join(dir, '2026-11-23.ndjson')
    const events = someEvents(5)
    const before = new AuditFile(dir)
    await before.append(events.slice(0, 3))
    await before.close()
    await appendFile(path, tail)
    const after = new AuditFile(dir)
    t.after(() => after.close())
    assert.deepEqual(await after.last(), events[2])
    assert.equal(await readFile(`${path}.torn`, 'utf8'), tail)
    assert.deepEqual(after.found(), [{ type: 'admin', action: 'audit.torn', object: path, after: { bytes: Buffer.byteLength(tail), kept: `${path}.torn` } }])
    assert.deepEqual(after.found(), [])
    await after.append(events.slice(3))
    assert.deepEqual(await gather(after), events)
  })
}

test('audit file whose only line is torn begins anew and keeps a second torn line beside the first', async (t) => {
  const dir = await tempDir(t)
  const path = join(dir, '2026-11-23.ndjson')
  for (const tail of ['first', 'second']) {
    await writeFile(path, tail)
    const store = new AuditFile(dir)
    assert.equal(await store.last(), undefined)
    await store.close()
  }
  assert.equal(await readFile(`${path}.torn`, 'utf8'), 'first')
  assert.equal(await readFile(`${path}.2.torn`, 'utf8'), 'second')
})

test('audit file notices that it was removed, cut or written by another', async (t) => {
  const dir = await tempDir(t)
  const path = join(dir, '2026-11-23.ndjson')
  const events = someEvents(6)
  const store = new AuditFile(dir)
  t.after(() => store.close())
  await store.append(events.slice(0, 2))
  await rm(path)
  await assert.rejects(store.append(events.slice(2, 3)), { code: 'AUDIT_UNAVAILABLE', message: /2026-11-23\.ndjson": the file was removed/ })
  assert.equal(await store.last(), undefined)
  await store.append(events.slice(0, 3))
  await truncate(path, (await stat(path)).size - 1)
  await assert.rejects(store.append(events.slice(3, 4)), /the file was cut/)
  assert.deepEqual(await store.last(), events[1])
  await appendFile(path, `${JSON.stringify(events[2])}\n`)
  await assert.rejects(store.append(events.slice(2, 3)), /another program writes/)
  assert.deepEqual(await store.last(), events[2], 'what the other wrote is left for the log to judge')
})

test('audit file in place of whose directory a file stands says so with the path', async (t) => {
  const dir = await tempDir(t)
  await writeFile(join(dir, 'audit'), '')
  const store = new AuditFile(join(dir, 'audit'))
  t.after(() => store.close())
  await assert.rejects(store.last(), { code: 'AUDIT_UNAVAILABLE', message: /dockin-\w+\/audit": a file stands where the directory should be/ })
  await rm(join(dir, 'audit'))
  await mkdir(join(dir, 'audit'))
  await store.append(someEvents(1))
})

test('full disk is reported with the path, and the same events go in once there is room', { skip: needsMount }, async (t) => {
  const dir = await mountTmpfs(t, '256k')
  const store = new AuditFile(join(dir, 'audit'))
  t.after(() => store.close())
  const events = someEvents(3000)
  await store.append(events.slice(0, 100))
  await writeFile(join(dir, 'ballast'), Buffer.alloc(100_000))
  await assert.rejects(store.append(events.slice(100, 2000)), { code: 'AUDIT_UNAVAILABLE', message: /2026-11-23\.ndjson": no space left on device/ })
  assert.deepEqual(await store.last(), events[99], 'nothing of the failed batch counts')
  assert.equal((await gather(store)).length, 100)
  await rm(join(dir, 'ballast'))
  await store.append(events.slice(100, 300))
  assert.deepEqual(await gather(store), events.slice(0, 300))
})

test('read-only file system is reported, and everything goes on when it is writable again', { skip: needsMount }, async (t) => {
  const dir = await mountTmpfs(t, '1m')
  const store = new AuditFile(join(dir, 'audit'))
  t.after(() => store.close())
  const events = someEvents(20)
  await store.append(events.slice(0, 10))
  await store.close()
  const again = new AuditFile(join(dir, 'audit'))
  t.after(() => again.close())
  execFileSync('mount', ['-o', 'remount,ro', dir])
  await assert.rejects(again.append(events.slice(10)), { code: 'AUDIT_UNAVAILABLE', message: /read-only/ })
  execFileSync('mount', ['-o', 'remount,rw', dir])
  await again.append(events.slice(10))
  assert.deepEqual(await gather(again), events)
})

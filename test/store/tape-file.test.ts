import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, chmod, link, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { silentLogger } from '../../src/core/log.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { encryptedTapes } from '../../src/store/tape-cipher.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { GZIP, type TapeFormat } from '../../src/store/tape-format.js'
import { CastParser } from '../../src/wire/asciicast.js'
import { encodeBlock } from '../../src/wire/tape-blocks.js'
import { bytesOf, tapeStoreContract } from '../contract/tape-store.js'
import { aSession } from '../support/sessions.js'
import { tempDir } from '../support/temp-dir.js'
import { mountTmpfs, needsMount } from '../support/tmpfs.js'

/** An audit log of a test's own. */
async function aLog(t: TestContext): Promise<AuditLog> {
  const log = await AuditLog.open({
    stores: [new AuditFile(await tempDir(t))],
    onFailure: 'refuse',
    logger: silentLogger,
    now: () => Date.parse('2026-11-23T12:00:00Z'),
  })
  t.after(() => log.close())
  return log
}

const DAY = join('recordings', '2026', '11', '23')

tapeStoreContract('TapeFile', async (t) => new TapeFile({ dataDir: await tempDir(t) }))
tapeStoreContract('TapeFile encrypted', async (t) => new TapeFile({ dataDir: await tempDir(t), format: encryptedTapes({ fileKey: randomBytes(32) }) }))

test('tape rests under the day of its session, 0600, and is a part until it is sealed', async (t) => {
  const dataDir = await tempDir(t)
  const tapes = new TapeFile({ dataDir })
  const tape = await tapes.create(aSession().session)
  assert.equal(tape.path, join(DAY, 's-1.cast.gz'))
  assert.deepEqual(await readdir(join(dataDir, DAY)), ['s-1.cast.gz.part'])
  tape.sink.end('x')
  await tape.seal()
  assert.deepEqual((await readdir(join(dataDir, DAY))).sort(), ['s-1.cast.gz', 's-1.cast.gz.part'], 'until the log holds its hash')
  await tapes.release(tape.path)
  await tapes.release(tape.path)
  assert.deepEqual(await readdir(join(dataDir, DAY)), ['s-1.cast.gz'])
  assert.equal((await stat(join(dataDir, tape.path))).mode & 0o777, 0o600)
  assert.equal((await stat(join(dataDir, 'recordings'))).mode & 0o777, 0o700)
})

test('tape of a running session can be read within a second of what was written', async (t) => {
  const tapes = new TapeFile({ dataDir: await tempDir(t) })
  const tape = await tapes.create(aSession().session)
  tape.sink.write('hello\n')
  const limit = Date.now() + 1000
  while ((await bytesOf(await tapes.open('s-1'))).length === 0) {
    assert.ok(Date.now() < limit, 'flushed within a second')
    await delay(20)
  }
  tape.sink.write('more')
  tape.sink.end()
  await tape.seal()
  assert.equal((await bytesOf(await tapes.open('s-1'))).toString(), 'hello\nmore')
})

test('lines keep their order when blocks, timers and the end overlap', async (t) => {
  const dataDir = await tempDir(t)
  // A writer that takes its time makes writes pile up behind each other.
  const slow: TapeFormat = {
    ...GZIP,
    writer: async () => ({ head: Buffer.alloc(0), encode: async (plain, startMs) => delay(3, await encodeBlock(plain, startMs)) }),
  }
  const tapes = new TapeFile({ dataDir, format: slow })
  const tape = await tapes.create(aSession().session)
  let wanted = ''
  for (let i = 0; i < 400; i++) {
    const line = `${i}:${'x'.repeat((i * 7919) % 9000)}\n`
    wanted += line
    if (!tape.sink.write(line)) await once(tape.sink, 'drain')
    if (i % 50 === 0) await delay(15)
  }
  tape.sink.end()
  await tape.seal()
  assert.equal((await bytesOf(await tapes.open('s-1'))).toString(), wanted)
  assert.equal(execFileSync('zcat', [join(dataDir, tape.path)], { maxBuffer: 1e8 }).toString(), wanted, 'zcat reads it as one')
})

test('block that was torn by a crash is cut off, and the event says how much', async (t) => {
  for (const format of [GZIP, encryptedTapes({ fileKey: randomBytes(32) })]) {
    const dataDir = await tempDir(t)
    const tapes = new TapeFile({ dataDir, format })
    const tape = await tapes.create(aSession().session)
    tape.sink.end('[0.5,"o","whole"]\n')
    const { bytes } = await tape.seal()
    await tapes.release(tape.path)
    const path = join(dataDir, tape.path)
    const block = (await readFile(path)).subarray(-60)
    await appendFile(path, block.subarray(0, 40))
    await rename(path, `${path}.part`)
    const [event] = await tapes.recover(await aLog(t))
    assert.ok(event?.type === 'admin')
    assert.deepEqual({ ...(event.after as object), sha256: '' }, { sha256: '', bytes, cutBytes: 40 })
    assert.equal((await bytesOf(await tapes.open('s-1'))).toString(), '[0.5,"o","whole"]\n')
  }
})

test('recordings that were left unclosed are closed at start with what they hold, and told', async (t) => {
  const dataDir = await tempDir(t)
  const child = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('./tape-writer.ts', import.meta.url)), dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  const part = join(dataDir, DAY, 's-1.cast.gz.part')
  while ((await stat(part)).size < 500) await delay(20)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const tapes = new TapeFile({ dataDir })
  const events = await tapes.recover(await aLog(t))
  assert.equal(events.length, 1)
  const held = await readFile(join(dataDir, DAY, 's-1.cast.gz'))
  assert.ok(held.length > 0)
  const [event] = events
  assert.ok(event?.type === 'admin' && event.action === 'recording.closed')
  assert.equal(event.object, join(DAY, 's-1.cast.gz'))
  assert.equal(event.session, 's-1')
  assert.equal((event.after as { bytes: number }).bytes, held.length)
  const parser = new CastParser()
  const lines = parser.push(gunzipSync(held))
  parser.end()
  assert.ok(lines.length > 10 && !parser.torn, 'whole lines rest, block by block')
  assert.deepEqual(await tapes.recover(await aLog(t)), [])
})

test('recording that was sealed when the crash came gets its event, once, and none when the log has it', async (t) => {
  const dataDir = await tempDir(t)
  const log = await aLog(t)
  const tapes = new TapeFile({ dataDir })
  const tape = await tapes.create(aSession().session)
  tape.sink.end('x')
  const { sha256, bytes } = await tape.seal()
  const [event] = await tapes.recover(log)
  assert.deepEqual(event?.type === 'admin' && [event.action, event.object, event.after], ['recording.closed', tape.path, { sha256, bytes }])
  assert.deepEqual(await readdir(join(dataDir, DAY)), ['s-1.cast.gz'])
  await link(join(dataDir, tape.path), join(dataDir, `${tape.path}.part`))
  assert.deepEqual(await tapes.recover(log), [], 'the crash came after the event')
  assert.deepEqual(await readdir(join(dataDir, DAY)), ['s-1.cast.gz'])
})

test('full disk fails the tape with the path', { skip: needsMount }, async (t) => {
  const dataDir = await mountTmpfs(t, '256k')
  const tapes = new TapeFile({ dataDir })
  const tape = await tapes.create(aSession().session)
  const broken = new Promise<Error>((resolve) => tape.sink.once('error', resolve))
  const write = () => {
    while (!tape.sink.destroyed && tape.sink.write(randomBytes(20_000).toString('hex')));
    if (!tape.sink.destroyed) tape.sink.once('drain', write)
  }
  write()
  assert.equal(((await broken) as NodeJS.ErrnoException).code, 'ENOSPC')
  await assert.rejects(tape.seal(), { code: 'RECORDING_FAILED', message: /s-1\.cast\.gz": ENOSPC/ })
  const kept = await readdir(join(dataDir, DAY))
  assert.deepEqual(kept, ['s-1.cast.gz.part'], 'what was written stays for the next start')
})

test('tape that cannot be created fails with the path', async (t) => {
  const dataDir = await tempDir(t)
  await writeFile(join(dataDir, 'recordings'), '')
  const tapes = new TapeFile({ dataDir })
  await assert.rejects(tapes.create(aSession().session), { code: 'RECORDING_FAILED', message: /recordings\/2026\/11\/23\/s-1\.cast\.gz": (ENOTDIR|EEXIST)/ })
  await rm(join(dataDir, 'recordings'))
  await chmod(dataDir, 0o700)
  const tape = await tapes.create(aSession().session)
  tape.sink.end()
  await tape.seal()
})

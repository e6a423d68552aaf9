import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { extract } from 'tar-stream'
import { evidencePacks } from '../../src/build/evidence-pack.js'
import { silentLogger } from '../../src/core/log.js'
import { Recorder } from '../../src/stage/recorder.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { Search } from '../../src/store/search.js'
import { encryptedTapes } from '../../src/store/tape-cipher.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { GZIP } from '../../src/store/tape-format.js'
import { TapeS3 } from '../../src/store/tape-s3.js'
import { verifyEvidence } from '../../src/wire/evidence/verify.js'
import { s3 } from '../support/s3-server.js'
import { aSession } from '../support/sessions.js'
import { tempDir } from '../support/temp-dir.js'

/** One recorded session in a gateway's evidence, and the way to its pack. */
async function evidence(t: TestContext, { inS3, isEncrypted }: { readonly inS3: boolean; readonly isEncrypted: boolean }) {
  const dataDir = await tempDir(t)
  const key = await loadCheckpointKey(join(dataDir, 'state', 'checkpoint_ed25519'))
  const log = await AuditLog.open({ stores: [new AuditFile(join(dataDir, 'audit'))], onFailure: 'refuse', logger: silentLogger, key })
  const server = inS3 ? await s3(t) : undefined
  const elsewhere = server && new TapeS3({ client: server.client(), bucket: 'tapes', prefix: 'gw/', dataDir, logger: silentLogger })
  const format = isEncrypted ? encryptedTapes({ fileKey: randomBytes(32) }) : GZIP
  const tapes = new TapeFile({ dataDir, format, ...(elsewhere && { elsewhere }) })
  const recorder = new Recorder({ tapes, logger: silentLogger, onFailure: 'refuse', audit: log })
  log.onAppend(tapes.noted)
  const search = new Search({ path: join(dataDir, 'state', 'search.db'), source: { type: 'file', dir: join(dataDir, 'audit') }, logger: silentLogger })
  log.onAppend(search.noted)
  t.after(async () => {
    await search.close()
    await elsewhere?.close()
    await log.close()
  })
  const { session } = aSession({ startedAt: new Date() })
  await log.write({ type: 'session.open', session: 's-1', user: 'alice', from: '10.0.0.1:4000', door: 'shell', target: session.target, rule: 'sre' })
  const stage = await recorder.intercept(session)
  assert.ok(stage?.down)
  stage.down.pipe(new PassThrough()).resume()
  // more than one piece of what is read from S3 at once, and nothing that gzip makes small
  for (let i = 0; i < 80; i++) await new Promise((resolve) => stage.down?.write(randomBytes(40_000).toString('hex'), resolve))
  await new Promise((resolve) => stage.down?.end(resolve))
  await stage.finish?.({ kind: 'exited', code: 0 })
  const facts = stage.facts?.() as { readonly recording: string; readonly recordingSha256: string }
  const { seq } = await log.write({ type: 'session.close', session: 's-1', rule: 'sre', reason: 'exited', exit: 0, bytesIn: 0, bytesOut: 1, ms: 1, ...facts })
  await elsewhere?.flushed()
  log.checkpoint()
  await log.write({ type: 'admin', action: 'audit.looked-at', object: 'gateway' })
  await search.caughtUp(seq, AbortSignal.timeout(30_000))
  const pack = evidencePacks({ dataDir, publicKey: key.publicPem, search, tapes, query: (filter) => log.query(filter) })
  return { facts, pack, server, publicKey: key.publicPem }
}

/** @returns the directory, and the names in it */
async function unpacked(t: TestContext, tar: Readable): Promise<{ readonly dir: string; readonly files: ReadonlyMap<string, Buffer> }> {
  const dir = await tempDir(t)
  const files = new Map<string, Buffer>()
  const entries = extract()
  const read = pipeline(tar, entries)
  read.catch(() => undefined) // it rejects below
  for await (const entry of entries) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    const content = Buffer.concat(chunks)
    files.set(entry.header.name, content)
    await mkdir(dirname(join(dir, entry.header.name)), { recursive: true })
    await writeFile(join(dir, entry.header.name), content)
  }
  await read
  return { dir, files }
}

for (const where of [
  { inS3: false, isEncrypted: true },
  { inS3: true, isEncrypted: false },
  { inS3: true, isEncrypted: true },
]) {
  const what = `${where.isEncrypted ? 'encrypted' : 'plain'} recording ${where.inS3 ? 'in S3' : 'on disk'}`
  test(`pack of a ${what} holds it as it rests, and an outsider verifies it without its key`, async (t) => {
    const { facts, pack, publicKey } = await evidence(t, where)
    const { dir, files } = await unpacked(t, await pack('s-1'))
    assert.deepEqual([...files.keys()].sort(), ['README.txt', 'events.ndjson', 'pack.json', 'public-key.pem', facts.recording].sort())
    const recording = files.get(facts.recording) ?? Buffer.alloc(0)
    assert.ok(recording.length > 3_000_000, `${recording.length} bytes`)
    assert.equal(createHash('sha256').update(recording).digest('hex'), facts.recordingSha256)
    const whole = await verifyEvidence(dir, { key: publicKey })
    assert.deepEqual(whole.problems, [])
    await writeFile(join(dir, facts.recording), Buffer.concat([recording.subarray(0, -1), Buffer.from([recording.at(-1) === 0 ? 1 : 0])]))
    const [problem] = (await verifyEvidence(dir, { key: publicKey })).problems
    assert.match(problem?.message ?? '', /was changed or cut/)
  })
}

test('pack is refused, not handed out without its recording, while S3 is away', async (t) => {
  const { pack, server } = await evidence(t, { inS3: true, isEncrypted: false })
  await server?.stop()
  const tar = await pack('s-1')
  await assert.rejects(unpacked(t, tar))
})

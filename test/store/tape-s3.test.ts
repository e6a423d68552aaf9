import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { GetObjectCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { silentLogger } from '../../src/core/log.js'
import type { StoredEvent } from '../../src/core/types.js'
import { KeyframeThread } from '../../src/store/keyframe-thread.js'
import { openS3 } from '../../src/store/s3-client.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { TapeS3 } from '../../src/store/tape-s3.js'
import { castEventLine, castHeaderLine } from '../../src/wire/asciicast.js'
import { bytesOf } from '../contract/tape-store.js'
import { s3 } from '../support/s3-server.js'
import { aSession } from '../support/sessions.js'
import { tempDir } from '../support/temp-dir.js'

function aStore(t: TestContext, dataDir: string, client: S3Client) {
  const keyframes = new KeyframeThread(silentLogger)
  const elsewhere = new TapeS3({ client, bucket: 'tapes', prefix: 'gw-1/', dataDir, logger: silentLogger, settled: keyframes.settled })
  t.after(async () => {
    await elsewhere.close()
    await keyframes.close()
  })
  return { elsewhere, tapes: new TapeFile({ dataDir, keyframes, elsewhere }) }
}

const closed = (recording: string) => ({ type: 'session.close', session: 's-1', recording }) as StoredEvent

async function record(tapes: TapeFile, bytes: number): Promise<{ path: string; text: string; sha256: string }> {
  const tape = await tapes.create(aSession().session)
  const lines = [castHeaderLine({ version: 2, width: 80, height: 24 })]
  for (let i = 0, size = 0; size < bytes; i++) {
    const line = castEventLine(i, 'o', `${randomBytes(8000).toString('hex')}\r\n`)
    size += line.length / 2
    lines.push(line)
  }
  for (const line of lines) if (!tape.sink.write(line)) await once(tape.sink, 'drain')
  tape.sink.end()
  const { sha256 } = await tape.seal()
  tapes.noted(closed(tape.path))
  return { path: tape.path, text: lines.join(''), sha256 }
}

for (const [what, bytes] of [
  ['small', 20_000],
  ['of several parts', 12_000_000],
] as const) {
  test(`recording ${what} goes to S3, a note takes its place, and it reads and seeks from there`, async (t) => {
    const server = await s3(t)
    const dataDir = await tempDir(t)
    const { tapes, elsewhere } = aStore(t, dataDir, server.client())
    const { path, text, sha256 } = await record(tapes, bytes)
    await elsewhere.flushed()
    const names = (await readdir(dirname(join(dataDir, path)))).sort()
    assert.ok(names.includes('s-1.cast.gz.s3') && !names.includes('s-1.cast.gz') && !names.includes('s-1.cast.gz.part'), names.join())
    assert.equal(
      createHash('sha256')
        .update(await bytesOf(await tapes.raw('s-1')))
        .digest('hex'),
      sha256,
    )
    assert.equal((await bytesOf(await tapes.open('s-1'))).toString(), text)
    const from = (await bytesOf(await tapes.seek('s-1', 1))).toString()
    assert.match(from, /^\{"version":2.*"seek"/)
    const client = server.client()
    const { Body } = await client.send(new GetObjectCommand({ Bucket: 'tapes', Key: `gw-1/${path}` }))
    assert.equal(
      createHash('sha256')
        .update(Buffer.from((await Body?.transformToByteArray()) ?? []))
        .digest('hex'),
      sha256,
    )
    client.destroy()
    await assert.rejects(tapes.create(aSession().session), { code: 'RECORDING_FAILED' }, 'a recording that rests elsewhere is not written anew')
  })
}

test('recording grows in S3 while its session runs', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const server = await s3(t)
  const dataDir = await tempDir(t)
  const { tapes, elsewhere } = aStore(t, dataDir, server.client())
  const tape = await tapes.create(aSession().session)
  const text = castEventLine(1, 'o', randomBytes(6_000_000).toString('hex'))
  tape.sink.write(text)
  while ((await stat(`${join(dataDir, tape.path)}.part`)).size < 5_300_000) await delay(10)
  t.mock.timers.tick(5000)
  const client = server.client()
  // s3rver keeps parts as hidden files and lists no uploads: that the end has to be sent only is what can be seen
  tape.sink.end()
  const { sha256 } = await tape.seal()
  tapes.noted(closed(tape.path))
  await elsewhere.flushed()
  await client.send(new ListMultipartUploadsCommand({ Bucket: 'tapes' })).catch(() => undefined)
  client.destroy()
  assert.equal(
    createHash('sha256')
      .update(await bytesOf(await tapes.raw('s-1')))
      .digest('hex'),
    sha256,
  )
  assert.equal((await bytesOf(await tapes.open('s-1'))).toString(), text)
})

test('recording stays on disk while S3 is away, reads from there, and is sent by the next start', async (t) => {
  const server = await s3(t)
  const dataDir = await tempDir(t)
  const dead = new S3Client({
    region: 'us-east-1',
    endpoint: 'http://127.0.0.1:1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  })
  const first = aStore(t, dataDir, dead)
  const { path, text } = await record(first.tapes, 20_000)
  await first.elsewhere.flushed()
  assert.equal((await bytesOf(await first.tapes.open('s-1'))).toString(), text)
  await first.elsewhere.close()
  const second = aStore(t, dataDir, server.client())
  await second.tapes.resume()
  await second.elsewhere.flushed()
  assert.ok((await readdir(dirname(join(dataDir, path)))).includes('s-1.cast.gz.s3'))
  assert.equal((await bytesOf(await second.tapes.open('s-1'))).toString(), text)
})

test('credentials are read from a file for its owner only', async (t) => {
  const path = join(await tempDir(t), 'credentials.json')
  await writeFile(path, JSON.stringify({ accessKeyId: 'a', secretAccessKey: 'b' }), { mode: 0o600 })
  const client = await openS3({ region: 'us-east-1', endpoint: 'http://127.0.0.1:1', credentialsFile: path })
  assert.equal((await client.config.credentials()).accessKeyId, 'a')
  client.destroy()
  await writeFile(`${path}.open`, '{}', { mode: 0o644 })
  await assert.rejects(openS3({ region: 'x', credentialsFile: `${path}.open` }), { code: 'CONFIG_INVALID', message: /others may read it/ })
})

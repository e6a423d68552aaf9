import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import fc from 'fast-check'
import { silentLogger } from '../../src/core/log.js'
import { KeyframeThread } from '../../src/store/keyframe-thread.js'
import { encryptedTapes, loadFileKey, type TapeKeys } from '../../src/store/tape-cipher.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { GZIP } from '../../src/store/tape-format.js'
import { CastParser, castEventLine, castHeaderLine } from '../../src/wire/asciicast.js'
import { ScreenReplay } from '../../src/wire/keyframes.js'
import { parseBlockHead } from '../../src/wire/tape-blocks.js'
import { bytesOf } from '../contract/tape-store.js'
import { aSession } from '../support/sessions.js'
import { tempDir } from '../support/temp-dir.js'
import { until } from '../support/world.js'

/** Ten minutes: a line a second with colours, a resize in the middle, a marker a minute, a burst at 500 s. */
async function record(t: TestContext, keys?: TapeKeys) {
  const dataDir = await tempDir(t)
  const keyframes = new KeyframeThread(silentLogger, keys)
  t.after(() => keyframes.close())
  const tapes = new TapeFile({ dataDir, keyframes, format: keys ? encryptedTapes(keys) : GZIP })
  const tape = await tapes.create(aSession().session)
  const lines = [castHeaderLine({ version: 2, width: 80, height: 24, dockin: { session: 's-1' } })]
  for (let second = 0; second < 600; second++) {
    if (second % 60 === 0) lines.push(castEventLine(second, 'm', `${1000 + second} minute ${second / 60}`))
    lines.push(castEventLine(second + 0.5, 'o', `\u001b[3${second % 8}mline ${second} é\u001b[0m${'.'.repeat(600)}\r\n`))
    if (second === 300) lines.push(castEventLine(300.6, 'r', '100x30'))
    if (second === 500) lines.push(castEventLine(500.6, 'o', `${'x'.repeat(300_000)}\r\n`))
  }
  for (const line of lines) if (!tape.sink.write(line)) await once(tape.sink, 'drain')
  const finish = async () => {
    tape.sink.end()
    return await tape.seal()
  }
  return { dataDir, tapes, tape, lines, finish }
}

/** What a terminal shows after the events up to a second. */
async function screenAt(bytes: Buffer, seconds: number): Promise<string> {
  const parser = new CastParser()
  const events = parser.push(bytes)
  assert.ok(parser.header)
  const replay = new ScreenReplay(parser.header)
  await replay.feed(events.filter((event) => event.seconds <= seconds))
  const screen = `${replay.columns}x${replay.rows}\n${replay.screen()}`
  replay.close()
  return screen
}

for (const [what, keys] of [
  ['plain', undefined],
  ['encrypted', { fileKey: randomBytes(32) }],
] as const) {
  test(`${what} recording opens at any second with the screen as it was`, async (t) => {
    const { tapes, finish } = await record(t, keys)
    await finish()
    const whole = await bytesOf(await tapes.open('s-1'))
    for (const seconds of [0, 10.5, 45, 299.7, 301, 500.9, 599]) {
      const from = await bytesOf(await tapes.seek('s-1', seconds))
      assert.equal(await screenAt(from, seconds), await screenAt(whole, seconds), `at ${seconds}`)
      assert.equal(await screenAt(from, 1e9), await screenAt(whole, 1e9), `from ${seconds} to the end`)
      const parser = new CastParser()
      const events = parser.push(from)
      assert.ok(parser.header && events.every((event) => event.seconds >= seconds))
      const { keyframe } = (parser.header.dockin as { seek: { keyframe: number } }).seek
      if (seconds > 100) assert.ok(keyframe > 0 && keyframe <= seconds && keyframe > seconds - 120, `${keyframe} for ${seconds}`)
    }
    const marks = await tapes.marks('s-1')
    assert.deepEqual(marks[3], { seconds: 180, seq: 1180, label: 'minute 3' })
    assert.equal(marks.length, 10)
  })
}

test('recording of a session that runs can be sought too, and its screens do not stay', async (t) => {
  const { dataDir, tapes, tape, finish } = await record(t)
  await new Promise<void>((resolve) => tape.sink.write(castEventLine(599.9, 'o', 'x'), () => resolve()))
  const from = new CastParser()
  const events = from.push(await bytesOf(await tapes.seek('s-1', 400)))
  assert.ok(events[0] && events[0].seconds === 400)
  assert.equal((await tapes.marks('s-1'))[0]?.seq, 1000)
  await finish()
  await tapes.release(tape.path)
  await tapes.marks('s-1')
  const files = async () => (await readdir(dirname(join(dataDir, tape.path)))).sort().join()
  await until('the screens of the whole recording', async () => (await files()) === 's-1.cast.gz,s-1.cast.gz.keyframes')
})

test('keyframes that are damaged, missing or of something else are made again', async (t) => {
  const { dataDir, tapes, tape, finish } = await record(t)
  await finish()
  const path = join(dataDir, `${tape.path}.keyframes`)
  const wanted = (await bytesOf(await tapes.seek('s-1', 350))).toString()
  for (const damage of [() => rm(path), () => writeFile(path, 'x'), () => writeFile(path, '')]) {
    await damage()
    assert.equal((await bytesOf(await tapes.seek('s-1', 350))).toString(), wanted)
  }
})

test('encrypted recording shows nothing of what it holds, and opens only with its key', async (t) => {
  const fileKey = randomBytes(32)
  const identity = await generateX25519Identity()
  const { dataDir, tapes, tape, lines, finish } = await record(t, { fileKey, recipients: [await identityToRecipient(identity)] })
  await finish()
  await tapes.marks('s-1')
  const raw = await readFile(join(dataDir, tape.path))
  assert.equal(raw.subarray(0, 14).toString(), 'dockin-tape-1\n')
  assert.equal(parseBlockHead(raw.subarray(raw.indexOf('\n', 20) + 9)), undefined, 'no gzip member stands open')
  for (const name of await readdir(dirname(join(dataDir, tape.path)))) {
    const held = await readFile(join(dirname(join(dataDir, tape.path)), name))
    for (const word of ['asciicast', 'minute', 'line 3', '"version"']) assert.ok(!held.includes(word), `${name} holds ${word}`)
  }
  const open = async (keys: TapeKeys) => (await bytesOf(await new TapeFile({ dataDir, format: encryptedTapes(keys) }).open('s-1'))).toString()
  assert.equal(await open({ fileKey }), lines.join(''))
  assert.equal(await open({ identity }), lines.join(''), 'the age recipient reads it too')
  await assert.rejects(open({ fileKey: randomBytes(32) }), { code: 'CONFIG_INVALID' })
  await assert.rejects(open({ identity: await generateX25519Identity() }), { code: 'BAD_REQUEST' })
})

test('encrypted recording whose blocks were changed or moved is refused where it was', async (t) => {
  const fileKey = randomBytes(32)
  const { dataDir, tapes, tape, finish } = await record(t, { fileKey })
  await finish()
  const path = join(dataDir, tape.path)
  const whole = await readFile(path)
  const start = whole.indexOf('\n', 20) + 1
  const first = whole.readUInt32LE(start)
  const second = whole.readUInt32LE(start + first)
  const blocks = [whole.subarray(start, start + first), whole.subarray(start + first, start + first + second)] as const
  const changed = Buffer.from(whole)
  changed[start + 20] = (changed[start + 20] ?? 0) ^ 1
  const moved = Buffer.concat([whole.subarray(0, start), blocks[1], blocks[0], whole.subarray(start + first + second)])
  const later = Buffer.from(whole)
  later.writeUInt32LE(123_456, start + 4)
  for (const bytes of [changed, moved, later]) {
    await writeFile(path, bytes)
    await assert.rejects(tapes.open('s-1').then(bytesOf), /unable to authenticate/)
  }
})

test('key file is 32 bytes in any of three forms, for its owner only', async (t) => {
  const dir = await tempDir(t)
  const key = randomBytes(32)
  for (const form of [key, key.toString('hex'), `${key.toString('base64')}\n`]) {
    const path = join(dir, randomBytes(4).toString('hex'))
    await writeFile(path, form, { mode: 0o600 })
    assert.deepEqual(await loadFileKey(path), key)
    await chmod(path, 0o644)
    await assert.rejects(loadFileKey(path), { code: 'CONFIG_INVALID', message: /others may read it/ })
  }
  await writeFile(join(dir, 'short'), 'x', { mode: 0o600 })
  await assert.rejects(loadFileKey(join(dir, 'short')), { code: 'CONFIG_INVALID' })
  await assert.rejects(loadFileKey(join(dir, 'none')), { code: 'CONFIG_INVALID' })
})

test('heads of blocks are read from any bytes without a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 64 }), (bytes) => {
      const head = parseBlockHead(Buffer.from(bytes))
      assert.ok(head === undefined || head.bytes > 24)
    }),
  )
})

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { KeyframeThread } from '../../src/store/keyframe-thread.js'
import { encryptedTapes, type TapeKeys } from '../../src/store/tape-cipher.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { GZIP } from '../../src/store/tape-format.js'
import { type CastEvent, CastParser, castEventLine, castHeaderLine } from '../../src/wire/asciicast.js'
import { ScreenReplay } from '../../src/wire/keyframes.js'
import type { CastPartFacts, CastPlace } from '../../src/wire/tape-part.js'
import { bytesOf } from '../contract/tape-store.js'
import { aSession } from '../support/sessions.js'
import { tempDir } from '../support/temp-dir.js'

const BEGAN = '2026-11-23T10:00:00.500Z'
const SECONDS = 900

/** A quarter of an hour: a line a second, a command a minute, a resize in the middle. */
async function record(t: TestContext, keys?: TapeKeys) {
  const keyframes = new KeyframeThread(silentLogger, keys)
  t.after(() => keyframes.close())
  const tapes = new TapeFile({ dataDir: await tempDir(t), keyframes, format: keys ? encryptedTapes(keys) : GZIP })
  const tape = await tapes.create(aSession().session)
  const lines = [castHeaderLine({ version: 2, width: 80, height: 24, dockin: { session: 's-1', began: BEGAN } })]
  for (let second = 0; second < SECONDS; second++) {
    if (second % 60 === 0) lines.push(castEventLine(second, 'm', `${1000 + second} minute ${second / 60}`))
    lines.push(castEventLine(second + 0.5, 'o', `line ${second} ${randomBytes(600).toString('hex')}\r\n`))
    if (second === 450) lines.push(castEventLine(second + 0.6, 'r', '100x30'))
  }
  const write = async (some: readonly string[]) => {
    for (const line of some) if (!tape.sink.write(line)) await once(tape.sink, 'drain')
  }
  const seal = async () => {
    tape.sink.end()
    await tape.seal()
  }
  return { tapes, lines, write, seal }
}

function read(part: Buffer): { readonly columns: number; readonly events: readonly CastEvent[]; readonly facts: CastPartFacts } {
  const parser = new CastParser()
  const events = parser.push(part)
  assert.ok(parser.header)
  return { columns: parser.header.width, events, facts: (parser.header.dockin as { part: CastPartFacts }).part }
}

async function screen(tape: Buffer, until: number): Promise<string> {
  const parser = new CastParser()
  const events = parser.push(tape)
  assert.ok(parser.header)
  const replay = new ScreenReplay(parser.header)
  await replay.feed(events.filter(({ seconds }) => seconds <= until))
  const shown = `${replay.columns}x${replay.rows}\n${replay.screen()}`
  replay.close()
  return shown
}

for (const [what, keys] of [
  ['plain', undefined],
  ['encrypted', { fileKey: randomBytes(32) }],
] as const) {
  test(`part of a ${what} recording shows any second with little of the rest, and the next goes on where it ends`, async (t) => {
    const { tapes, lines, write, seal } = await record(t, keys)
    await write(lines)
    await seal()
    const whole = await bytesOf(await tapes.open('s-1'))
    const all = read(Buffer.from(whole.toString().replace('"dockin":{', '"dockin":{"part":{},')))
    for (const seconds of [0, 61, 449.9, 452, 800]) {
      const part = await tapes.part('s-1', { seconds }, 64 * 1024)
      const { events, facts } = read(part)
      assert.equal(await screen(part, seconds), await screen(whole, seconds), `at ${seconds}`)
      assert.deepEqual([facts.seconds, facts.total], [seconds, SECONDS - 0.5])
      assert.ok(part.length < 64 * 1024 + 512 * 1024, `${part.length} bytes`)
      const got = [...events]
      for (let next = facts.next; next !== undefined; ) {
        const following = read(await tapes.part('s-1', { block: next }, 256 * 1024))
        got.push(...following.events)
        next = following.facts.next
      }
      const after = (list: readonly CastEvent[]) => list.filter((event) => event.seconds > seconds)
      assert.deepEqual(after(got), after(all.events), `from ${seconds} to the end`)
    }
  })
}

test('part begins at a command by the number of its event, or at a moment', async (t) => {
  const { tapes, lines, write, seal } = await record(t)
  await write(lines)
  await seal()
  const at = async (place: CastPlace) => read(await tapes.part('s-1', place, 1)).facts.seconds
  assert.equal(await at({ seq: 1300 }), 300)
  assert.equal(await at({ seq: 1330 }), 300, 'a command without a marker begins at the last one before it')
  assert.equal(await at({ seq: 7 }), 0)
  assert.equal(await at({ time: new Date(Date.parse(BEGAN) + 42_250) }), 42.25)
  assert.equal(await at({ time: new Date(0) }), 0)
  assert.equal(await at({ seconds: 1e6 }), SECONDS - 0.5, 'beyond the end is the end')
  assert.deepEqual(read(await tapes.part('s-1', { block: 1e6 }, 1)).events, [])
})

test('parts and markers of a recording that grows reach to what has been written', async (t) => {
  const { tapes, lines, write, seal } = await record(t)
  const half = lines.findIndex((line) => line.startsWith('[450.6'))
  await write(lines.slice(0, half))
  const before = await tapes.marks('s-1')
  const { facts } = read(await tapes.part('s-1', { seconds: 100 }, 1))
  assert.ok(before.length >= 6 && before.length <= 8, `${before.length} markers`)
  assert.ok(facts.total > 300 && facts.total < 451, `${facts.total}`)
  await write(lines.slice(half))
  await seal()
  assert.deepEqual(
    (await tapes.marks('s-1')).map(({ seq }) => seq),
    Array.from({ length: 15 }, (_, minute) => 1000 + 60 * minute),
  )
})

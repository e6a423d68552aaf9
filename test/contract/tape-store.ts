/** What every TapeStore must do. Call inside a test file, once for each implementation. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import type { TapeStore } from '../../src/core/types.js'
import { aSession } from '../support/sessions.js'

export async function bytesOf(source: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A TapeStore that also gives the bytes whose hash it tells. */
export type TapeStoreUnderTest = TapeStore & { raw(sessionId: string): Promise<Readable> }

export function tapeStoreContract(name: string, open: (t: TestContext) => Promise<TapeStoreUnderTest>): void {
  describe(`${name} as TapeStore`, () => {
    test('sealed tape gives back its bytes, and the hash and size of what rests', async (t) => {
      const tapes = await open(t)
      const tape = await tapes.create(aSession().session)
      const lines = Array.from({ length: 5000 }, (_, i) => `[${i},"o","line ${i} é"]\n`)
      for (const line of lines) if (!tape.sink.write(line)) await once(tape.sink, 'drain')
      tape.sink.end()
      const { sha256, bytes } = await tape.seal()
      const held = await bytesOf(await tapes.open('s-1'))
      assert.equal(held.toString(), lines.join(''))
      const raw = await bytesOf(await tapes.raw('s-1'))
      assert.equal(bytes, raw.length)
      assert.equal(sha256, createHash('sha256').update(raw).digest('hex'))
    })

    test('empty tape can be sealed, and sealing twice answers the same', async (t) => {
      const tapes = await open(t)
      const tape = await tapes.create(aSession().session)
      tape.sink.end()
      const [one, two] = await Promise.all([tape.seal(), tape.seal()])
      const raw = await bytesOf(await tapes.raw('s-1'))
      assert.deepEqual(one, { sha256: createHash('sha256').update(raw).digest('hex'), bytes: raw.length })
      assert.deepEqual(two, one)
      assert.equal((await bytesOf(await tapes.open('s-1'))).length, 0)
    })

    test('second tape for one session is refused, while the first is written and after', async (t) => {
      const tapes = await open(t)
      const tape = await tapes.create(aSession().session)
      await assert.rejects(tapes.create(aSession().session), { code: 'RECORDING_FAILED' })
      tape.sink.end()
      await tape.seal()
      await assert.rejects(tapes.create(aSession().session), { code: 'RECORDING_FAILED' })
    })

    test('tape of a session that was never recorded is NOT_FOUND, and an id that is a path is no id', async (t) => {
      const tapes = await open(t)
      await assert.rejects(tapes.open('none'), { code: 'NOT_FOUND' })
      for (const id of ['../../etc/passwd', '..', '', '.hidden', 'a/b', 'a\0b', 'a\\b', 'x'.repeat(200)]) {
        await assert.rejects(tapes.open(id), { code: 'BAD_REQUEST' }, id)
        await assert.rejects(tapes.create(aSession({ id }).session), { code: 'BAD_REQUEST' }, id)
      }
    })

    test('tape whose sink is destroyed cannot be sealed and says so', async (t) => {
      const tapes = await open(t)
      const tape = await tapes.create(aSession().session)
      tape.sink.write('x')
      tape.sink.destroy(new Error('the disk is gone'))
      await assert.rejects(tape.seal(), { code: 'RECORDING_FAILED', message: /the disk is gone/ })
    })
  })
}

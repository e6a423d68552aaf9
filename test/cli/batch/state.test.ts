import assert from 'node:assert/strict'
import { appendFile, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Outcome } from '../../../src/cli/batch/outcome.js'
import { BatchState, readBatchState } from '../../../src/cli/batch/state.js'
import { tempDir } from '../../support/temp-dir.js'

const plan = { batch: 'b-1', command: ['sh', '-c', 'true'], startedAt: '2026-11-23T00:00:00.000Z', items: ['a', 'b', 'c', 'd'] }
const exited = (code: number, bytes: Buffer): Outcome => ({ kind: 'exited', code, stdout: bytes, stderr: Buffer.alloc(0), truncated: false, ms: 5 })

test('a state file tells what is done, what may have run and what was never started', async (t) => {
  const path = join(await tempDir(t), 'state')
  const state = await BatchState.create(path, plan)
  await state.starting('a')
  await state.finished('a', exited(3, Buffer.from([0xff, 0x00])))
  await state.starting('b')
  await state.starting('c')
  await state.finished('c', { kind: 'interrupted', message: 'Ctrl-C', ms: 1 })
  await state.finished('d', { kind: 'skipped', message: 'Ctrl-C' })
  await state.close()
  await state.close()
  const memory = await readBatchState(path)
  assert.deepEqual(memory.plan, plan)
  assert.deepEqual([...memory.done], [['a', exited(3, Buffer.from([0xff, 0x00]))]])
  assert.deepEqual([...memory.unknown], ['b', 'c'])
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})

test('a torn last line is left out, and what is appended afterwards is read', async (t) => {
  const path = join(await tempDir(t), 'state')
  const state = await BatchState.create(path, plan)
  await state.starting('a')
  await state.close()
  await appendFile(path, '{"id":"a","kind":"exi')
  assert.deepEqual([...(await readBatchState(path)).unknown], ['a'])
  const again = await BatchState.reopen(path)
  await again.starting('b')
  await again.finished('b', exited(0, Buffer.from('x')))
  await again.close()
  const memory = await readBatchState(path)
  assert.deepEqual([...memory.unknown], ['a'])
  assert.deepEqual([...memory.done.keys()], ['b'])
})

test('another batch is not overwritten, and other files are no state', async (t) => {
  const dir = await tempDir(t)
  const path = join(dir, 'state')
  await writeFile(path, 'hello\n')
  await assert.rejects(BatchState.create(path, plan), /EEXIST/)
  await assert.rejects(readBatchState(path), /not the state file/)
  assert.equal(await readFile(path, 'utf8'), 'hello\n')
})

test('steps that come together are all on disk when they resolve', async (t) => {
  const path = join(await tempDir(t), 'state')
  const state = await BatchState.create(path, plan)
  await Promise.all(Array.from({ length: 200 }, (_, i) => state.starting(`pod-${i}`)))
  assert.equal((await readBatchState(path)).unknown.size, 200)
  await state.close()
})

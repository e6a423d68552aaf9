import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { BatchControl, type BatchOptions, runBatch } from '../../../src/cli/batch/engine.js'
import { batchExit, type Outcome } from '../../../src/cli/batch/outcome.js'

const OPTIONS: BatchOptions = { parallel: 4, failFast: false, canary: 0 }
const items = (count: number) => Array.from({ length: count }, (_, i) => ({ id: `a/shop/web-${i}/web`, i }))
const exited = (code: number, stdout = ''): Outcome => ({ kind: 'exited', code, stdout: Buffer.from(stdout), stderr: Buffer.alloc(0), truncated: false, ms: 1 })

/** Rejects when the signal aborts, and never else. */
function until(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new Error('cut'))
    signal.addEventListener('abort', () => reject(new Error('cut')), { once: true })
  })
}

test('a batch runs every pod once and answers in the order of the items', async () => {
  const all = items(50)
  const ran: string[] = []
  const outcomes = await runBatch(all, OPTIONS, {
    run: async (item) => {
      ran.push(item.id)
      await setImmediate()
      return exited(item.i % 3 === 0 ? 7 : 0)
    },
  })
  assert.deepEqual([...outcomes.keys()], all)
  assert.equal(new Set(ran).size, 50)
  assert.equal(batchExit([...outcomes.values()]), 7)
})

test('a batch never runs more than `parallel` at once, and uses all of them', async () => {
  let running = 0
  let most = 0
  await runBatch(items(40), OPTIONS, {
    run: async () => {
      most = Math.max(most, ++running)
      await setImmediate()
      running--
      return exited(0)
    },
  })
  assert.equal(most, 4)
})

test('a time limit ends a pod and the others go on', async () => {
  const outcomes = await runBatch(
    items(3),
    { ...OPTIONS, timeoutMs: 20 },
    {
      run: (item, signal) => (item.i === 1 ? until(signal) : Promise.resolve(exited(0))),
    },
  )
  assert.deepEqual(
    [...outcomes.values()].map((one) => one.kind),
    ['exited', 'timeout', 'exited'],
  )
})

test('fail-fast starts nothing more and says why, but lets what runs end', async () => {
  let release: () => void = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const outcomes = await runBatch(
    items(6),
    { ...OPTIONS, parallel: 2, failFast: true },
    {
      run: async (item) => {
        if (item.i === 0) await held
        return exited(item.i === 1 ? 3 : 0)
      },
      finished: (item) => {
        if (item.i === 1) release()
      },
    },
  )
  const kinds = [...outcomes.values()].map((one) => one.kind)
  assert.deepEqual(kinds, ['exited', 'exited', 'skipped', 'skipped', 'skipped', 'skipped'])
  assert.match(JSON.stringify([...outcomes.values()][5]), /web-1\/web did not succeed/)
})

test('the canary runs first and alone; a no leaves the rest not started', async () => {
  const started: number[] = []
  const outcomes = await runBatch(
    items(10),
    { ...OPTIONS, canary: 2 },
    {
      run: async (item) => {
        started.push(item.i)
        return exited(0)
      },
      confirm: async (seen) => {
        assert.deepEqual([...seen.keys()].map((one) => one.i).sort(), [0, 1])
        return false
      },
    },
  )
  assert.deepEqual(started.sort(), [0, 1])
  assert.equal([...outcomes.values()].filter((one) => one.kind === 'skipped').length, 8)
})

test('stop starting lets running pods end; stop all cuts them and calls them interrupted', async () => {
  const control = new BatchControl()
  const outcomes = await runBatch(
    items(5),
    { ...OPTIONS, parallel: 2 },
    {
      run: async (item, signal) => {
        if (item.i === 0) {
          control.stopStarting('Ctrl-C')
          return exited(0)
        }
        control.stopAll('Ctrl-C twice')
        return until(signal)
      },
    },
    control,
  )
  assert.deepEqual(
    [...outcomes.values()].map((one) => one.kind),
    ['exited', 'interrupted', 'skipped', 'skipped', 'skipped'],
  )
})

test('a memory that fails stops the batch and is thrown, after what ran has ended', async () => {
  let running = 0
  await assert.rejects(
    runBatch(items(20), OPTIONS, {
      starting: (item) => {
        if (item.i === 5) throw new Error('disk full')
      },
      run: async (_, signal) => {
        running++
        await Promise.race([setImmediate(), until(signal)]).finally(() => running--)
        return exited(0)
      },
    }),
    /disk full/,
  )
  assert.equal(running, 0)
})

test('whatever happens, every pod has one outcome, and what was skipped never ran', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('ok', 'fail', 'throw', 'stop', 'kill'), { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 4 }),
      fc.boolean(),
      fc.boolean(),
      async (fates, parallel, canary, failFast, go) => {
        const control = new BatchControl()
        const started = new Map<string, number>()
        const all = items(fates.length)
        const outcomes = await runBatch(
          all,
          { parallel, canary, failFast },
          {
            run: async (item, signal) => {
              started.set(item.id, (started.get(item.id) ?? 0) + 1)
              await setImmediate()
              const fate = fates[item.i]
              if (fate === 'throw') throw new Error('gone')
              if (fate === 'stop') control.stopStarting('s')
              if (fate === 'kill') control.stopAll('k')
              if (signal.aborted) throw new Error('cut')
              return exited(fate === 'fail' ? 1 : 0)
            },
            confirm: async () => go,
          },
          control,
        )
        assert.equal(outcomes.size, all.length)
        for (const [item, outcome] of outcomes) assert.equal(started.get(item.id) ?? 0, outcome.kind === 'skipped' ? 0 : 1)
      },
    ),
    { numRuns: 200 },
  )
})

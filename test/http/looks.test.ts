import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Looks } from '../../src/http/looks.js'

test('parts of one look are one event, and all of them wait until it rests', async () => {
  let events = 0
  let rest = (): void => {}
  const looks = new Looks(() => 0)
  const write = () => {
    events++
    return new Promise<void>((resolve) => {
      rest = resolve
    })
  }
  let waiting = 2
  const both = Promise.all([1, 2].map(() => looks.note('login session', write).then(() => waiting--)))
  assert.deepEqual([events, waiting], [1, 2])
  rest()
  await both
  await looks.note('login session', write)
  assert.equal(events, 1)
})

test('another recording, another login and a look after a pause are events of their own', async () => {
  let nowMs = 0
  const seen: string[] = []
  const looks = new Looks(() => nowMs)
  const look = (key: string) => looks.note(key, async () => seen.push(key))
  for (const key of ['a 1', 'a 2', 'b 1', 'a 1']) await look(key)
  nowMs += 4 * 60_000
  await look('a 1')
  nowMs += 4 * 60_000
  await look('a 1')
  await look('b 1')
  assert.deepEqual(seen, ['a 1', 'a 2', 'b 1', 'b 1'])
})

test('a look that could not be kept is refused, and the next part tries again', async () => {
  const looks = new Looks(() => 0)
  await assert.rejects(
    looks.note('a 1', () => Promise.reject(new Error('the log is away'))),
    /the log is away/,
  )
  let events = 0
  await looks.note('a 1', async () => events++)
  assert.equal(events, 1)
})

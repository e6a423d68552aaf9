import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { PidWatch } from '../../agent/family.js'
import { endedLeader, endFamily, familyOf, type ProcessEntry, ProcessTable, parseStat, readProcess } from '../../agent/processes.js'

const entry = (pid: number, parent: number, session: number, startTicks = 10): ProcessEntry => ({ pid, parent, session, startTicks })
const tableOf = (...entries: ProcessEntry[]) => new Map(entries.map((one) => [one.pid, one]))
const pidsOf = (family: ReadonlyMap<number, ProcessEntry>) => [...family.keys()].sort((a, b) => a - b)

test('a stat line parses although the name holds spaces and parentheses', () => {
  const line = '42 (a) b (c) S 7 42 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 2'
  assert.deepEqual(parseStat(line), { pid: 42, parent: 7, session: 40, startTicks: 9876 })
  assert.equal(parseStat(line.replace(' S ', ' Z ')), undefined)
})
test('a stat line that is none parses to nothing', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseStat(text)
    }),
  )
  for (const text of ['', '42', '42 (x)', '42 (x) S', 'x (y) S 1 2 3']) assert.equal(parseStat(text), undefined)
})
test('a family is the session, and the children of its members in any depth', () => {
  const leader = entry(100, 1, 100)
  const table = tableOf(leader, entry(101, 100, 100), entry(102, 101, 102), entry(103, 102, 102), entry(200, 1, 200), entry(1, 0, 1))
  assert.deepEqual(pidsOf(familyOf(table, leader)), [100, 101, 102, 103])
})
test('members whose parent has ended are found again, and what took over a pid is not', () => {
  const leader = entry(100, 1, 100)
  const known = tableOf(entry(102, 101, 102), entry(103, 101, 103))
  const table = tableOf(entry(101, 1, 100, 11), entry(102, 1, 102), entry(103, 1, 103, 99))
  assert.deepEqual(pidsOf(familyOf(table, leader, known)), [101, 102])
})
test('a session whose number was given away has no members', () => {
  const table = tableOf(entry(100, 1, 100, 500), entry(101, 100, 100, 501))
  assert.deepEqual(pidsOf(familyOf(table, entry(100, 1, 100))), [])
  assert.deepEqual(pidsOf(familyOf(table, endedLeader(100))), [])
})
test('callers that come together share a walk that started after they came', async () => {
  const table = new ProcessTable()
  const first = table.snapshot()
  const child = spawn('sleep', ['60'])
  const [second, third] = [table.snapshot(), table.snapshot()]
  assert.equal(second, third)
  assert.notEqual(first, second)
  assert.ok((await second).has(child.pid as number))
  child.kill()
  await once(child, 'exit')
})

async function family(script: string): Promise<{ child: ChildProcess; leader: ProcessEntry }> {
  const child = spawn('sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  assert.ok(child.stdout)
  await once(child.stdout, 'data')
  const leader = readProcess(child.pid as number)
  assert.ok(leader)
  return { child, leader }
}
test('ending a family leaves nothing of it, stopped and deaf members included', async () => {
  const table = new ProcessTable()
  const { child, leader } = await family('(trap "" HUP TERM; setsid sleep 61 & sleep 62) & sleep 63 & kill -STOP $!; echo up; sleep 64')
  const members = pidsOf(familyOf(await table.snapshot(), leader))
  assert.ok(members.length >= 5, `${members.length} members`)
  const exit = once(child, 'exit')
  assert.equal(await endFamily(table, leader), 0)
  await exit
  for (const pid of members) assert.equal(readProcess(pid), undefined)
})
test('ending a family that has ended takes no time', async () => {
  const startedMs = Date.now()
  assert.equal(await endFamily(new ProcessTable(), { ...endedLeader(2 ** 22 - 3) }), 0)
  assert.ok(Date.now() - startedMs < 500)
})
test('the watch notices an end, and stops looking when nobody waits', async () => {
  const watch = new PidWatch()
  const child = spawn('sleep', ['60'])
  const stop = new AbortController()
  const pid = child.pid as number
  const gone = watch.untilGone(pid, new AbortController().signal)
  const stopped = watch.untilGone(pid, stop.signal)
  stop.abort()
  await stopped
  child.kill()
  await gone
  assert.throws(() => process.kill(pid, 0))
})

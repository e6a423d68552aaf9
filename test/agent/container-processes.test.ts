import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { containerTable } from '../../agent/container-processes.js'

const ID = 'c0ffee'.repeat(10)

/** A machine of files: processes by pid, groups by path. */
function machine(t: TestContext, processes: Record<number, string>, groups: Record<string, number[]>) {
  const dir = mkdtempSync(join(tmpdir(), 'machine-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const roots = { proc: join(dir, 'proc'), cgroup: join(dir, 'cgroup') }
  for (const [pid, cgroup] of Object.entries(processes)) {
    mkdirSync(join(roots.proc, pid), { recursive: true })
    writeFileSync(join(roots.proc, pid, 'cgroup'), cgroup)
    writeFileSync(join(roots.proc, pid, 'stat'), `${pid} (x) S 1 ${pid} ${pid} 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 ${pid} 1 2`)
  }
  mkdirSync(roots.cgroup, { recursive: true })
  for (const [path, pids] of Object.entries(groups)) {
    mkdirSync(join(roots.cgroup, path), { recursive: true })
    writeFileSync(join(roots.cgroup, path, 'cgroup.procs'), pids.map((pid) => `${pid}\n`).join(''))
  }
  return roots
}
const pidsOf = async (table: ReturnType<typeof containerTable>) => [...((await table?.snapshot())?.keys() ?? [])]

test('a container of cgroup version 1 has the processes of its group', async (t) => {
  const v1 = `4:memory:/kubepods/pod1/${ID}\n1:name=systemd:/kubepods/pod1/${ID}\n0::/\n`
  const roots = machine(t, { 10: v1, 11: v1, 12: '0::/' }, { [`memory/kubepods/pod1/${ID}`]: [10, 11] })
  assert.deepEqual(await pidsOf(containerTable(10, ID, roots)), [10, 11])
})
test('a container of cgroup version 2 has those of the groups below its own too', async (t) => {
  const scope = `kubepods.slice/docker-${ID}.scope`
  const v2 = `0::/${scope}/init.scope\n`
  const roots = machine(
    t,
    { 10: v2, 11: v2, 12: v2 },
    { [scope]: [], [`${scope}/init.scope`]: [10], [`${scope}/system.slice/a`]: [11], [`${scope}/system.slice`]: [] },
  )
  assert.deepEqual((await pidsOf(containerTable(10, ID, roots))).sort(), [10, 11])
})
test('without its group all processes are looked at', async (t) => {
  const roots = machine(t, { 10: `0::/x/${ID}\n`, 12: '0::/' }, {})
  assert.deepEqual(await pidsOf(containerTable(10, ID, roots)), [10, 12])
})
test('a pid that is not of the container gives no table, for it is seen in another pid namespace', (t) => {
  const roots = machine(t, { 10: '0::/user.slice\n' }, {})
  assert.equal(containerTable(10, ID, roots), undefined)
  assert.equal(containerTable(99, ID, roots), undefined)
})

/** Parts of the child that need no container. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { resolveUser } from '../../agent/files/container-user.js'
import { isFilesPath, parseFiles } from '../../agent/files/files-request.js'
import { joinGroups } from '../../agent/files/join-groups.js'
import { startFiles } from '../../agent/files/start-files.js'

const TABLES: Readonly<Record<string, string[][]>> = {
  '/etc/passwd': [
    ['root', 'x', '0', '0', 'root', '/root', '/bin/sh'],
    ['app', 'x', '1000', '1001', '', '/home/app', '/bin/sh'],
    ['odd', 'x', 'many', '1', '', '/', '/bin/sh'],
  ],
  '/etc/group': [
    ['root', 'x', '0', ''],
    ['app', 'x', '1001', ''],
    ['disk', 'x', '6', 'root,app'],
    ['wheel', 'x', '10', 'app'],
  ],
}
const table = (path: string) => TABLES[path] ?? []

test('the container’s user is found by the rules of docker exec', () => {
  const cases: readonly [user: string, added: readonly string[], uid: number, gid: number, groups: readonly number[], home: string][] = [
    ['', [], 0, 0, [0, 6], '/root'],
    ['root', ['4242'], 0, 0, [0, 6, 4242], '/root'],
    ['app', [], 1000, 1001, [1001, 6, 10], '/home/app'],
    ['1000', ['wheel'], 1000, 1001, [1001, 6, 10], '/home/app'],
    ['1000:50', [], 1000, 50, [50], '/home/app'],
    ['app:wheel', [], 1000, 10, [10], '/home/app'],
    ['777', [], 777, 0, [0], ''],
  ]
  for (const [user, added, uid, gid, groups, home] of cases) assert.deepEqual(resolveUser(user, added, table), { uid, gid, groups, home }, user)
  for (const [user, added] of [
    ['nobody', []],
    ['odd', []],
    ['app:none', []],
    ['app', ['none']],
    ['99999999999', []],
    ['-1', []],
  ] as const) {
    assert.throws(() => resolveUser(user, added, table), /container’s|container's/, user)
  }
})

test('a request for files names pod and container, and nothing else', () => {
  assert.ok(isFilesPath('/files/a') && !isFilesPath('/exec/a'))
  assert.deepEqual(parseFiles('/files/n/p/u/c?containerId=docker%3A%2F%2Fx'), { namespace: 'n', pod: 'p', uid: 'u', container: 'c', containerId: 'docker://x' })
  assert.deepEqual(parseFiles('/files/n/%2e%2e/u/c'), { namespace: 'n', pod: '..', uid: 'u', container: 'c' })
  for (const path of ['/files/n/p/c', '/files/n/p/u/c/d', '/files/n//u/c', '/files/n/p/u/%'])
    assert.throws(() => parseFiles(path), { code: 'BAD_REQUEST' }, path)
})

test('of the control groups, those are joined whose limits are about files', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'groups-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const places = { score: join(root, 'score'), root }
  const procs = (...folder: string[]) => readFileSync(join(root, ...folder, 'cgroup.procs'), 'utf8')
  for (const folder of ['devices', 'memory', 'freezer', 'pids', '.']) mkdirSync(join(root, folder, 'docker/x'), { recursive: true })
  const groups = ['5:devices:/docker/x', '6:freezer:/docker/x', '4:memory:/docker/x', '8:pids:/docker/x', '0::/docker/x']
  assert.deepEqual(joinGroups(groups, places), ['devices', 'memory'])
  assert.equal(procs('devices/docker/x'), '0')
  for (const other of ['freezer/docker/x', 'pids/docker/x', 'docker/x']) assert.throws(() => procs(other), { code: 'ENOENT' }, other)
  assert.equal(readFileSync(places.score, 'utf8'), '1000')
  // version 2 has one; what cannot be written is not joined, and without the score nothing is
  assert.deepEqual(joinGroups(['0::/docker/x'], places), ['unified'])
  assert.deepEqual(joinGroups(['0::/docker/none'], places), [])
  assert.deepEqual(joinGroups(groups, { score: join(root, 'no/score'), root }), [])
})

test('a child that cannot be what it was to be says why, and is gone', async () => {
  const never = new AbortController().signal
  const plan = { kind: 'container', containerId: 'f'.repeat(64), user: '', groups: [], workingDir: '/' } as const
  await assert.rejects(startFiles({ ...plan, pid: 2 ** 22 + 7 }, never), { code: 'TARGET_GONE' })
  await assert.rejects(startFiles({ ...plan, pid: process.pid }, never), { code: 'TARGET_UNREACHABLE', message: /not of the container/ })
  const stop = new AbortController()
  const starting = startFiles({ kind: 'here', home: '/' }, stop.signal)
  stop.abort(new Error('enough'))
  await assert.rejects(starting, /enough/)
})

test('a child takes a greeting in pieces, and ends at once at what is no SFTP or ends within a packet', async () => {
  const init = Buffer.from('000000050100000003', 'hex')
  const serve = async (...pieces: readonly Buffer[]) => {
    const session = await startFiles({ kind: 'here', home: '/' }, new AbortController().signal)
    const answered: Buffer[] = []
    session.stream.on('data', (chunk: Buffer) => answered.push(chunk))
    for (const piece of pieces) await new Promise((resolve) => session.stream.write(piece, resolve))
    session.stream.end()
    await session.ended
    await session.close()
    return Buffer.concat(answered)
  }
  const whole = await serve(...[...init].map((byte) => Buffer.of(byte)))
  assert.equal(whole[4], 2)
  for (const broken of ['00000000', '7fffffff', '0000000903']) assert.deepEqual(await serve(init, Buffer.from(broken, 'hex')), whole, broken)
})

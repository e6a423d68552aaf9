/** Somebody who is root in a container tries to reach more than the container through the files of it. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, type TestContext, test } from 'node:test'
import { DockerRuntime } from '../../agent/docker.js'
import { type FileAccess, FileError, type FileErrorCode } from '../../src/core/files.js'
import { silentLogger } from '../../src/core/log.js'
import { SftpClient } from '../../src/wire/sftp/client.js'
import { entriesOf, get, put, READ, WRITE } from '../contract/file-access.js'
import { dockerSocketOf, needs } from '../support/need.js'
import { docker, type Throwaway, throwaway } from '../support/throwaway-container.js'

const never = new AbortController().signal
const SECRET = 'of the host'

suite('the files of a hostile container', { skip: needs.docker('a'), timeout: 600_000 }, () => {
  let runtime: DockerRuntime
  let container: Throwaway
  let outside: string
  let secret: string
  before(() => {
    runtime = new DockerRuntime({ docker: `unix://${dockerSocketOf('a')}`, log: silentLogger })
    container = throwaway('debian:local', '--tmpfs', '/small:size=64k')
    outside = mkdtempSync(join(tmpdir(), 'outside-'))
    secret = join(outside, 'secret')
    writeFileSync(secret, SECRET)
  })
  after(async () => {
    await runtime.close()
    container?.remove()
    rmSync(outside, { recursive: true, force: true })
  })

  async function open(
    t: TestContext,
    of = container,
  ): Promise<{ files: FileAccess; pid: number; ended: Promise<void>; facts: { capabilities: string; joined: readonly string[] } }> {
    const { stream, pid, ended, facts, close } = await runtime.files(of.id, never)
    t.after(close)
    return { files: await SftpClient.connect({ readable: stream, writable: stream }, { via: 'test' }, never), pid, ended, facts }
  }
  function of(t: TestContext, ...options: string[]): Throwaway {
    const made = throwaway('debian:local', ...options)
    t.after(made.remove)
    return made
  }
  function loop(t: TestContext, script: string): ChildProcess {
    const child = spawn('docker', ['-H', `unix://${dockerSocketOf('a')}`, 'exec', container.id, 'sh', '-c', `while :; do ${script}; done`], { stdio: 'ignore' })
    t.after(() => {
      child.kill()
      container.exec('sh', '-c', 'for p in /proc/[0-9]*; do grep -qs "while :" $p/cmdline && [ ${p#/proc/} != $$ ] && kill -9 ${p#/proc/}; done; true')
    })
    return child
  }
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: unknown): FileErrorCode => {
        assert.ok(error instanceof FileError, String(error))
        return error.code
      },
    )
  const path = (text: string) => Buffer.from(text)

  test('links and dots end at the container’s root', async (t) => {
    const { files } = await open(t)
    const up = '../'.repeat(40)
    assert.equal(await codeOf(get(files, path(secret))), 'NO_SUCH_FILE')
    assert.equal(await codeOf(get(files, path(`/${up}${secret}`))), 'NO_SUCH_FILE')
    assert.equal(await codeOf(get(files, path(`${up}${secret}`))), 'NO_SUCH_FILE')
    container.exec(
      'sh',
      '-c',
      `mkdir -p /links; ln -sfn ${secret} /links/absolute; ln -sfn ${up}${secret} /links/up; ln -sfn ${up} /links/root; ln -sfn ${outside} /links/folder`,
    )
    for (const name of ['absolute', 'up', `root${secret}`, 'folder/secret'])
      assert.equal(await codeOf(get(files, path(`/links/${name}`))), 'NO_SUCH_FILE', name)
    assert.deepEqual(await files.realpath(path('/links/root')), path('/'))
    // a link that leads to nothing creates within the container, or not at all
    assert.equal(await codeOf(put(files, path('/links/folder/new'), 'x')), 'NO_SUCH_FILE')
    assert.deepEqual(readdirSync(outside), ['secret'])
  })

  test('a directory that is swapped for a link while it is used leads nowhere else', async (t) => {
    const { files } = await open(t)
    container.exec(
      'sh',
      '-c',
      `mkdir -p /race/real${outside} && echo inside > /race/real${secret} && ln -sfn ${'../'.repeat(40)} /race/link && cp -r /race/real /race/d`,
    )
    loop(t, 'mv -T /race/d /race/keep; ln -sn /race/link /race/d; rm /race/d; mv -T /race/keep /race/d')
    let seen = 0
    for (let round = 0; round < 3000; round++) {
      const content = await get(files, path(`/race/d${secret}`)).catch(() => undefined)
      if (content) assert.equal(content.toString(), 'inside\n')
      if (content) seen++
      const real = await files.realpath(path(`/race/d${secret}`)).catch(() => undefined)
      if (real) assert.ok(real.toString().startsWith('/race/') || real.toString() === secret, real.toString())
    }
    assert.ok(seen > 0)
  })

  test('devices are not opened, whoever made them', async (t) => {
    const { files, facts } = await open(t)
    container.exec('sh', '-c', 'mkdir -p /dev2 && cd /dev2 && mknod disk b 254 0; mknod mem c 1 1; mknod kmsg c 1 11; mknod null c 1 3; ln -sf mem link')
    for (const name of ['disk', 'mem', 'kmsg', 'null', 'link']) {
      assert.equal(await codeOf(files.open(path(`/dev2/${name}`), READ)), 'NOT_REGULAR', name)
      assert.equal(await codeOf(files.open(path(`/dev2/${name}`), WRITE)), 'NOT_REGULAR', name)
      assert.equal(await codeOf(files.setAttributes(path(`/dev2/${name}`), { size: 0 }, true)), 'NOT_REGULAR', name)
    }
    assert.ok(facts.joined.includes('devices') || facts.joined.includes('unified'), 'the container’s device rules hold as well')
  })

  test('a file that is swapped for a device is never read as one', async (t) => {
    const { files } = await open(t)
    container.exec('sh', '-c', 'mkdir -p /swap && echo fine > /swap/file && mknod /swap/zero c 1 5; mknod /swap/fifo p; true')
    loop(
      t,
      'ln -f /swap/file /swap/t; mv -f /swap/t /swap/x; cp -al /swap/zero /swap/t; mv -f /swap/t /swap/x; cp -al /swap/fifo /swap/t; mv -f /swap/t /swap/x',
    )
    const seen = new Set<string>()
    for (let round = 0; round < 3000; round++) {
      const content = await get(files, path('/swap/x')).catch((error: FileError) => error.code)
      seen.add(content.toString())
    }
    for (const one of seen) assert.ok(['fine\n', 'NOT_REGULAR', 'NO_SUCH_FILE'].includes(one), one)
    assert.ok(seen.has('fine\n') && seen.has('NOT_REGULAR'), [...seen].join())
  })

  test('a FIFO blocks nobody', async (t) => {
    const { files } = await open(t)
    container.exec('sh', '-c', 'rm -f /fifo; mkfifo /fifo')
    assert.equal(await codeOf(files.open(path('/fifo'), READ)), 'NOT_REGULAR')
    assert.equal(await codeOf(files.open(path('/fifo'), WRITE)), 'NOT_REGULAR')
    assert.equal((await files.stat(path('/fifo'))).kind, 'fifo')
  })

  test('the container’s /proc knows nothing of who serves its files', async (t) => {
    const { files } = await open(t)
    for (const name of ['self', 'self/root', 'thread-self', 'self/fd/3', 'self/exe'])
      assert.equal(await codeOf(files.stat(path(`/proc/${name}`))), 'NO_SUCH_FILE', name)
    assert.equal(await codeOf(get(files, path(`/proc/1/root${secret}`))), 'NO_SUCH_FILE')
    assert.equal(await codeOf(get(files, path(`/proc/1/cwd/../../..${secret}`))), 'NO_SUCH_FILE')
    const pids = container.exec('sh', '-c', 'cat /proc/[0-9]*/comm')
    assert.doesNotMatch(pids, /node/)
    const fds = (await entriesOf(files, path('/proc/1/fd'))).length
    assert.ok(fds >= 3)
  })

  test('its capabilities are the container’s, and no other thread has any', async (t) => {
    const { pid } = await open(t)
    const exec = /^CapEff:\s*(\w+)$/m.exec(container.exec('cat', '/proc/self/status'))?.[1] ?? ''
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')
      const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]
      const isMain = task === String(pid)
      assert.equal(field('CapEff'), isMain ? exec : '0000000000000000', task)
      assert.equal(field('CapPrm'), isMain ? exec : '0000000000000000', task)
      assert.equal(field('CapInh'), '0000000000000000')
      assert.equal(field('CapAmb'), '0000000000000000')
      assert.equal(field('Uid')?.split('\t')[1], isMain ? '0' : '65534')
      if (!isMain) continue
      assert.equal(field('CapBnd'), exec)
      assert.equal(field('NoNewPrivs'), '1')
    }
    const limits = docker('inspect', '-f', '{{.State.Pid}}', container.id)
    const group = (of: number | string, name: string) => new RegExp(`^\\d+:${name}:(.*)$`, 'm').exec(readFileSync(`/proc/${of}/cgroup`, 'utf8'))?.[1]
    if (group(limits, 'devices') !== undefined) assert.equal(group(pid, 'devices'), group(limits, 'devices'))
    assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim(), '1000')
  })

  test('without capabilities root can only what root without capabilities can', async (t) => {
    const bare = of(t, '--cap-drop', 'ALL')
    const owned = of(t)
    owned.exec('sh', '-c', 'echo x > /theirs && chown 1000 /theirs && chmod 600 /theirs')
    const { files: able } = await open(t, owned)
    assert.equal((await get(able, path('/theirs'))).toString(), 'x\n')
    const { files, facts } = await open(t, bare)
    assert.equal(facts.capabilities, '0000000000000000')
    await put(files, path('/tmp/mine'), 'x', 0o600)
    assert.equal(await codeOf(files.setAttributes(path('/tmp/mine'), { owner: { uid: 1000, gid: 1000 } }, true)), 'PERMISSION_DENIED')
    await files.setAttributes(path('/tmp/mine'), { mode: 0 }, true)
    assert.equal(await codeOf(get(files, path('/tmp/mine'))), 'PERMISSION_DENIED')
  })

  test('a container’s user is its user, with its groups', async (t) => {
    const { files, pid, facts } = await open(t, of(t, '--user', '1234:2345', '--group-add', '4242'))
    assert.equal(facts.capabilities, '0000000000000000')
    await put(files, path('/tmp/mine'), 'x')
    const { uid, gid } = await files.stat(path('/tmp/mine'))
    assert.deepEqual({ uid, gid }, { uid: 1234, gid: 2345 })
    assert.equal(await codeOf(get(files, path('/etc/shadow'))), 'PERMISSION_DENIED')
    assert.equal(await codeOf(put(files, path('/etc/new'), 'x')), 'PERMISSION_DENIED')
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')
      assert.match(status, /^Uid:\s1234\s1234\s1234\s1234$/m)
      assert.match(status, /^Groups:\s*2345 4242 *$/m)
      assert.match(status, /^CapEff:\s0+$/m)
      assert.match(status, /^CapPrm:\s0+$/m)
    }
    const { files: named } = await open(t, of(t, '--user', 'daemon'))
    await put(named, path('/tmp/mine'), 'x')
    assert.equal((await named.stat(path('/tmp/mine'))).uid, 1)
    assert.equal(named.home.toString(), '/usr/sbin')
  })

  test('a read-only root and a full disk say so', async (t) => {
    const { files } = await open(t, of(t, '--read-only'))
    assert.equal(await codeOf(put(files, path('/tmp/x'), 'x')), 'READ_ONLY')
    const { files: small } = await open(t)
    assert.equal(await codeOf(put(small, path('/small/x'), Buffer.alloc(200_000))), 'NO_SPACE')
  })

  test('a sparse file of 10 GiB is read where it is asked for', async (t) => {
    const { files } = await open(t)
    container.exec('sh', '-c', 'truncate -s 10G /sparse; printf end >> /sparse')
    assert.equal((await files.stat(path('/sparse'))).size, 10 * 2 ** 30 + 3)
    const handle = await files.open(path('/sparse'), READ)
    assert.equal((await handle.read(10 * 2 ** 30, 100)).toString(), 'end')
    await handle.close()
  })

  test('user files that were made to hurt hurt nobody', async (t) => {
    const bad = of(t)
    bad.exec('sh', '-c', 'rm /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s /dev/zero /etc/group')
    const { files } = await open(t, bad)
    assert.equal((await files.stat(path('/'))).kind, 'directory')
  })

  test('it ends with its container', async (t) => {
    const doomed = of(t)
    const { files, pid, ended } = await open(t, doomed)
    const handle = await files.open(path('/etc/hostname'), WRITE)
    doomed.remove()
    await ended
    assert.equal(await codeOf(handle.write(0, Buffer.from('x'))), 'CONNECTION_LOST')
    assert.equal(existsSync(`/proc/${pid}`), false)
    await assert.rejects(runtime.files(doomed.id, never), { code: 'TARGET_GONE' })
  })

  test('it ends when its client leaves', async (t) => {
    const { files, pid, ended } = await open(t)
    await files.close()
    await ended
    assert.equal(existsSync(`/proc/${pid}`), false)
  })
})

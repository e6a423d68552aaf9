/** Files over exec where things go wrong, in a pod of the test's own: read-only root, a small tmpfs at /dev/shm, no shell beside it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import type { FileAccess, FileErrorCode } from '../../src/core/files.js'
import { silentLogger } from '../../src/core/log.js'
import { KubeExecutor } from '../../src/runtime/kube.js'
import { get, put, READ, WRITE } from '../contract/file-access.js'
import { kubeconfigOf, needs } from '../support/need.js'
import { kubeConfig, targetOf } from './support/cluster.js'

const never = new AbortController().signal
const pod = `exec-files-${process.pid}`
const kubectl = (...args: string[]) =>
  execFileSync('kubectl', ['--kubeconfig', kubeconfigOf('a'), ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const inside = (command: string) => kubectl('exec', pod, '-c', 'main', '--', 'sh', '-c', command).trim()
const code = (expected: FileErrorCode) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, expected, String(error))
  return true
}
const path = (name: string) => Buffer.from(`/dev/shm/${name}`)

describe('files over exec', { skip: needs.cluster('a'), timeout: 600_000 }, () => {
  let executor: KubeExecutor
  let files: FileAccess
  before(async () => {
    const main = {
      name: 'main',
      image: 'busybox:local',
      imagePullPolicy: 'Never',
      command: ['sleep', '100000'],
      securityContext: { readOnlyRootFilesystem: true },
    }
    const bare = { name: 'bare', image: 'pause:local', imagePullPolicy: 'Never' }
    const spec = { spec: { nodeName: 'node-a', terminationGracePeriodSeconds: 0, containers: [main, bare] } }
    kubectl('run', pod, '--image=busybox:local', '--restart=Never', `--overrides=${JSON.stringify(spec)}`)
    kubectl('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=300s')
    executor = new KubeExecutor({ clusterName: 'a', kubeconfig: kubeConfig('a'), log: silentLogger })
    files = await executor.files(targetOf('a', 'default', pod, 'main'), never)
  })
  after(async () => {
    await executor?.close()
    kubectl('delete', 'pod', pod, '--force', '--grace-period=0', '--ignore-not-found', '--wait=false')
  })

  test('an image without a shell is refused in one line that names the agent', async () => {
    await assert.rejects(executor.files(targetOf('a', 'default', pod, 'bare'), never), {
      code: 'BAD_REQUEST',
      detail: 'the image has no shell, which files through the API server need; the agent on the node needs nothing (see docs/files.md)',
    })
  })

  test('a read-only file system says so', async () => {
    await assert.rejects(files.open(Buffer.from('/new'), WRITE), code('READ_ONLY'))
    await assert.rejects(files.mkdir(Buffer.from('/new')), code('READ_ONLY'))
    await assert.rejects(files.setAttributes(Buffer.from('/bin'), { mode: 0o700 }, true), code('READ_ONLY'))
  })

  test('a full disk says so, and what was not written is not taken for requests', async () => {
    const big = Buffer.alloc(1024 * 1024, 'x\n')
    const handle = await files.open(path('full'), WRITE)
    const writes = await Promise.allSettled(Array.from({ length: 80 }, (_, index) => handle.write(index * big.length, big)))
    const failed = writes.flatMap((write) => (write.status === 'rejected' ? [write.reason] : []))
    assert.ok(failed.length > 0)
    assert.ok(failed.every(code('NO_SPACE')))
    await assert.rejects(handle.close(), code('NO_SPACE'))
    assert.equal((await files.stat(path('full'))).kind, 'file')
    await files.remove(path('full'))
  })

  test('a FIFO and a link to a device are refused at once', async () => {
    inside('mkfifo /dev/shm/fifo; ln -s /dev/zero /dev/shm/zero')
    for (const name of ['fifo', 'zero']) {
      await assert.rejects(files.open(path(name), READ), code('NOT_REGULAR'))
      await assert.rejects(files.open(path(name), WRITE), code('NOT_REGULAR'))
    }
    assert.equal((await files.lstat(path('fifo'))).kind, 'fifo')
  })

  test('content and names that look like requests stay content and names', async () => {
    const content = `dockin-${'0'.repeat(32)} 1 remove 1\n=/dev/shm/kept\n!EXISTS\n`
    await put(files, path('kept'), content)
    assert.equal((await get(files, path('kept'))).toString(), content)
    const run = 'cd dev; cd shm; touch ran'
    const name = path(`$(${run})\`${run}\`'; ${run} #\n=\\0101%%`)
    await put(files, name, 'x')
    assert.equal((await get(files, name)).toString(), 'x')
    await files.remove(name)
    await assert.rejects(files.stat(path('ran')), code('NO_SUCH_FILE'))
  })

  test('a file that was replaced while it is written is not passed off as whole', async () => {
    const handle = await files.open(path('swapped'), WRITE)
    await handle.write(0, Buffer.from('one'))
    inside('echo other >/dev/shm/new; mv /dev/shm/new /dev/shm/swapped')
    await assert.rejects(handle.write(3, Buffer.from('two')), code('FAILURE'))
    await assert.rejects(handle.close(), code('FAILURE'))
    assert.equal((await get(files, path('swapped'))).toString(), 'other\n')
  })

  test('closing in the middle of a stream leaves no process', async () => {
    const other = await executor.files(targetOf('a', 'default', pod, 'main'), never)
    await put(other, path('long'), Buffer.alloc(20_000_000))
    const handle = await other.open(path('long'), READ)
    const stream = handle.stream?.(0)
    assert.ok(stream)
    await assert.rejects(async () => {
      for await (const chunk of stream) if (chunk.length > 0) await other.close()
    }, code('CONNECTION_LOST'))
    await files.close()
    assert.doesNotMatch(inside('ps -o args'), /dockin-|\bdd\b/)
    files = await executor.files(targetOf('a', 'default', pod, 'main'), never)
  })

  test('an aborted beginning throws the reason', async () => {
    const giveUp = new AbortController()
    const opening = executor.files(targetOf('a', 'default', pod, 'main'), giveUp.signal)
    giveUp.abort(new Error('gone home'))
    await assert.rejects(opening, /gone home/)
  })

  test('a pod that dies in the middle is CONNECTION_LOST', async () => {
    const handle = await files.open(path('dying'), WRITE)
    await handle.write(0, Buffer.from('x'))
    kubectl('delete', 'pod', pod, '--force', '--grace-period=0', '--wait=false')
    await assert.rejects(async () => {
      for (let at = 1; at < 20_000; at++) await handle.write(at, Buffer.from('x'))
    }, code('CONNECTION_LOST'))
    await assert.rejects(handle.close(), code('CONNECTION_LOST'))
  })
})

/** A path that was decided about is opened as it stands: a program in the container that swaps folders for links wins nothing. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { DockerRuntime } from '../../agent/docker.js'
import { type FileAccess, FileError } from '../../src/core/files.js'
import { silentLogger } from '../../src/core/log.js'
import { SftpClient } from '../../src/wire/sftp/client.js'
import { entriesOf, READ, WRITE } from '../contract/file-access.js'
import { dockerSocketOf, needs } from '../support/need.js'
import { type Throwaway, throwaway } from '../support/throwaway-container.js'

const never = new AbortController().signal
const OPENINGS = 1500

suite('a path that is opened literally', { skip: needs.docker('a'), timeout: 300_000 }, () => {
  let runtime: DockerRuntime
  let container: Throwaway
  let files: FileAccess
  before(async () => {
    runtime = new DockerRuntime({ docker: `unix://${dockerSocketOf('a')}`, log: silentLogger })
    container = throwaway('debian:local')
    container.exec(
      'sh',
      '-c',
      'mkdir -p /work/open /work/denied; echo fine >/work/open/f; echo secret >/work/denied/f; ln -s denied /work/link; ln -s f /work/open/l',
    )
    const { stream } = await runtime.files(container.id, never)
    files = await SftpClient.connect({ readable: stream, writable: stream }, { via: 'test' }, never)
  })
  after(async () => {
    await files?.close()
    await runtime.close()
    container?.remove()
  })
  const isLink = (error: unknown) => error instanceof FileError && error.code === 'SYMLINK_LOOP'

  test('leads through no link, on the way or at its end', async () => {
    for (const path of ['/work/link/f', '/work/open/l']) {
      await assert.rejects(files.open(Buffer.from(path), { ...READ, literal: true }), isLink, path)
      await assert.rejects(files.open(Buffer.from(path), { ...WRITE, literal: true }), isLink, path)
      await (await files.open(Buffer.from(path), READ)).close()
    }
    const made = await files.open(Buffer.from('/work/open/new'), { ...WRITE, exclusive: true, literal: true }, { mode: 0o640 })
    await made.close()
    assert.equal((await files.stat(Buffer.from('/work/open/new'))).mode, 0o640)
  })

  test('never leads to the other side of a folder that is swapped for a link all the time', async () => {
    const script = 'cd /work; mkdir swap; echo fine >swap/f; while :; do mv swap real; ln -s denied swap; rm swap; mv real swap; done'
    const racing = spawn('docker', ['-H', `unix://${dockerSocketOf('a')}`, 'exec', container.id, 'sh', '-c', script], { stdio: 'ignore' })
    try {
      const seen = new Map<string, number>()
      const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
      for (let i = 0; i < OPENINGS; i++) {
        try {
          const handle = await files.open(Buffer.from('/work/swap/f'), { ...READ, literal: true })
          count((await handle.read(0, 100)).toString())
          await handle.close()
        } catch (error) {
          count(error instanceof FileError ? error.code : String(error))
        }
      }
      assert.equal(seen.has('secret\n'), false)
      // the race was run: it was met in at least two of its states
      assert.ok(seen.size > 1, JSON.stringify([...seen]))
      assert.ok((await entriesOf(files, Buffer.from('/work/denied'))).length === 1)
    } finally {
      racing.kill()
      await once(racing, 'exit').catch(() => undefined)
      container.exec('sh', '-c', 'for p in /proc/[0-9]*; do grep -qs "mv swap" $p/cmdline && [ ${p#/proc/} != $$ ] && kill -9 ${p#/proc/}; done; true')
    }
  })
})

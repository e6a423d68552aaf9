/** OpenSSH's own sftp against our server, without ssh between: `sftp -D PROGRAM`. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { needs } from '../../support/need.js'

const PROGRAM = join(import.meta.dirname, 'support/stdio-server.ts')
const SMALL_FILES = 2000
const BIG_BYTES = 300 * 1024 * 1024

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

async function until(isDone: () => boolean): Promise<void> {
  for (let tries = 0; !isDone(); tries++) {
    assert.ok(tries < 1500, 'it never came')
    await sleep(20)
  }
}

/** Where a process works; undefined when it has ended. */
function folderOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}

suite('sftp of OpenSSH', { skip: needs.program('sftp'), timeout: 120_000 }, () => {
  function place(t: TestContext): { here: string; there: string; server: string; sftp(...lines: string[]): Promise<string> } {
    const root = mkdtempSync(join(tmpdir(), 'openssh-'))
    t.after(() => rmSync(root, { recursive: true, force: true }))
    const [here, there] = [join(root, 'here'), join(root, 'there')]
    mkdirSync(here)
    mkdirSync(there)
    const server = join(root, 'server.sh')
    writeFileSync(server, `#!/bin/sh\ncd ${there} && exec ${process.execPath} --import ${import.meta.resolve('tsx')} ${PROGRAM}\n`)
    chmodSync(server, 0o755)
    const sftp = async (...lines: string[]) => {
      const batch = join(root, 'batch')
      writeFileSync(batch, `${lines.join('\n')}\n`)
      const { stdout, stderr } = await promisify(execFile)('sftp', ['-q', '-D', server, '-b', batch], { cwd: here, maxBuffer: 64 * 1024 * 1024 })
      return stdout + stderr
    }
    return { here, there, server, sftp }
  }

  test('puts and gets 300 MB that are the same', async (t) => {
    const { here, there, sftp } = place(t)
    const block = randomBytes(1024 * 1024)
    writeFileSync(join(here, 'big'), Buffer.concat(Array.from({ length: BIG_BYTES / block.length }, () => block)))
    await sftp('put big', 'get big back')
    const sums = await Promise.all([join(here, 'big'), join(there, 'big'), join(here, 'back')].map(sha256))
    assert.equal(new Set(sums).size, 1)
  })

  test('puts and gets 2,000 small files', async (t) => {
    const { here, there, sftp } = place(t)
    mkdirSync(join(here, 'small'))
    for (let index = 0; index < SMALL_FILES; index++) writeFileSync(join(here, 'small', `f${index}`), `content of ${index}`)
    await sftp('put -r small', 'get -r small back')
    assert.equal(readdirSync(join(there, 'small')).length, SMALL_FILES)
    for (let index = 0; index < SMALL_FILES; index++) assert.equal(readFileSync(join(here, 'back', `f${index}`), 'utf8'), `content of ${index}`)
  })

  test('lists, renames, links, changes and removes', async (t) => {
    const { here, there, sftp } = place(t)
    writeFileSync(join(here, 'a file'), 'content')
    utimesSync(join(here, 'a file'), 1_000_000_000, 1_200_000_000)
    const out = await sftp(
      'put -p "a file" one',
      'mkdir folder',
      'rename one folder/two',
      'symlink two folder/link',
      'ln folder/two folder/hard',
      'chmod 640 folder/two',
      'ls -la folder',
      'df .',
      'pwd',
      'cd folder',
      'get link ../got',
      '-get none',
      '-mkdir ../folder',
      'rm hard',
    )
    assert.match(out, /-rw-r----- +2 \d+ +\d+ +7 Jan 10 {2}2008 (folder\/)?two/)
    assert.match(out, /lrwxrwxrwx .* (folder\/)?link/)
    assert.match(out, /not found|No such file/)
    assert.match(out, /Failure|File exists/)
    assert.match(out, /\d+%/)
    const { mode, mtimeMs } = statSync(join(there, 'folder/two'))
    assert.deepEqual({ mode: mode & 0o777, mtimeMs }, { mode: 0o640, mtimeMs: 1_200_000_000_000 })
    assert.equal(readlinkSync(join(there, 'folder/link')), 'two')
    assert.equal(existsSync(join(there, 'folder/hard')), false)
    assert.ok(lstatSync(join(there, 'folder/link')).isSymbolicLink())
  })

  test('takes names with newlines, quotes and bytes that are no UTF-8', async (t) => {
    const { here, there, sftp } = place(t)
    mkdirSync(join(here, 'odd'))
    const names = [Buffer.from('new\nline'), Buffer.from('"q\' `x` \\ *'), Buffer.from([0xff, 0xfe, 0x41]), Buffer.from('-rf')]
    for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${here}/odd/`), name]), name)
    await sftp('put -r odd', 'get -r odd back')
    for (const folder of [join(there, 'odd'), join(here, 'back')]) {
      const seen = readdirSync(folder, { encoding: 'buffer' }).map((name) => name.toString('hex'))
      assert.deepEqual(seen.sort(), names.map((name) => name.toString('hex')).sort())
    }
  })

  test('resumes an upload and a download', async (t) => {
    const { here, there, sftp } = place(t)
    const data = randomBytes(3_000_000)
    writeFileSync(join(here, 'whole'), data)
    writeFileSync(join(there, 'whole'), data.subarray(0, 1_234_567))
    writeFileSync(join(here, 'back'), data.subarray(0, 7))
    await sftp('reput whole', 'reget whole back')
    assert.deepEqual(readFileSync(join(there, 'whole')), data)
    assert.deepEqual(readFileSync(join(here, 'back')), data)
  })

  test('a client that is killed in the middle of an upload leaves no server behind', async (t) => {
    const { here, there, server } = place(t)
    writeFileSync(join(here, 'big'), Buffer.alloc(BIG_BYTES))
    writeFileSync(join(here, 'batch'), 'put big\n')
    const client = spawn('sftp', ['-q', '-D', server, '-b', 'batch'], { cwd: here, stdio: 'ignore' })
    const over = once(client, 'exit')
    await until(() => existsSync(join(there, 'big')))
    client.kill('SIGKILL')
    await over
    await until(() => !readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && folderOf(pid) === there))
  })

  test('copies on the server', async (t) => {
    const { there, sftp } = place(t)
    const data = randomBytes(1_000_000)
    writeFileSync(join(there, 'one'), data)
    symlinkSync('one', join(there, 'link'))
    const out = await sftp('copy one two').catch((error: Error) => error.message)
    // an older sftp has no such command
    if (/Invalid command/.test(out)) return t.skip('this sftp has no copy')
    assert.deepEqual(readFileSync(join(there, 'two')), data)
  })
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NodeFiles } from '../../agent/files/node-files.js'
import { type FileAccess, FileError, type FileHandle, type OpenMode } from '../../src/core/files.js'
import { silentLogger } from '../../src/core/log.js'
import type { Identity, Target } from '../../src/core/types.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'
import { type FileEvent, FileJournal } from '../../src/transfer/file-journal.js'
import { VettedFiles } from '../../src/transfer/vetted-files.js'

const identity: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } }
const target: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')

const NONE: OpenMode = { read: false, write: false, append: false, create: false, truncate: false, exclusive: false }
const READ: OpenMode = { ...NONE, read: true }
const PUT: OpenMode = { ...NONE, write: true, create: true, truncate: true }

interface Setup {
  readonly dir: string
  readonly vetted: VettedFiles
  readonly events: FileEvent[]
  readonly told: string[]
  /** Set: the audit cannot be kept. */
  audit: { failing?: string; unavailable?: string }
  path(name: string): Buffer
}
function setup(t: TestContext, rule: object = {}, wrap: (files: FileAccess, dir: string) => FileAccess = (files) => files): Setup {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'dockin-vetted-')))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const filled = JSON.parse(JSON.stringify(rule).replaceAll('DIR', dir)) as object
  const policy = createPolicy(parseRules([{ name: 'r', who: { users: ['*'] }, where: [{ cluster: '*' }], ...filled }]))
  const events: FileEvent[] = []
  const told: string[] = []
  const audit: Setup['audit'] = {}
  const journal = new FileJournal({
    decide: (ask) => policy.decide({ kind: 'transfer', identity, target, door: 'sftp', ...ask }),
    record: async (event) => {
      if (audit.failing !== undefined) throw new Error(audit.failing)
      events.push(event)
    },
    unavailable: () => audit.unavailable,
    tell: (line) => told.push(line),
    log: silentLogger,
  })
  const vetted = new VettedFiles(wrap(new NodeFiles({ via: 'test', home: Buffer.from(dir) }), dir), journal)
  t.after(() => vetted.close())
  return { dir, vetted, events, told, audit, path: (name) => Buffer.from(join(dir, name)) }
}
const refused = (why: RegExp) => (error: unknown) => error instanceof FileError && error.code === 'REFUSED' && why.test(error.message)
const untimed = (event: FileEvent | undefined): object => {
  const { ms, ...rest } = event ?? ({} as FileEvent)
  return rest
}

test('an upload in any order is hashed as it rests; a download by what was read', async (t) => {
  const { vetted, events, path } = setup(t)
  const put = await vetted.open(path('f'), PUT)
  await Promise.all([put.write(5, Buffer.from('world')), put.write(0, Buffer.from('hello'))])
  await put.close()
  await put.close()
  const get = await vetted.open(path('f'), READ)
  assert.equal((await get.read(0, 100)).toString(), 'helloworld')
  await get.close()
  const event = { type: 'file', path: path('f').toString(), bytes: 10, sha256: sha256('helloworld'), verdict: 'allow', rule: 'r' }
  assert.deepEqual(events.map(untimed), [
    { ...event, op: 'upload' },
    { ...event, op: 'download' },
  ])
})
test('what is not read to its end, or left open, is a part', async (t) => {
  const { vetted, events, path, dir } = setup(t)
  writeFileSync(join(dir, 'f'), 'x'.repeat(1000))
  const get = await vetted.open(path('f'), READ)
  await get.read(0, 100)
  await get.close()
  assert.deepEqual([events[0]?.partial, events[0]?.bytes, events[0]?.sha256], [true, 100, sha256('x'.repeat(100))])
  const exact = await vetted.open(path('f'), READ)
  await exact.read(0, 1000)
  await exact.close()
  assert.equal(events[1]?.partial, undefined)
  const put = await vetted.open(path('g'), PUT)
  await put.write(0, Buffer.from('half'))
  await vetted.open(path('h'), PUT)
  await vetted.close()
  assert.deepEqual(
    events.slice(2).map(({ op, bytes, partial }) => [op, bytes, partial]),
    [
      ['upload', 4, true],
      ['upload', 0, true],
    ],
  )
})
test('content that went in twice or is gone on with is hashed by reading it, or said to be unhashed', async (t) => {
  const { vetted, events, path, dir } = setup(t)
  writeFileSync(join(dir, 'f'), 'begin-')
  const resumed = await vetted.open(path('f'), { ...NONE, write: true })
  await resumed.write(6, Buffer.from('end'))
  await resumed.close()
  assert.deepEqual([events[0]?.sha256, events[0]?.bytes, events[0]?.unhashed], [sha256('begin-end'), 3, undefined])
  const twice = await vetted.open(path('g'), PUT)
  await twice.write(0, Buffer.from('aaaa'))
  await twice.write(0, Buffer.from('bb'))
  await twice.close()
  assert.equal(events[1]?.sha256, sha256('bbaa'))
  const holes = await vetted.open(path('sparse'), PUT)
  await holes.write(65 * 1024 * 1024, Buffer.from('x'))
  await holes.close()
  assert.equal(events[2]?.sha256, undefined)
  assert.match(events[2]?.unhashed ?? '', /did not pass from first to last/)
})
test('sizes hold as bytes flow, whatever was declared, and the refused rest is a part', async (t) => {
  const { vetted, events, told, path, dir } = setup(t, { files: { upload: true, download: true, maxUpload: '10B', maxDownload: '10B' }, message: 'ask alice' })
  const put = await vetted.open(path('f'), PUT)
  await put.write(0, Buffer.alloc(10))
  await assert.rejects(put.write(10, Buffer.alloc(1)), refused(/11 B is more than the 10 B that the rule allows per upload; rule r; ask alice/))
  await assert.rejects(put.write(0, Buffer.alloc(1)), refused(/more than/))
  await assert.rejects(put.close(), refused(/more than/))
  assert.deepEqual([events[0]?.verdict, events[0]?.partial, events[0]?.bytes], ['deny', true, 10])
  const sparse = await vetted.open(path('g'), PUT)
  await assert.rejects(sparse.write(1e12, Buffer.alloc(1)), refused(/more than/))
  await assert.rejects(vetted.setAttributes(path('f'), { size: 1000 }, true), refused(/more than/))
  await assert.rejects(vetted.open(path('h'), PUT, undefined, 11), refused(/more than/))
  assert.throws(() => readFileSync(join(dir, 'h')))
  const append = await vetted.open(path('f'), { ...NONE, write: true, append: true })
  await assert.rejects(append.write(0, Buffer.alloc(1)), refused(/11 B/))
  writeFileSync(join(dir, 'big'), Buffer.alloc(11))
  await assert.rejects(vetted.open(path('big'), READ), refused(/per download/))
  writeFileSync(join(dir, 'grows'), Buffer.alloc(5))
  const get = await vetted.open(path('grows'), READ)
  writeFileSync(join(dir, 'grows'), Buffer.alloc(50))
  await assert.rejects(get.read(0, 100), refused(/50 B/))
  assert.ok(told.length >= 3)
})
test('a link does not get around the paths of a rule, nor does a race', async (t) => {
  const rule = { files: { upload: true, download: true, paths: { deny: ['DIR/secret/*'] } } }
  let swap = (): void => undefined
  const { vetted, events, path, dir } = setup(t, rule, (files) => ({
    ...bound(files),
    open: async (...args) => {
      swap()
      return files.open(...args)
    },
  }))
  mkdirSync(join(dir, 'secret'))
  writeFileSync(join(dir, 'secret/key'), 'key')
  mkdirSync(join(dir, 'open'))
  writeFileSync(join(dir, 'open/key'), 'mine')
  symlinkSync('secret', join(dir, 'link'))
  symlinkSync('secret/new', join(dir, 'dangling'))
  const why = refused(/keeps .*secret.* from transfers/)
  for (const name of ['secret/key', 'link/key', 'open/../secret/key', 'open/../link/key', './/secret//key'])
    await assert.rejects(vetted.open(Buffer.from(`${dir}/${name}`), READ), why, name)
  await assert.rejects(vetted.open(path('dangling'), PUT), why)
  await assert.rejects(vetted.stat(path('link/key')), why)
  await assert.rejects(async () => {
    for await (const _ of vetted.list(path('link')));
  }, why)
  await assert.rejects(vetted.rename(path('link/key'), path('open/x'), true), why)
  await assert.rejects(vetted.rename(path('open/key'), path('link/key'), true), why)
  await assert.rejects(vetted.link(path('link/key'), path('open/hard')), why)
  await assert.rejects(vetted.symlink(Buffer.from('../secret/key'), path('open/soft')), why)
  await assert.rejects(vetted.rename(path('.'), Buffer.from(`${dir}-2`), true))
  assert.ok(events.every(({ verdict }) => verdict === 'deny'))
  assert.equal(events.find(({ resolved }) => resolved)?.resolved, join(dir, 'secret/key'))
  // the folder becomes a link between the decision and the open
  swap = () => {
    renameSync(join(dir, 'open'), join(dir, 'moved'))
    symlinkSync('secret', join(dir, 'open'))
    swap = () => undefined
  }
  await assert.rejects(vetted.open(path('open/key'), { ...PUT, create: false }), refused(/was changed while it was opened/))
  assert.equal(readFileSync(join(dir, 'secret/key'), 'utf8'), 'key')
})
test('a folder with denied paths below it stays where it is', async (t) => {
  const { vetted, path, dir } = setup(t, { files: { upload: true, download: true, paths: { deny: ['DIR/a/secret/*'] } } })
  mkdirSync(join(dir, 'a/secret'), { recursive: true })
  mkdirSync(join(dir, 'b'))
  await assert.rejects(vetted.rename(path('a'), path('c'), true), refused(/may hold paths/))
  await vetted.rename(path('b'), path('c'), true)
})
test('while the audit cannot be kept nothing is done, and an upload whose event is lost is no success', async (t) => {
  const { vetted, audit, path, dir } = setup(t)
  const why = refused(/the audit log cannot be kept/)
  const put = await vetted.open(path('f'), PUT)
  audit.failing = 'disk full'
  await assert.rejects(put.close(), why)
  await assert.rejects(vetted.mkdir(path('d')), why)
  await assert.rejects(vetted.remove(path('f')), why)
  assert.equal(readFileSync(join(dir, 'f'), 'utf8'), '')
  audit.unavailable = 'disk full'
  await assert.rejects(vetted.open(path('f'), READ), why)
  await assert.rejects(vetted.stat(path('f')), why)
})
test('a change that the container fails is told as allowed and failed', async (t) => {
  const { vetted, events, path } = setup(t)
  await assert.rejects(vetted.remove(path('nothing')), { code: 'NO_SUCH_FILE' })
  await assert.rejects(vetted.open(path('no/folder'), PUT), { code: 'NO_SUCH_FILE' })
  assert.deepEqual(
    events.map(({ op, verdict, error }) => [op, verdict, error]),
    [
      ['remove', 'allow', undefined],
      ['remove', 'allow', 'NO_SUCH_FILE'],
      ['upload', 'allow', 'NO_SUCH_FILE'],
    ],
  )
})
test('a write that fails leaves no hash and a part', async (t) => {
  const { vetted, events, path } = setup(t, {}, (files) => ({
    ...bound(files),
    open: async (...args) => {
      const handle = await files.open(...args)
      const full: FileHandle = {
        read: (offset, length) => handle.read(offset, length),
        write: async () => {
          throw new FileError('NO_SPACE', 'No space left on device')
        },
        stat: () => handle.stat(),
        setAttributes: (change) => handle.setAttributes(change),
        sync: () => handle.sync(),
        close: () => handle.close(),
      }
      return full
    },
  }))
  const put = await vetted.open(path('f'), PUT)
  await assert.rejects(put.write(0, Buffer.from('x')), { code: 'NO_SPACE' })
  await assert.rejects(put.close(), { code: 'NO_SPACE' })
  assert.deepEqual([events[0]?.partial, events[0]?.error, events[0]?.sha256, events[0]?.bytes], [true, 'NO_SPACE', undefined, 0])
})
test('looks are not told, listings are, and a denied look is told once', async (t) => {
  const { vetted, events, path, dir } = setup(t, { files: { upload: true, download: true, paths: { deny: ['*/secret'] } } })
  writeFileSync(join(dir, 'secret'), '')
  for (let i = 0; i < 5; i++) {
    await vetted.stat(path('.'))
    await assert.rejects(vetted.lstat(path('secret')), refused(/secret/))
  }
  for await (const _ of vetted.list(path('.')));
  assert.deepEqual(
    events.map(({ op, verdict }) => [op, verdict]),
    [
      ['stat', 'deny'],
      ['list', 'allow'],
    ],
  )
})
test('names that are no UTF-8 are told by their bytes too', async (t) => {
  const { vetted, events, dir } = setup(t)
  const name = Buffer.concat([Buffer.from(`${dir}/`), Buffer.of(0x66, 0xff)])
  await (await vetted.open(name, PUT)).close()
  assert.deepEqual([events[0]?.path, events[0]?.pathBase64], [`${dir}/f\ufffd`, name.toString('base64')])
})
test('the files of a session are counted', async (t) => {
  const { vetted, path } = setup(t, { files: { upload: true, maxFiles: 2 } })
  await vetted.open(path('1'), PUT)
  await vetted.open(path('2'), PUT)
  await assert.rejects(vetted.open(path('3'), PUT), refused(/allows 2 files per session/))
})

/** An object whose methods can be replaced one by one. */
function bound(files: FileAccess): FileAccess {
  return {
    via: files.via,
    home: files.home,
    realpath: (path) => files.realpath(path),
    stat: (path) => files.stat(path),
    lstat: (path) => files.lstat(path),
    list: (path) => files.list(path),
    open: (path, mode, change) => files.open(path, mode, change),
    mkdir: (path, change) => files.mkdir(path, change),
    rmdir: (path) => files.rmdir(path),
    remove: (path) => files.remove(path),
    rename: (from, to, replace) => files.rename(from, to, replace),
    symlink: (link, path) => files.symlink(link, path),
    link: (existing, path) => files.link(existing, path),
    readlink: (path) => files.readlink(path),
    setAttributes: (path, change, follow) => files.setAttributes(path, change, follow),
    statvfs: (path) => files.statvfs(path),
    close: () => files.close(),
  }
}

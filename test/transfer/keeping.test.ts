/** Copies of uploads for review: in order, out of order, above the limit, encrypted, and when they cannot be kept. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { NodeFiles } from '../../agent/files/node-files.js'
import { type FileAccess, FileError, type OpenMode } from '../../src/core/files.js'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, Identity, Target } from '../../src/core/types.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'
import { KeptFiles, removeOldCopies } from '../../src/store/kept-files.js'
import { encryptedTapes } from '../../src/store/tape-cipher.js'
import type { TapeFormat } from '../../src/store/tape-format.js'
import { type FileEvent, FileJournal } from '../../src/transfer/file-journal.js'
import { VettedFiles } from '../../src/transfer/vetted-files.js'

const identity: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } }
const target: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
const PUT: OpenMode = { read: false, write: true, append: false, create: true, truncate: true, exclusive: false }
const session = { id: 's1', startedAt: new Date('2026-11-23T10:00:00Z') }
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

function setup(t: TestContext, files: object, format?: TapeFormat) {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'dockin-keep-')))
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), 'dockin-kept-')))
  t.after(() => {
    for (const each of [dir, dataDir]) rmSync(each, { recursive: true, force: true })
  })
  const policy = createPolicy(parseRules([{ name: 'r', who: { users: ['*'] }, where: [{ cluster: '*' }], files: { upload: true, ...files } }]))
  const events: FileEvent[] = []
  const journal = new FileJournal({
    decide: (ask) => policy.decide({ kind: 'transfer', identity, target, door: 'sftp', ...ask }),
    record: async (event) => events.push(event),
    unavailable: () => undefined,
    log: silentLogger,
  })
  const kept = new KeptFiles({ dataDir, ...(format && { format }) })
  let count = 0
  const access: FileAccess = new NodeFiles({ via: 'test', home: Buffer.from(dir) })
  const vetted = new VettedFiles(access, journal, () => kept.begin(session, ++count))
  t.after(() => vetted.close())
  return { dataDir, events, kept, vetted, path: (name: string) => Buffer.from(join(dir, name)) }
}
async function contentOf(kept: KeptFiles, path: string | undefined): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of await kept.open(path ?? '')) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

test('an upload is kept as it passed, and its event says where', async (t) => {
  const { vetted, events, kept, path, dataDir } = setup(t, { keep: '10MiB' })
  const data = randomBytes(1_000_000)
  const handle = await vetted.open(path('f'), PUT)
  for (let at = 0; at < data.length; at += 100_000) await handle.write(at, data.subarray(at, at + 100_000))
  await handle.close()
  const [event] = events
  assert.deepEqual([event?.kept, event?.keptBytes, event?.partial], ['kept/2026/11/23/s1-1.kept.gz', data.length, undefined])
  const file = join(dataDir, event?.kept ?? '')
  assert.equal(event?.keptSha256, sha256(readFileSync(file)))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.deepEqual(await contentOf(kept, event?.kept), data)
  assert.deepEqual(gunzipSync(readFileSync(file)), data)
})

test('no more than the limit of the rule is kept of one upload', async (t) => {
  const { vetted, events, kept, path } = setup(t, { keep: '1KiB' })
  const data = randomBytes(5000)
  const handle = await vetted.open(path('f'), PUT)
  for (let at = 0; at < data.length; at += 700) await handle.write(at, data.subarray(at, at + 700))
  await handle.close()
  assert.equal(events[0]?.keptBytes, 1024)
  assert.deepEqual(await contentOf(kept, events[0]?.kept), data.subarray(0, 1024))
})

test('writing twice, backwards or behind what was there hides nothing: the copy is of what rests', async (t) => {
  const { vetted, events, kept, path } = setup(t, { keep: '1MiB' })
  const twice = await vetted.open(path('twice'), PUT)
  await twice.write(0, Buffer.from('harmless'))
  await twice.write(0, Buffer.from('wicked!!'))
  await twice.close()
  assert.equal((await contentOf(kept, events[0]?.kept)).toString(), 'wicked!!')
  writeFileSync(path('grown'), 'start-')
  const grown = await vetted.open(path('grown'), { ...PUT, truncate: false, append: true })
  await grown.write(0, Buffer.from('more'))
  await grown.close()
  assert.equal((await contentOf(kept, events[1]?.kept)).toString(), 'start-more')
})

test('a part is kept too', async (t) => {
  const { vetted, events, kept, path } = setup(t, { keep: '1MiB' })
  const handle = await vetted.open(path('f'), PUT)
  await handle.write(0, Buffer.from('half of it'))
  await handle.cut?.()
  assert.equal(events[0]?.partial, true)
  assert.equal((await contentOf(kept, events[0]?.kept)).toString(), 'half of it')
})

test('where recordings are encrypted, so are copies', async (t) => {
  const { vetted, events, kept, path, dataDir } = setup(t, { keep: '1MiB' }, encryptedTapes({ fileKey: randomBytes(32) }))
  const handle = await vetted.open(path('f'), PUT)
  await handle.write(0, Buffer.from('a secret that rests'))
  await handle.close()
  assert.match(events[0]?.kept ?? '', /\.kept\.enc$/)
  assert.equal(readFileSync(join(dataDir, events[0]?.kept ?? '')).includes('a secret that rests'), false)
  assert.equal((await contentOf(kept, events[0]?.kept)).toString(), 'a secret that rests')
})

test('an upload whose copy cannot be kept is refused, and told as a part', async (t) => {
  const { vetted, events, path, dataDir } = setup(t, { keep: '1MiB' })
  writeFileSync(join(dataDir, 'kept'), 'a file stands where the folder should be')
  const handle = await vetted.open(path('f'), PUT)
  const isRefused = (error: unknown) => error instanceof FileError && error.code === 'REFUSED' && /cannot be kept/.test(error.message)
  await assert.rejects(handle.write(0, Buffer.from('x')), isRefused)
  await assert.rejects(handle.close(), isRefused)
  assert.deepEqual([events[0]?.error, events[0]?.partial, events[0]?.kept], ['REFUSED', true, undefined])
})

test('a rule that wants no copies costs nothing', async (t) => {
  const { vetted, events, path, dataDir } = setup(t, {})
  const handle = await vetted.open(path('f'), PUT)
  await handle.write(0, Buffer.from('x'))
  await handle.close()
  assert.equal(events[0]?.kept, undefined)
  assert.equal(existsSync(join(dataDir, 'kept')), false)
})

test('copies go when recordings of their day would, each by an event; a name that is no copy is not opened', async (t) => {
  const { vetted, kept, path, dataDir } = setup(t, { keep: '1MiB' })
  const handle = await vetted.open(path('f'), PUT)
  await handle.write(0, Buffer.from('x'))
  await handle.close()
  chmodSync(join(dataDir, 'kept'), 0o700)
  const written: AuditEvent[] = []
  const audit = { write: async (event: AuditEvent) => written.push(event) as never }
  const day = 86_400_000
  const at = (text: string) => () => Date.parse(text)
  assert.equal(await removeOldCopies({ dataDir, audit, maxAgeMs: day, now: at('2026-11-24T12:00:00Z') }), 0)
  assert.equal(await removeOldCopies({ dataDir, audit, maxAgeMs: day, now: at('2026-11-25T12:00:00Z') }), 1)
  assert.deepEqual(
    written.map((event) => event.type === 'admin' && [event.action, event.object]),
    [['kept.removed', 'kept/2026/11/23/s1-1.kept.gz']],
  )
  assert.deepEqual(readdirSync(join(dataDir, 'kept/2026/11/23')), [])
  for (const name of ['kept/2026/11/23/s1-1.kept.gz', '../etc/passwd', 'kept/../audit/x', '/etc/passwd'])
    await assert.rejects(kept.open(name), { code: 'NOT_FOUND' })
})

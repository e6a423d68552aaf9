/** The doors sftp and scp with OpenSSH's own clients. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { needs } from '../support/need.js'
import { rig } from './support/rig.js'

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex')
const skip = needs.program('scp')

/** Both protocols of scp. */
const PROTOCOLS = [
  ['scp', []],
  ['scp -O', ['-O']],
] as const

for (const [name, flags] of PROTOCOLS) {
  describe(name, { skip }, () => {
    test('moves files of all sizes up and down, whole, and one event tells each', async (t) => {
      const { run, home, local, told, events } = await rig(t)
      for (const size of [0, 1, 1024 * 1024, 5_000_000]) {
        const data = Buffer.alloc(size, size.toString())
        writeFileSync(join(local, 'f'), data)
        const up = await run('scp', [...flags, join(local, 'f'), `remote:${home}/up-${size}`])
        assert.deepEqual([up.code, up.stderr], [0, ''])
        assert.ok(readFileSync(join(home, `up-${size}`)).equals(data))
        const down = await run('scp', [...flags, `remote:${home}/up-${size}`, join(local, `down-${size}`)])
        assert.deepEqual([down.code, down.stderr], [0, ''])
        assert.ok(readFileSync(join(local, `down-${size}`)).equals(data))
        const event = { path: `${home}/up-${size}`, bytes: size, verdict: 'allow', rule: 'r', sha256: sha256(data) }
        const { change, ...upload } = told('upload').at(-1) ?? {}
        assert.deepEqual(upload, { ...event, op: 'upload' })
        assert.deepEqual(told('download').at(-1), { ...event, op: 'download' })
      }
      const close = events.filter((event) => event.type === 'session.close').at(-1)
      assert.ok(close?.type === 'session.close')
      assert.deepEqual([close.exit, close.downloads, close.uploads, close.refusals], [0, 1, 0, 0])
    })
    test('keeps modes and times with -p, directories with -r, and odd names', async (t) => {
      const { run, home, local } = await rig(t)
      const tree = join(local, 'tree')
      mkdirSync(join(tree, 'a/b/c'), { recursive: true })
      const names = ['plain', 'with space', "quo'te", 'dollar$x', '*', '-dash', 'tab\there', 'ü', '\\back']
      for (const each of names) writeFileSync(join(tree, 'a', each), each)
      writeFileSync(join(tree, 'a/b/c/deep'), 'deep', { mode: 0o751 })
      chmodSync(join(tree, 'a/b/c/deep'), 0o751)
      utimesSync(join(tree, 'a/b/c/deep'), 1_000_000_000, 1_000_000_001)
      chmodSync(join(tree, 'a/b'), 0o750)
      utimesSync(join(tree, 'a/b'), 1_000_000_000, 1_000_000_002)
      assert.equal((await run('scp', [...flags, '-rp', tree, `remote:${home}/`])).stderr, '')
      assert.equal((await run('scp', [...flags, '-rp', `remote:${home}/tree`, `${local}/back`])).stderr, '')
      for (const root of [join(home, 'tree'), join(local, 'back')]) {
        assert.deepEqual(readdirSync(join(root, 'a')).sort(), ['b', ...names].sort())
        for (const each of names) assert.equal(readFileSync(join(root, 'a', each), 'utf8'), each)
        const { mode, mtimeMs } = statSync(join(root, 'a/b/c/deep'))
        assert.deepEqual([mode & 0o7777, mtimeMs], [0o751, 1_000_000_001_000])
        assert.deepEqual([statSync(join(root, 'a/b')).mode & 0o7777, statSync(join(root, 'a/b')).mtimeMs], [0o750, 1_000_000_002_000])
      }
    })
    test('says what is refused with the rule’s words, and goes on with the rest', async (t) => {
      const rule = { files: { upload: true, download: true, maxUpload: '1KiB', maxDownload: '2KiB', paths: { deny: ['HOME/secret/*'] } }, message: 'ask alice' }
      const { run, home, local, told } = await rig(t, { rule })
      mkdirSync(join(home, 'secret'))
      writeFileSync(join(home, 'secret/key'), 'x')
      symlinkSync(join(home, 'secret'), join(home, 'innocent'))
      for (const path of ['secret/key', 'innocent/key']) {
        const { code, stderr } = await run('scp', [...flags, `remote:${home}/${path}`, `${local}/stolen`])
        assert.notEqual(code, 0)
        assert.match(stderr, /transfer refused: the rule keeps .*secret\/key from transfers; rule r; ask alice/)
        assert.equal(existsSync(join(local, 'stolen')), false)
      }
      writeFileSync(join(local, 'big'), Buffer.alloc(5000))
      writeFileSync(join(local, 'ok'), 'fine')
      const up = await run('scp', [...flags, join(local, 'big'), join(local, 'ok'), `remote:${home}/`])
      assert.notEqual(up.code, 0)
      assert.match(up.stderr, /is more than the 1 KiB that the rule allows per upload; rule r; ask alice/)
      assert.equal(readFileSync(join(home, 'ok'), 'utf8'), 'fine')
      assert.ok(!existsSync(join(home, 'big')) || statSync(join(home, 'big')).size <= 1024)
      const refused = told('upload').filter((event) => event.verdict === 'deny')
      assert.deepEqual(
        refused.map(({ path, rule: by }) => [path, by]),
        [[`${home}/big`, 'r']],
      )
      writeFileSync(join(home, 'large'), Buffer.alloc(3000))
      const down = await run('scp', [...flags, `remote:${home}/large`, `${local}/large`])
      assert.notEqual(down.code, 0)
      assert.match(down.stderr, /is more than the 2 KiB that the rule allows per download/)
    })
    test('reads what is not there, or no file, as an error and not as a hang', async (t) => {
      const { run, home, local } = await rig(t)
      const { code, stderr } = await run('scp', [...flags, `remote:${home}/nothing`, local])
      assert.equal(code, 1)
      assert.match(stderr, /nothing.*No such file/s)
      const folder = await run('scp', [...flags, `remote:${home}`, local])
      assert.equal(folder.code, 1)
      assert.match(folder.stderr, /not a regular file/)
    })
    test('takes patterns of the far side', async (t) => {
      const { run, home, local } = await rig(t)
      for (const name of ['a.log', 'b.log', 'c.txt', '.hidden.log']) writeFileSync(join(home, name), name)
      assert.equal((await run('scp', [...flags, `remote:${home}/*.log`, local])).stderr, '')
      assert.deepEqual(readdirSync(local).sort(), ['a.log', 'b.log'])
    })
  })
}

describe('sftp', { skip: needs.program('sftp') }, () => {
  test('a batch does all it can do, and each change is in the audit before it happened', async (t) => {
    const { run, home, local, told } = await rig(t)
    writeFileSync(join(local, 'f'), 'hello')
    const batch = join(local, 'batch')
    writeFileSync(
      batch,
      `cd ${home}\nmkdir d\nput -p ${local}/f d/f\nrename d/f d/g\nln d/g d/hard\nln -s g d/soft\nchmod 600 d/g\nls -la d\nget d/g ${local}/back\nrm d/hard\nrm d/soft\nrm d/g\nrmdir d\ndf\n`,
    )
    const { code, stderr } = await run('sftp', ['-b', batch, 'remote:'])
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(readFileSync(join(local, 'back'), 'utf8'), 'hello')
    assert.deepEqual(readdirSync(home), [])
    const event = { path: `${home}/d/f`, verdict: 'allow', rule: 'r' }
    assert.deepEqual(told('rename'), [{ ...event, op: 'rename', to: `${home}/d/g` }])
    assert.deepEqual(told('link'), [
      { ...event, op: 'link', path: `${home}/d/hard`, to: `${home}/d/g` },
      { ...event, op: 'link', path: `${home}/d/soft`, to: 'g' },
    ])
    assert.deepEqual(
      told('remove').map(({ path }) => path),
      ['hard', 'soft', 'g', ''].map((name) => `${home}/d${name && `/${name}`}`),
    )
    assert.equal(told('mkdir').length, 1)
    assert.equal(told('list').length >= 1, true)
    assert.equal(told('upload')[0]?.sha256, sha256('hello'))
  })
})

/** A container's folder mounted with sshfs, and used as a folder is used. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rmdir, stat, symlink, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { FileWorld } from '../support/movers.js'
import { needs } from '../support/need.js'
import { run, until } from '../support/world.js'

const PLACES = ['web-0.shop.a', 'tiny-0.default.a'] as const
const BIG_BYTES = 30_000_000
const noFuse = existsSync('/dev/fuse') ? false : 'no /dev/fuse'
const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

for (const target of PLACES) {
  // everything is asked of the mount asynchronously: a call that waits for FUSE would wait for what this process itself must answer
  describe(`sshfs of ${target}`, { skip: needs.program('sshfs') || noFuse || needs.cluster('a') || needs.docker('a'), timeout: 600_000 }, () => {
    const world = new FileWorld()
    const local = mkdtempSync(join(tmpdir(), 'dockin-sshfs-'))
    const mounted = join(local, 'mnt')
    const remote = `/tmp/dockin-sshfs-${process.pid}`
    const login = `alice+${target}`
    const inside = async (command: string): Promise<string> => {
      const { stdout, stderr, code } = await world.ssh(login, command)
      assert.equal(code, 0, stderr)
      return stdout.toString().trim()
    }
    before(async () => {
      const rules = [{ name: 'everything', who: { users: ['alice'] }, where: [{ cluster: '*', namespace: '*' }] }]
      await world.start({ clusters: ['a'], users: world.usersNamed('alice'), rules })
      await inside(`mkdir ${remote}`)
      await mkdir(mounted)
      const options = world.options().flatMap((each, index, all) => (all[index - 1] === '-i' ? ['-o', `IdentityFile=${each}`] : each === '-i' ? [] : [each]))
      const ran = await run('sshfs', [...options, '-p', String(world.sshPort), `${login}@127.0.0.1:${remote}`, mounted])
      assert.equal(ran.code, 0, ran.stderr)
    })
    after(async () => {
      await run('fusermount3', ['-u', '-z', mounted])
      if (world.gateway) await world.ssh(login, `rm -rf ${remote}`)
      await world.stop()
      rmSync(local, { recursive: true, force: true })
    })

    test('lists, reads, writes, renames, links, changes and removes', async () => {
      await inside(`mkdir ${remote}/there; echo hello > ${remote}/there/f; ln -s f ${remote}/there/l`)
      assert.deepEqual((await readdir(join(mounted, 'there'))).sort(), ['f', 'l'])
      assert.equal(await readFile(join(mounted, 'there/l'), 'utf8'), 'hello\n')
      await writeFile(join(mounted, 'here'), 'from here')
      assert.equal(await inside(`cat ${remote}/here`), 'from here')
      const file = await open(join(mounted, 'here'), 'a')
      await file.write(', and more')
      await file.close()
      assert.equal(await inside(`cat ${remote}/here`), 'from here, and more')
      await writeFile(join(mounted, 'other'), 'x')
      await rename(join(mounted, 'other'), join(mounted, 'here'))
      assert.equal(await inside(`cat ${remote}/here`), 'x')
      await truncate(join(mounted, 'here'), 0)
      await chmod(join(mounted, 'here'), 0o640)
      await utimes(join(mounted, 'here'), 1_000_000_000, 1_000_000_001)
      assert.equal(await inside(`stat -c '%a %s %Y' ${remote}/here`), '640 0 1000000001')
      await symlink('here', join(mounted, 'link'))
      assert.equal(await inside(`readlink ${remote}/link`), 'here')
      for (const name of ['link', 'here', 'there/l', 'there/f']) await unlink(join(mounted, name))
      await rmdir(join(mounted, 'there'))
      assert.equal(await inside(`ls -A ${remote}`), '')
      await assert.rejects(readFile(join(mounted, 'here')), { code: 'ENOENT' })
    })

    test('odd names come and go as they are', async () => {
      const names = ['with space', 'new\nline', "quo'te", 'ünï', '*', '-rf']
      for (const name of names) await writeFile(join(mounted, name), name)
      assert.deepEqual((await readdir(mounted)).sort(), [...names].sort())
      for (const name of names) assert.equal(await readFile(join(mounted, name), 'utf8'), name)
      for (const name of names) await unlink(join(mounted, name))
    })

    test(`${BIG_BYTES / 1e6} MB go up and come back, whole, with an event each`, { skip: target === PLACES[1] && 'once is enough' }, async () => {
      const data = randomBytes(BIG_BYTES / 10)
      const source = join(local, 'big')
      await writeFile(source, Buffer.concat(Array.from({ length: 10 }, () => data)))
      await copyFile(source, join(mounted, 'big'))
      const hash = sha256(await readFile(source))
      assert.equal((await inside(`sha256sum ${remote}/big`)).split(' ')[0], hash)
      assert.equal(sha256(await readFile(join(mounted, 'big'))), hash)
      assert.equal((await stat(join(mounted, 'big'))).size, BIG_BYTES)
      await until('the events', () => {
        const ops = world.events().flatMap((event) => (event.type === 'file' && event.path === `${remote}/big` && event.bytes !== undefined ? [event.op] : []))
        return ops.includes('upload')
      })
      await unlink(join(mounted, 'big'))
    })

    test('is let go, and no process is left', async () => {
      assert.equal((await run('fusermount3', ['-u', mounted])).code, 0)
      await until('the session to close', () => {
        const opened = world.events().filter((event) => event.type === 'session.open' && event.door === 'sftp')
        const closed = world.events().filter((event) => event.type === 'session.close' && event.door === 'sftp')
        return opened.length > 0 && closed.length === opened.length
      })
    })
  })
}

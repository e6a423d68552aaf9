/** scp and sftp into containers of a cluster that is reached through its API server only. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { needs } from '../support/need.js'
import { type Ran, run, World } from '../support/world.js'

const ODD = ['new\nline', '"quotes\' `and` $(more); *', '-rf', ' blank ', '한글']
const PLACES = [
  ['Debian', 'web-0.shop.a+web'],
  ['busybox', 'tiny-0.default.a'],
] as const
const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')

describe('files of a cluster without agents', { skip: needs.cluster('a') || needs.program('sftp'), timeout: 900_000 }, () => {
  const world = new World()
  const local = mkdtempSync(join(tmpdir(), 'dockin-exec-files-'))
  before(async () => void (await world.start({ clusters: ['a'], via: 'apiserver' })))
  const remote = `/tmp/exec-files-${process.pid}`
  after(async () => {
    for (const [, target] of PLACES) if (world.gateway) await world.ssh(`alice+${target}`, `rm -rf ${remote}`)
    await world.stop()
    rmSync(local, { recursive: true, force: true })
  })
  const scp = (login: string, ...args: string[]) => run('scp', [...world.options(), '-P', String(world.sshPort), '-o', `User=${login}`, ...args])
  const sftp = (login: string, batch: string) => {
    const file = join(local, 'batch')
    writeFileSync(file, batch)
    return run('sftp', [...world.options(), '-P', String(world.sshPort), '-o', `User=${login}`, '-b', file, '127.0.0.1'])
  }
  const well = ({ code, stderr, stdout }: Ran) => assert.equal(code, 0, `${stderr}${stdout}`)

  for (const [name, target] of PLACES) {
    const login = `alice+${target}`

    test(`${name}: 10 MB by scp, scp -O and sftp, both ways`, async () => {
      const data = randomBytes(10_000_001)
      writeFileSync(join(local, 'f'), data)
      well(await sftp(login, `mkdir ${remote}\nput ${local}/f ${remote}/sftp\nget ${remote}/sftp ${local}/back-sftp\n`))
      for (const [flag, as] of [
        ['-s', 'new'],
        ['-O', 'old'],
      ] as const) {
        well(await scp(login, flag, join(local, 'f'), `127.0.0.1:${remote}/${as}`))
        well(await scp(login, flag, `127.0.0.1:${remote}/${as}`, join(local, `back-${as}`)))
      }
      const { stdout } = await world.ssh(login, `cd ${remote}; sha256sum sftp new old`)
      assert.equal(stdout.toString().split(sha256(data)).length, 4, stdout.toString())
      for (const as of ['sftp', 'new', 'old']) assert.equal(sha256(readFileSync(join(local, `back-${as}`))), sha256(data), as)
    })

    test(`${name}: 200 small files and odd names, both ways`, async () => {
      const many = join(local, `many-${name}`)
      mkdirSync(many)
      for (let index = 0; index < 200; index++) writeFileSync(join(many, `f${index}`), `content ${index}`)
      for (const odd of ODD) writeFileSync(join(many, odd), odd)
      well(await scp(login, '-rp', many, `127.0.0.1:${remote}/many`))
      well(await scp(login, '-rp', `127.0.0.1:${remote}/many`, join(local, `back-${name}`)))
      assert.deepEqual(readdirSync(join(local, `back-${name}`)).sort(), readdirSync(many).sort())
      for (const file of readdirSync(many)) assert.ok(readFileSync(join(many, file)).equals(readFileSync(join(local, `back-${name}`, file))), file)
    })
  }
})

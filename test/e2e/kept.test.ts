/** A copy of an upload, from the client to the auditor who reads it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { needs } from '../support/need.js'
import { repository, run, until, World } from '../support/world.js'

const PASSWORD = 'correct horse battery'

suite('uploads that are kept for review', { skip: needs.program('scp'), timeout: 300_000 }, () => {
  const world = new World()
  const local = mkdtempSync(join(tmpdir(), 'dockin-kept-'))
  const name = `/tmp/dockin-kept-${process.pid}`
  before(async () => {
    const keyFile = join(world.dir, 'recordings.key')
    writeFileSync(keyFile, randomBytes(32), { mode: 0o600 })
    const own = join(world.dir, 'own')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', own])
    const keys = [readFileSync(`${own}.pub`, 'utf8').trim()]
    const password = execFileSync(process.execPath, [join(repository, 'dist/src/main.js'), 'passwd'], { input: `${PASSWORD}\n` })
      .toString()
      .trim()
    await world.start({
      clusters: [],
      via: 'apiserver',
      users: [
        { name: 'alice', groups: ['sre'], keys, password },
        { name: 'audra', roles: ['auditor'], password },
      ],
      rules: [{ name: 'kept', who: { groups: ['sre'] }, where: [{ cluster: '*' }], files: { upload: true, download: true, keep: '1MiB' } }],
      config: { clusters: [{ name: 'here', local: { pods: ['web-0'] } }], recording: { encryption: { keyFile } } },
    })
  })
  after(async () => {
    await world.stop()
    rmSync(local, { recursive: true, force: true })
    rmSync(name, { force: true })
  })
  async function tokenOf(user: string): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${world.httpPort}/api/v1/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, password: PASSWORD }),
    })
    return ((await answer.json()) as { token: string }).token
  }
  const ask = (path: string, token: string) => fetch(`http://127.0.0.1:${world.httpPort}${path}`, { headers: { authorization: `Bearer ${token}` } })

  test('an auditor reads the copy, nobody else does, and the look is an event', async () => {
    const data = randomBytes(300_000)
    writeFileSync(join(local, 'f'), data)
    const login = ['-i', join(world.dir, 'own'), '-P', String(world.sshPort), '-o', 'User=alice+web-0']
    const options = world.options({ keyFile: join(world.dir, 'own') })
    const up = await run('scp', [...options, ...login, join(local, 'f'), `127.0.0.1:${name}`])
    assert.equal(up.code, 0, up.stderr)
    const event = await until('the event', () => world.events().find((each) => each.type === 'file' && each.kept !== undefined))
    assert.ok(event.type === 'file')
    assert.match(event.kept ?? '', /^kept\/\d{4}\/\d{2}\/\d{2}\/.*-1\.kept\.enc$/)
    const rests = readFileSync(join(world.dataDir, event.kept ?? ''))
    assert.equal(createHash('sha256').update(rests).digest('hex'), event.keptSha256)
    const path = `/api/v1/sessions/${event.session}/kept/1`
    const answer = await ask(path, await tokenOf('audra'))
    assert.equal(answer.status, 200, await answer.clone().text())
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), data)
    assert.equal((await ask(path, await tokenOf('alice'))).status, 403)
    assert.equal((await ask(`/api/v1/sessions/${event.session}/kept/2`, await tokenOf('audra'))).status, 404)
    const looks = world.events().filter((each) => each.type === 'admin' && each.action === 'kept.read')
    assert.deepEqual(
      looks.map((each) => each.type === 'admin' && [each.user, each.object, each.session]),
      [['audra', event.kept, event.session]],
    )
  })
})

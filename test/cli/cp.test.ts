import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { dockctlProgram } from '../../src/cli/dockctl-program.js'
import { checkedName, parsePlace } from '../../src/cli/files/place.js'
import { targetText } from '../../src/core/types.js'
import { execRoutes } from '../../src/http/exec.js'
import { fileRoutes } from '../../src/http/files.js'
import { execGateway, identifyByName } from '../http/support/exec-gateway.js'
import { CliRunner } from './support/run.js'

async function world(t: TestContext, user = 'alice') {
  const gateway = await execGateway(t, (parts, { resolver }) => [
    execRoutes(parts),
    fileRoutes(parts),
    (app) => {
      app.get('/api/v1/targets', async (request) => ({
        items: resolver.list(await identifyByName(request.raw)).map((one) => ({ ...one, name: targetText(one.target), address: one.target.pod })),
      }))
    },
  ])
  const cli = await CliRunner.create(t, { DOCKIN_SERVER: gateway.url, DOCKIN_TOKEN: user })
  return { gateway, cli, path: (name: string) => join(cli.dir, name) }
}

test('a file goes up and comes down byte for byte', async (t) => {
  const { cli, path } = await world(t)
  const content = randomBytes(2_000_001)
  await writeFile(path('a.bin'), content, { mode: 0o640 })
  const up = await cli.run(['cp', path('a.bin'), 'web-0:up.bin'])
  assert.deepEqual([up.code, up.stderr], [0, ''])
  const down = await cli.run(['cp', '-p', 'web-0:up.bin', path('back.bin')])
  assert.deepEqual([down.code, down.stderr], [0, ''])
  assert.ok(content.equals(await readFile(path('back.bin'))))
  assert.equal((await stat(path('back.bin'))).mode & 0o777, 0o640)
})

test('an empty file and a folder as destination are what cp makes of them', async (t) => {
  const { cli, path } = await world(t)
  await writeFile(path('empty'), '')
  await mkdir(path('into'))
  assert.equal((await cli.run(['cp', path('empty'), 'web-0:.'])).code, 0)
  assert.equal((await cli.run(['cp', 'web-0:empty', path('into')])).code, 0)
  assert.equal((await stat(path('into/empty'))).size, 0)
})

test('folders go with -r, both ways; what is no file is said and left out; what is there is left alone with --resume', async (t) => {
  const { cli, path } = await world(t)
  await mkdir(path('tree/sub dir'), { recursive: true })
  await writeFile(path('tree/one'), '1')
  await writeFile(path('tree/sub dir/二'), '22')
  await symlink('one', path('tree/link'))
  assert.match((await cli.run(['cp', path('tree'), 'web-0:'])).stderr, /^error: .* is a directory: add -r\n$/)
  const up = await cli.run(['cp', '-r', path('tree'), 'web-0:t'])
  assert.deepEqual([up.code, up.stderr], [1, `skipped ${path('tree/link')}: it is no plain file\n2 files, 3 B\n`])
  const down = await cli.run(['cp', '-r', 'web-0:t', path('back')])
  assert.deepEqual([down.code, down.stderr], [0, '2 files, 3 B\n'])
  assert.equal(await readFile(path('back/sub dir/二'), 'utf8'), '22')
  const resumed = await cli.run(['cp', '-r', '--resume', 'web-0:t/.', path('back')])
  assert.match(resumed.stderr, /^0 files, 0 B; 2 were there already\n$/)
})

test('what is not there and what is refused are one line; nothing half done stays', async (t) => {
  const { cli, path } = await world(t)
  const absent = await cli.run(['cp', 'web-0:/no/such', path('x')])
  assert.deepEqual([absent.code, absent.stderr], [255, 'error: web-0:/no/such: no such file or directory\n'])
  await assert.rejects(stat(path('x')))
  assert.match((await cli.run(['cp', 'a', 'b'])).stderr, /^error: one of the two must be POD:PATH/)
  const { cli: dave } = await world(t, 'dave')
  const refused = await dave.run(['cp', 'web-0:/etc/hostname', path('x')])
  assert.equal(refused.code, 254)
  assert.match(refused.stderr, /^dockin: refused[^\n]*\n$/)
})

test('dockctl cp brings a file to every pod that matches', async (t) => {
  const { cli, path } = await world(t)
  await writeFile(path('conf'), 'x=1\n')
  const ran = await cli.run(['cp', path('conf'), 'web-*:app.conf'], { program: dockctlProgram })
  assert.deepEqual([ran.code, ran.text], [0, '=== 2 pods, exit 0: web-[0,1].default.local\n1 files, 4 B\n'], ran.stderr)
  assert.equal((await cli.run(['cp', 'web-1:app.conf', path('back')])).code, 0)
  assert.equal(await readFile(path('back'), 'utf8'), 'x=1\n')
})

test('places are read as scp reads them', () => {
  assert.deepEqual(parsePlace('web-0.shop:/a:b'), { kind: 'remote', target: 'web-0.shop', path: '/a:b' })
  assert.deepEqual(parsePlace('a/shop/web-0:x'), { kind: 'remote', target: 'a/shop/web-0', path: 'x' })
  assert.deepEqual(parsePlace('web-0+side:'), { kind: 'remote', target: 'web-0+side', path: '.' })
  for (const local of ['./a:b', '/a:b', 'file', '../x:y', ':x']) assert.deepEqual(parsePlace(local), { kind: 'local', path: local })
})

test('no name of a pod leads out of the folder', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constantFrom('..', '.', 'a/../../b', '/etc', 'a\0b', '')), (name) => {
      let checked: string | undefined
      try {
        checked = checkedName(name)
      } catch {
        return
      }
      assert.ok(!checked.includes('/') && checked !== '..' && checked !== '.' && checked !== '' && !checked.includes('\0'))
    }),
  )
})

test('a download that was broken off goes on where it ended, and begins anew when the file has changed since', async (t) => {
  const { cli, path, gateway } = await world(t)
  const content = randomBytes(700_000)
  await writeFile(path('a.bin'), content)
  assert.equal((await cli.run(['cp', path('a.bin'), 'web-0:long.bin'])).code, 0)
  const answer = await fetch(`${gateway.url}/api/v1/files/stat?target=web-0&path=long.bin`, { headers: { authorization: 'Bearer alice' } })
  const { mtime, size } = (await answer.json()) as { mtime: string; size: number }
  assert.equal(size, content.length)
  // what is there already is not what the container has: it shows that only the rest was asked for
  const held = Buffer.alloc(400_000, 'h')
  await writeFile(path(`back.bin.${size}-${Date.parse(mtime)}.dockin-part`), held)
  assert.equal((await cli.run(['cp', '--resume', 'web-0:long.bin', path('back.bin')])).code, 0)
  assert.deepEqual(await readFile(path('back.bin')), Buffer.concat([held, content.subarray(400_000)]))
  await writeFile(path(`other.bin.${size}-1.dockin-part`), held)
  assert.equal((await cli.run(['cp', '--resume', 'web-0:long.bin', path('other.bin')])).code, 0)
  assert.deepEqual(await readFile(path('other.bin')), content)
})

/** Files into and out of containers with the clients that people have, through everything that stands between. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { FileWorld, MOVERS, movedBy } from '../support/movers.js'
import { needs } from '../support/need.js'
import { run, until } from '../support/world.js'

const RULES = [
  {
    name: 'careful',
    who: { users: ['bob'] },
    where: [{ cluster: '*' }],
    files: { upload: true, download: true, maxUpload: '1MiB', paths: { deny: ['/etc/*'] } },
    message: 'ask alice',
  },
  { name: 'readers', who: { users: ['carol'] }, where: [{ cluster: '*' }], files: { download: true } },
  { name: 'everything', who: { users: ['alice'] }, where: [{ cluster: '*', namespace: '*' }] },
]
const sha256Of = async (file: string): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Where the matrix runs: a Debian and a busybox container behind an agent, and a folder of this machine behind the embedded one. */
const PLACES = [
  { name: 'Debian', target: 'web-0.shop.a', skip: needs.cluster('a') || needs.docker('a'), options: { clusters: ['a'] as const } },
  { name: 'busybox', target: 'tiny-0.default.a', skip: needs.cluster('a') || needs.docker('a'), options: { clusters: ['a'] as const } },
  {
    name: 'the demo pod',
    target: 'web-0',
    skip: false as const,
    options: { clusters: [] as const, via: 'apiserver' as const, config: { clusters: [{ name: 'here', local: { pods: ['web-0'] } }] } },
  },
]

for (const { name, target, skip, options } of PLACES) {
  describe(`files of ${name}`, { skip: skip || needs.program('ssh') }, () => {
    const world = new FileWorld()
    const local = mkdtempSync(join(tmpdir(), 'dockin-local-'))
    /** In the container; the folder of this machine is shared with other tests. */
    const remote = `/tmp/dockin-files-${process.pid}-${randomBytes(3).toString('hex')}`
    const login = `alice+${target}`
    const inside = async (command: string): Promise<string> => {
      const { stdout, stderr, code } = await world.ssh(login, command)
      assert.equal(code, 0, stderr)
      return stdout.toString().trim()
    }
    before(async () => {
      await world.start({ ...options, users: world.usersNamed('alice', 'bob', 'carol'), rules: RULES })
      await inside(`mkdir ${remote}`)
    })
    after(async () => {
      if (world.gateway) await world.ssh(login, `rm -rf ${remote}`)
      await world.stop()
      rmSync(local, { recursive: true, force: true })
    })

    for (const mover of MOVERS) {
      for (const bytes of [0, 1, 1024 * 1024]) {
        test(`${mover.name} moves ${bytes} B up and down, whole`, { skip: mover.skip }, async () => {
          const [file, back] = [join(local, 'f'), join(local, 'back')]
          writeFileSync(file, randomBytes(bytes))
          const hash = await sha256Of(file)
          const there = `${remote}/${mover.name.replaceAll(/\W/g, '')}-${bytes}`
          const up = await movedBy(mover, world, login, 'put', file, there)
          assert.equal(up.code, 0, up.stderr)
          assert.equal((await inside(`sha256sum ${there}`)).split(' ')[0], hash)
          const down = await movedBy(mover, world, login, 'get', back, there)
          assert.equal(down.code, 0, down.stderr)
          assert.equal(await sha256Of(back), hash)
          // a download's event rests a little after its answer
          const told = await until('both events', () => {
            const found = world.events().filter((event) => event.type === 'file' && event.path === there && event.bytes !== undefined)
            return found.length >= 2 && found
          })
          assert.deepEqual(
            told.map((event) => event.type === 'file' && [event.op, event.bytes, event.sha256, event.verdict, event.partial, event.user]),
            ['upload', 'download'].map((op) => [op, bytes, hash, 'allow', undefined, 'alice']),
          )
        })
      }
    }
    test('rsync moves a tree, or says in one line that the image has none and what works', { skip: needs.program('rsync') }, async () => {
      const tree = makeTree(join(local, 'rsync-tree'))
      const shell = ['ssh', ...world.options(), '-p', String(world.sshPort), '-l', login].join(' ')
      const up = await run('rsync', ['-a', '-e', shell, `${tree}/`, `127.0.0.1:${remote}/rsync/`])
      if ((await world.ssh(login, 'command -v rsync')).code === 0) {
        assert.equal(up.code, 0, up.stderr)
        const down = await run('rsync', ['-a', '-e', shell, `127.0.0.1:${remote}/rsync/`, join(local, 'rsync-back')])
        assert.equal(down.code, 0, down.stderr)
        sameTree(tree, join(local, 'rsync-back'))
      } else {
        assert.notEqual(up.code, 0)
        assert.match(up.stderr, /^dockin: command not found: the image has no rsync; sftp and scp work without it$/m)
        const direct = await world.ssh(login, 'rsync --server -logDtpre.iLsfxCIvu . /tmp/x')
        assert.equal(direct.code, 127)
      }
    })
    for (const flags of [[], ['-O']]) {
      test(`scp ${flags.join('')} keeps a deep tree of odd names with modes and times`, async () => {
        const tree = makeTree(join(local, `tree${flags.join('')}`))
        const scp = (...args: string[]) => run('scp', [...world.options(), ...flags, '-rp', '-P', String(world.sshPort), '-o', `User=${login}`, ...args])
        const up = await scp(tree, `127.0.0.1:${remote}/tree${flags.join('')}`)
        assert.equal(up.code, 0, up.stderr)
        const down = await scp(`127.0.0.1:${remote}/tree${flags.join('')}`, join(local, `tree-back${flags.join('')}`))
        assert.equal(down.code, 0, down.stderr)
        sameTree(tree, join(local, `tree-back${flags.join('')}`))
      })
    }
    if (name === 'Debian') {
      test('300 MB and 2,000 small files go up and down, whole', async () => {
        const big = join(local, 'big')
        writeFileSync(big, '')
        truncateSync(big, 300_000_000)
        const up = await sftp(world, login, `put ${big} ${remote}/big\nget ${remote}/big ${local}/big-back\n`)
        assert.equal(up.code, 0, up.stderr)
        assert.equal(await sha256Of(join(local, 'big-back')), await sha256Of(big))
        const many = join(local, 'many')
        mkdirSync(many)
        for (let i = 0; i < 2000; i++) writeFileSync(join(many, `f${i}`), `content ${i}`)
        const small = await sftp(world, login, `put -r ${many} ${remote}/\nget -r ${remote}/many ${local}/many-back\n`)
        assert.equal(small.code, 0, small.stderr)
        sameTree(many, join(local, 'many-back'), false)
        await until('an event of each file', () => {
          const whole = world
            .events()
            .filter((event) => event.type === 'file' && event.path.startsWith(`${remote}/many/`) && event.sha256 !== undefined && !event.partial)
          return whole.length === 4000
        })
      })
    }

    for (const mover of MOVERS) {
      test(`${mover.name} reads why the rule refuses`, { skip: mover.skip }, async () => {
        const down = await movedBy(mover, world, `bob+${target}`, 'get', join(local, 'stolen'), '/etc/passwd')
        assert.notEqual(down.code, 0)
        assert.match(down.stderr, /transfer refused: the rule keeps \/etc\/passwd from transfers; rule careful; ask alice/)
        const big = join(local, 'too-big')
        writeFileSync(big, Buffer.alloc(3 * 1024 * 1024))
        const up = await movedBy(mover, world, `bob+${target}`, 'put', big, `${remote}/too-big`)
        assert.notEqual(up.code, 0)
        // paramiko drops what writes and closes are answered, and then compares sizes
        const words = /is more than the 1 MiB that the rule allows per upload; rule careful; ask alice/
        assert.match(up.stderr, mover.name === 'paramiko' ? /size mismatch in put/ : words)
        const reader = await movedBy(mover, world, `carol+${target}`, 'put', big, `${remote}/no`)
        assert.notEqual(reader.code, 0)
        assert.match(reader.stderr, /the rule allows no uploads; rule readers/)
      })
    }
    test('a client that is killed leaves an event of a part, and no process', async () => {
      const big = join(local, 'slow')
      writeFileSync(big, '')
      truncateSync(big, 100_000_000)
      const args = [...world.options(), '-l', '20000', '-P', String(world.sshPort), '-o', `User=${login}`, big, `127.0.0.1:${remote}/slow`]
      const child = spawn('scp', args, { stdio: 'ignore' })
      await until('bytes to have come', async () => Number(await inside(`wc -c < ${remote}/slow || echo 0`)) > 0)
      child.kill('SIGKILL')
      await once(child, 'close')
      const event = await until('the event', () => world.events().find((each) => each.type === 'file' && each.path === `${remote}/slow`))
      assert.ok(event.type === 'file' && event.partial === true && (event.bytes ?? 0) < 100_000_000)
      const parents = [world.gateway, ...world.agents.values()].map(({ child: { pid } }) => pid)
      await until('the children to be gone', () => parents.every((pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() === ''))
    })
  })
}

function sftp(world: FileWorld, login: string, batch: string) {
  const file = join(world.dir, `batch-${randomBytes(4).toString('hex')}`)
  writeFileSync(file, batch)
  return run('sftp', [...world.options(), '-q', '-P', String(world.sshPort), '-o', `User=${login}`, '-b', file, '127.0.0.1'])
}

const ODD_NAMES = ['plain', 'with space', "quo'te", 'dou"ble', 'dollar$x', '*', '-dash', 'tab\there', 'ünï', '\\back', '#hash', '[x]']
function makeTree(root: string): string {
  const deep = join(root, ...'abcdefghij')
  mkdirSync(deep, { recursive: true })
  for (const name of ODD_NAMES) writeFileSync(join(root, 'a', name), name)
  writeFileSync(join(deep, 'bottom'), 'bottom')
  chmodSync(join(deep, 'bottom'), 0o740)
  utimesSync(join(deep, 'bottom'), 1_000_000_000, 1_000_000_001)
  chmodSync(deep, 0o750)
  return root
}
function sameTree(one: string, other: string, exact = true): void {
  const list = (root: string): string[] => (readdirSync(root, { recursive: true }) as string[]).sort()
  assert.deepEqual(list(one), list(other))
  for (const name of list(one)) {
    const [a, b] = [statSync(join(one, name)), statSync(join(other, name))]
    if (exact) assert.deepEqual([a.mode, Math.floor(a.mtimeMs / 1000)], [b.mode, Math.floor(b.mtimeMs / 1000)], name)
    if (a.isFile()) assert.ok(readFileSync(join(one, name)).equals(readFileSync(join(other, name))), name)
  }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, Door, ExecRequest, Identity, StoredEvent, Target } from '../../src/core/types.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'
import { vetLine } from '../../src/policy/vet.js'
import { Approvals } from '../../src/session/approvals.js'
import { Entrance } from '../../src/session/open.js'
import { SessionRegistry } from '../../src/session/registry.js'
import { classifyExec } from '../../src/ssh/door.js'
import { FakeClient, FakeProcess, text } from '../support/ends.js'

const IDENTITY: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 4711 } }
const TARGET: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
const where = [{ cluster: '*', namespace: '*' }]

/** An entrance whose target is always there; the program exits 0 at once. */
function entrance(rule: object, options: { unavailable?: string } = {}) {
  const events: AuditEvent[] = []
  const write = async (event: AuditEvent): Promise<StoredEvent> => {
    events.push(event)
    return { ...event, seq: events.length, time: '', prev: '', hash: '' } as StoredEvent
  }
  const approvals = new Approvals({ audit: { write } })
  const started: ExecRequest[] = []
  const made = new Entrance({
    resolver: { resolve: async () => ({ target: TARGET }), list: () => [] },
    policy: createPolicy(parseRules([{ name: 'r', who: { users: ['bob'] }, where, ...rule }]), vetLine),
    audit: {
      write,
      unavailable: () => options.unavailable,
      close: async () => undefined,
    },
    executor: () => ({
      name: 'fake',
      exec: async (_target, request) => {
        started.push(request)
        const process = new FakeProcess()
        setImmediate(() => process.end(0))
        return process
      },
      close: async () => undefined,
    }),
    interceptors: [],
    registry: new SessionRegistry(),
    approvals,
    pick: async () => undefined,
    onGone: () => () => undefined,
    log: silentLogger,
  })
  const open = async (door: Door, command?: string, env: Record<string, string> = {}) => {
    const client = new FakeClient()
    const words = command === undefined ? undefined : classifyExec(command).words
    await made.open({ door, identity: IDENTITY, address: 'web-0', env, ...(command !== undefined && { command }), ...(words && { words }) }, client)
    const status = await client.finished
    return { code: status.kind === 'exited' ? status.code : -1, stderr: await text(client.stderr) }
  }
  return { events, started, open, entrance: made, approvals }
}

test('an exec runs only after session.open and command are at rest, and leaves its exit', async () => {
  const { open, events, started } = entrance({})
  assert.deepEqual(await open('exec', 'true'), { code: 0, stderr: '' })
  assert.equal(started.length, 1)
  assert.deepEqual(
    events.map(({ type }) => type),
    ['session.open', 'command', 'session.start', 'command.exit', 'session.close'],
  )
})
test('a refused line starts nothing, exits 254 and says the rule and its message', async () => {
  const { open, started, events } = entrance({ commands: { deny: ['rm'] }, message: 'ask alice' })
  const { code, stderr } = await open('exec', 'rm -rf x')
  assert.deepEqual([code, started.length], [254, 0])
  assert.match(stderr, /^dockin: command refused: .*rm.*rule r; ask alice\n$/)
  assert.ok(events.some((event) => event.type === 'command' && event.verdict === 'deny'))
})
test('an exec line that needs approval waits, says whom for, and runs once another person has said yes', async () => {
  const { open, started, events, approvals } = entrance({ commands: { approve: ['reboot'], approvers: { groups: ['leads'] } } })
  const asked = new Promise<void>((resolve) => approvals.onChange(() => approvals.list().length > 0 && resolve()))
  const run = open('exec', 'reboot now')
  await asked
  assert.deepEqual([started.length, events.filter(({ type }) => type === 'command').length], [0, 0])
  await approvals.decide(approvals.list()[0]?.id ?? '', { ...IDENTITY, user: 'lea', groups: ['leads'] }, 'approve', 'ok')
  const { code, stderr } = await run
  assert.deepEqual([code, started.length], [0, 1])
  assert.match(stderr, /^dockin: this line waits for approval \(reboot: this rule asks another person about reboot\), asked of group leads/)
  const command = events.find((event) => event.type === 'command')
  assert.ok(command?.type === 'command')
  assert.deepEqual([command.verdict, command.approver, command.note], ['approved', 'lea', 'ok'])
})
test('an exec line that is refused by the person asked, or that asks for a confirmation, runs nothing', async () => {
  const { open, started, events, approvals } = entrance({ commands: { confirm: ['halt'], approve: ['reboot'] } })
  const asked = new Promise<void>((resolve) => approvals.onChange(() => approvals.list().length > 0 && resolve()))
  const run = open('exec', 'reboot')
  await asked
  await approvals.decide(approvals.list()[0]?.id ?? '', { ...IDENTITY, user: 'ann', roles: ['user', 'admin'] }, 'refuse', 'not now')
  const { code, stderr } = await run
  assert.equal(code, 254)
  assert.match(stderr, /ann refused: not now/)
  const confirmed = await open('exec', 'halt')
  assert.equal(confirmed.code, 254)
  assert.match(confirmed.stderr, /to confirm it, enter the line in a shell/)
  assert.equal(started.length, 0)
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'command' ? [event.verdict] : [])),
    ['refused', 'refused'],
  )
})
test('no rule, no session', async () => {
  const { open, started } = entrance({ doors: ['sftp'] })
  assert.equal((await open('exec', 'true')).code, 254)
  assert.equal(started.length, 0)
})
test('while the audit cannot be kept nothing starts', async () => {
  const { open, started } = entrance({}, { unavailable: 'disk full' })
  const { code, stderr } = await open('exec', 'true')
  assert.deepEqual([code, started.length], [254, 0])
  assert.match(stderr, /audit/)
})
test('rsync runs without a shell, and only under rules that it can be held to', async () => {
  const FREE = { upload: true, download: true }
  const PUSH = 'rsync --server -logDtpre.iLsfxCIvu . /tmp/x'
  const PULL = 'rsync --server --sender -logDtpre.iLsfxCIvu . /tmp/x'
  const TABLE: readonly (readonly [files: object | undefined, line: string, refusal?: RegExp])[] = [
    [undefined, PUSH],
    [FREE, PULL],
    [{ download: true }, PULL],
    [{ download: true }, PUSH, /the rule allows no uploads/],
    [{ upload: true }, PUSH],
    [{ upload: true }, PULL, /the rule allows no downloads/],
    [{ download: true }, 'rsync --server --sender -re.L --remove-source-files . /tmp/x', /would remove/],
    [{ ...FREE, paths: { deny: ['/etc/*'] } }, PULL, /limits files \(paths\).*use sftp or scp/],
    [{ ...FREE, maxUpload: '1MiB' }, PUSH, /limits files \(maxUpload\)/],
    [{ ...FREE, maxFiles: 3 }, PULL, /limits files \(maxFiles\)/],
  ]
  for (const [files, line, refusal] of TABLE) {
    const { open, started } = entrance(files ? { files } : {})
    const { code, stderr } = await open('rsync', line)
    if (refusal) {
      assert.deepEqual([code, started.length], [254, 0], line)
      assert.match(stderr, /^dockin: transfer refused: .*; rule r\n$/)
      assert.match(stderr, refusal)
    } else {
      assert.deepEqual([code, started[0]?.argv], [0, line.split(' ')], stderr)
    }
  }
})
test('rsync’s far side is held to the rule’s files at the doors that take it for a command, and refused in a longer line', async () => {
  const PUSH = 'rsync --server -logDtpre.iLsfxCIvu . /tmp/x'
  const PULL = "/usr/bin/rsync --server --sender -re.L . '/tmp/a b'"
  const TABLE: readonly (readonly [files: object | undefined, line: string, refusal?: RegExp])[] = [
    [undefined, `cd /tmp; ${PUSH}`],
    [{ upload: true, download: true }, `cd /tmp; ${PUSH}`],
    [{ download: true }, PULL],
    [{ download: true }, 'rsync --version'],
    [{ download: true }, 'cat notes-on-rsync --server-x'],
    [{ download: true }, PUSH, /the rule allows no uploads/],
    [{ upload: true }, PULL, /the rule allows no downloads/],
    [{ upload: true, download: true, maxUpload: '1MiB' }, PUSH, /limits files \(maxUpload\)/],
    [{ download: true }, `cd /tmp; ${PULL}`, /in a longer line/],
    [{ download: true }, 'r"syn"c --ser\\ver -re.L . "$HOME"', /in a longer line/],
    [{ download: true }, `${PULL}\n${PUSH}`, /in a longer line/],
    [{ download: true }, "sh -c 'rsync --server -re.L . /tmp'", /in a longer line/],
    [{ download: true }, 'rsync --server --sender -re.L --rsh=sh . /x', /option --rsh=sh/],
  ]
  for (const door of ['exec', 'http', 'ws', 'batch'] as const) {
    for (const [files, line, refusal] of TABLE) {
      const { open, started } = entrance(files ? { files } : {})
      const { code, stderr } = await open(door, line)
      assert.deepEqual([code, started.length], refusal ? [254, 0] : [0, 1], `${door} ${line} ${stderr}`)
      if (refusal) assert.match(stderr, refusal)
    }
  }
})
test('sftp and scp are refused at once by a rule under which nothing can be moved, and where no way leads to files', async () => {
  for (const [door, command] of [['sftp'], ['scp', 'scp -f x']] as const) {
    const refused = await entrance({ files: { upload: false } }).open(door, command)
    assert.deepEqual([refused.code, refused.stderr], [254, 'dockin: transfer refused: the rule allows no transfers; rule r\n'])
    const listed = await entrance({ commands: { allow: ['ls'] } }).open(door, command)
    assert.equal(listed.code, 254)
    const unserved = await entrance({}).open(door, command)
    assert.equal(unserved.code, 255)
    assert.match(unserved.stderr, /^dockin: .*files are not served on the way to this cluster/)
  }
})
test('a vetted line runs in the directory and the encoding for which it was vetted', async () => {
  const { open, started } = entrance({ commands: { allow: ['echo'] } })
  await open('exec', 'echo x', { LC_ALL: 'zh_CN.GBK', LANG: 'de_DE.UTF-8', TZ: ':/etc/passwd' })
  const { argv = [], cwd, env } = started[0] ?? {}
  assert.deepEqual([cwd, env, argv.filter((word) => /^(LANG|LC_|TZ)/.test(word))], ['/', {}, ['LANG=de_DE.UTF-8']])
  assert.ok(argv.includes('GIT_PAGER=cat') && argv.includes('LESSSECURE=1'))
  const plain = entrance({})
  await plain.open('exec', 'echo x', { LC_ALL: 'zh_CN.GBK' })
  assert.deepEqual([plain.started[0]?.cwd, plain.started[0]?.env], [undefined, { LC_ALL: 'zh_CN.GBK' }])
})
test('a draining entrance refuses with a reason', async () => {
  const { open, entrance: made } = entrance({})
  made.drain()
  const { code, stderr } = await open('exec', 'true')
  assert.equal(code, new OpsError('DRAINING', '').exit)
  assert.match(stderr, /shutting down/)
})

import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dockctlProgram } from '../../src/cli/dockctl-program.js'
import { targetText } from '../../src/core/types.js'
import { execRoutes } from '../../src/http/exec.js'
import { type ExecGateway, execGateway, identifyByName } from '../http/support/exec-gateway.js'
import { CliRunner, FakeTerminal, type RanCli } from './support/run.js'

const program = dockctlProgram

async function world(t: TestContext, user = 'alice'): Promise<{ gateway: ExecGateway; cli: CliRunner; run: (...args: string[]) => Promise<RanCli> }> {
  const gateway = await execGateway(t, (parts, { resolver }) => [
    execRoutes(parts),
    (app) => {
      app.get('/api/v1/targets', async (request) => ({
        items: resolver.list(await identifyByName(request.raw)).map((one) => ({ ...one, name: targetText(one.target), address: one.target.pod })),
      }))
    },
  ])
  const cli = await CliRunner.create(t, { DOCKIN_SERVER: gateway.url, DOCKIN_TOKEN: user })
  return { gateway, cli, run: (...args) => cli.run(args, { program }) }
}

test('a command runs in every pod that matches, equal results are shown once', async (t) => {
  const { run, gateway } = await world(t)
  const ran = await run('exec', 'web-*', '--', 'echo', 'hello')
  assert.equal(ran.code, 0, ran.stderr)
  assert.equal(ran.text, '=== 2 pods, exit 0: web-[0,1].default.local\nhello\n')
  assert.match(ran.stderr, /^2 pods: 2 succeeded \(batch b-[\d-]+-[0-9a-f]{6}, [\d.]+ s\)\n$/)
  const batch = /batch (\S+),/.exec(ran.stderr)?.[1]
  const opened = gateway.events.filter((event) => event.type === 'session.open')
  assert.deepEqual(
    opened.map((event) => [event.door, Reflect.get(event, 'batch')]),
    [
      ['batch', batch],
      ['batch', batch],
    ],
  )
})

test('different exit codes and refusals are each said, and the exit code is the gravest', async (t) => {
  const { run } = await world(t)
  const ran = await run('exec', '*', '--', 'sh', '-c', 'case $PWD in *web-1*) exit 4;; esac')
  assert.equal(ran.code, 4)
  assert.match(ran.text, /=== 2 pods, exit 0: .*\n=== exit 4: web-1.default.local\n/)
})

test('a refused command is 254, by the rule of each pod', async (t) => {
  const { run } = await world(t, 'bob')
  const ran = await run('exec', 'web-*', '--', 'rm', '-rf', '/tmp/none')
  assert.equal(ran.code, 254)
  assert.match(ran.text, /^=== 2 pods, refused: command refused: rm[^\n]*: web-\[0,1\]/)
})

test('a selector that matches nothing, too much, or is none: one line, and nothing runs', async (t) => {
  const { run, gateway } = await world(t)
  const nothing = await run('exec', 'nope-*', '--', 'true')
  assert.deepEqual([nothing.code, nothing.stderr], [255, 'error: no pod that you may see matches "nope-*"\n'])
  const many = await run('exec', '*', '--max', '2', '--', 'true')
  assert.match(many.stderr, /^error: 3 pods match, and at most 2 are touched at once: narrow the selector, or say --max 3\n$/)
  assert.match((await run('exec', '*')).stderr, /^error: name the command behind --/)
  assert.equal(gateway.events.length, 0)
})

test('a time limit ends the program in the pod and says so', async (t) => {
  const { run } = await world(t)
  const ran = await run('exec', 'web-0', '--timeout', '300ms', '--', 'sleep', '60')
  assert.equal(ran.code, 255)
  assert.match(ran.text, /=== timed out: still running after 300 ms/)
})

test('--dry-run names the pods and runs nothing', async (t) => {
  const { run, gateway } = await world(t)
  const ran = await run('exec', 'local/*/web-*', '--dry-run', '--', 'rm', 'x')
  assert.deepEqual([ran.code, ran.text], [0, 'web-0.default.local\nweb-1.default.local\n'])
  assert.equal(gateway.events.length, 0)
})

test('JSON and JUnit hold every pod', async (t) => {
  const { run, cli } = await world(t)
  const file = join(cli.dir, 'junit.xml')
  const ran = await run('exec', 'web-*', '-o', 'json', '--junit', file, '--', 'sh', '-c', 'echo "$0"; exit 1')
  const report = JSON.parse(ran.text)
  assert.deepEqual([ran.code, report.exit, report.results.length, report.counts.nonZero], [1, 1, 2, 2])
  assert.match(await readFile(file, 'utf8'), /tests="2" failures="2"/)
})

test('output beyond the limit is cut and said', async (t) => {
  const { run } = await world(t)
  const ran = await run('exec', 'web-0', '--max-output', '10B', '--', 'echo', '0123456789abcdef')
  assert.match(ran.text, /exit 0, output cut: web-0.*\n0123456789\n/)
})

test('control sequences of a program do not reach the terminal; its colours do, and end', async (t) => {
  const { cli } = await world(t)
  const ran = await cli.run(['exec', 'web-0', '--', 'printf', '\\033]52;c;eA==\\007\\033[31mred\\033[2J\\n'], { program, columns: 80, env: { NO_COLOR: '1' } })
  assert.equal(ran.text, '=== exit 0: web-0.default.local\n\x1b[31mred\n\x1b[0m')
})

test('the canary is shown and asked about; no leaves the rest not started, and the batch can be resumed', async (t) => {
  const { cli, gateway } = await world(t)
  const terminal = new FakeTerminal()
  const code = cli.at(terminal, ['exec', '*', '--canary', '1', '--', 'echo', 'done'], { program })
  await terminal.until('Go on with the other 2?')
  terminal.type('n\n')
  assert.equal(await code, 255)
  assert.match(terminal.shown, /2 pods, not started: not confirmed after the canary/)
  const batch = /--resume (\S+)/.exec(terminal.shown)?.[1] ?? ''
  assert.equal(gateway.events.filter((event) => event.type === 'session.open').length, 1)
  const resumed = await cli.run(['exec', '--resume', batch], { program })
  assert.equal(resumed.code, 0, resumed.stderr)
  assert.match(resumed.text, /=== 3 pods, exit 0/)
  assert.equal(gateway.events.filter((event) => event.type === 'session.open').length, 3)
  assert.match((await cli.run(['exec', '--resume', batch], { program })).stderr, /no batch .* is waiting/)
})

test('a batch that was killed is resumed without running anything twice', async (t) => {
  const { cli, gateway } = await world(t)
  const dir = join(cli.dir, '.local/state/dockin/batches')
  await cli.run(['exec', '--resume', 'b-1'], { program })
  const plan = {
    version: 1,
    batch: 'b-1',
    command: ['echo', 'x'],
    startedAt: new Date().toISOString(),
    items: ['web-0', 'web-1', 'db-0'].map((pod) => `local/default/${pod}`),
  }
  const lines = [plan, { start: plan.items[0] }, { id: plan.items[0], kind: 'exited', exit: 0, ms: 1, stdout: 'x\n', stderr: '' }, { start: plan.items[1] }]
  await writeFile(join(dir, 'b-1.ndjson'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 })
  const ran = await cli.run(['exec', '--resume', 'b-1'], { program })
  assert.equal(ran.code, 255)
  assert.match(ran.text, /=== 2 pods, exit 0: .*\nx\n=== interrupted: it was running when the batch was interrupted, and may have run/)
  assert.equal(gateway.events.filter((event) => event.type === 'session.open').length, 1)
  const again = await cli.run(['exec', '--resume', 'b-1', '--rerun-interrupted'], { program })
  assert.equal(again.code, 0, again.stderr)
  assert.deepEqual(await readdir(dir), [])
})

test('Ctrl-C once starts no more and lets what runs end; twice ends it', async (t) => {
  const { cli, gateway } = await world(t)
  const once = cli.run(['exec', '*', '--parallel', '1', '--', 'sh', '-c', 'sleep 0.5; echo end'], { program })
  await gateway.event('session.open')
  process.emit('SIGINT')
  const first = await once
  assert.equal(first.code, 255)
  assert.match(first.text, /=== exit 0: db-0.*\nend\n=== 2 pods, not started: stopped by Ctrl-C/)
  const sessions = gateway.events.filter((event) => event.type === 'session.close').length
  const twice = cli.run(['exec', 'web-0', '--', 'sleep', '60'], { program })
  await gateway.event('command', (event) => /sleep 60/.test(event.line ?? ''))
  process.emit('SIGINT')
  process.emit('SIGINT')
  const second = await twice
  assert.match(second.text, /=== interrupted: stopped by Ctrl-C; it may have run in part/)
  await gateway.event('session.close', () => gateway.events.filter((event) => event.type === 'session.close').length > sessions)
})

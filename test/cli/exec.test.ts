import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { wsExec } from '../../src/http/ws-exec.js'
import { upgradeRoutes } from '../../src/http/ws-upgrades.js'
import { type ExecGateway, execGateway } from '../http/support/exec-gateway.js'
import { CliRunner, FakeTerminal } from './support/run.js'

async function world(t: TestContext, user = 'alice'): Promise<{ gateway: ExecGateway; cli: CliRunner }> {
  const gateway = await execGateway(t, (parts) => [upgradeRoutes([wsExec(parts, { isOwnOrigin: () => false })], silentLogger)])
  return { gateway, cli: await CliRunner.create(t, { DOCKIN_SERVER: gateway.url, DOCKIN_TOKEN: user }) }
}

test('exec keeps the two outputs apart and exits with the code of the program', async (t) => {
  const { cli } = await world(t)
  const ran = await cli.run(['exec', 'web-0', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'])
  assert.deepEqual({ ...ran, stdout: undefined }, { code: 7, text: 'out\n', stderr: 'err\n', stdout: undefined })
})

test('exec -i passes input on, to its end', async (t) => {
  const { cli } = await world(t)
  const input = Buffer.alloc(3 * 1024 * 1024, 'x')
  const ran = await cli.run(['exec', '-i', 'web-0', '--', 'wc', '-c'], { input })
  assert.equal(ran.stderr, '')
  assert.equal(ran.text.trim(), String(input.length))
})

test('exec without -i gives the program no input', async (t) => {
  const { cli } = await world(t)
  assert.deepEqual((await cli.run(['exec', 'web-0', '--', 'cat'], { input: 'nothing of this' })).text, '')
})

test('exec brings large binary output whole', async (t) => {
  const { cli } = await world(t)
  const ran = await cli.run(['exec', 'web-0', '--', 'head', '-c', '20000000', '/dev/zero'])
  assert.equal(ran.code, 0)
  assert.equal(ran.stdout.length, 20_000_000)
})

test('binary output on a terminal is not shown, and said', async (t) => {
  const { cli } = await world(t)
  const ran = await cli.run(['exec', 'web-0', '--', 'head', '-c', '1000', '/dev/zero'], { columns: 80 })
  assert.equal(ran.stdout.length, 0)
  assert.match(ran.stderr, /^warning: the output is binary/)
})

test('a refused command is 254 and one line that says which rule', async (t) => {
  const { cli } = await world(t, 'bob')
  const ran = await cli.run(['exec', 'web-0', '--', 'rm', '-r', '/tmp/x'])
  assert.equal(ran.code, 254)
  assert.match(ran.stderr, /^dockin: [^\n]*rm[^\n]*\n$/)
})

test('what does not run is 127, an unknown pod and a bad login 255, each in one line', async (t) => {
  const { cli } = await world(t)
  assert.equal((await cli.run(['exec', 'web-0', '--', 'no-such-program'])).code, 127)
  const unknown = await cli.run(['exec', 'web-9', '--', 'true'])
  assert.equal(unknown.code, 255)
  assert.match(unknown.stderr, /^dockin: no such target[^\n]*\n$/)
  const stranger = await cli.run(['exec', 'web-0', '--', 'true'], { env: { DOCKIN_TOKEN: '!' } })
  assert.equal(stranger.code, 255)
  assert.match(stranger.stderr, /^dockin: [^\n]*log[^\n]*in[^\n]*\n$/)
})

test('a program that a signal ends gives 128 and its number', async (t) => {
  const { cli } = await world(t)
  assert.equal((await cli.run(['exec', 'web-0', '--', 'sh', '-c', 'kill -TERM $$'])).code, 143)
})

test('a gateway that is not there is said in one line', async (t) => {
  const cli = await CliRunner.create(t, { DOCKIN_SERVER: 'http://127.0.0.1:1', DOCKIN_TOKEN: 'x' })
  const ran = await cli.run(['exec', 'web-0', '--', 'true'])
  assert.deepEqual([ran.code, ran.stderr], [255, 'dockin: cannot reach http://127.0.0.1:1: connection refused\n'])
})

test('ssh is a terminal: raw mode, the size of ours, its changes, the exit code; and the terminal is given back', async (t) => {
  const { cli } = await world(t)
  const terminal = new FakeTerminal()
  const code = cli.at(terminal, ['ssh', 'web-0'])
  terminal.type('stty size; echo "ready"-one\r')
  assert.match(await terminal.until('ready-one'), /24 80/)
  Object.assign(terminal.stdout, { columns: 101, rows: 33 })
  terminal.stdout.emit('resize')
  terminal.type('stty size; echo "ready"-two\r')
  assert.match(await terminal.until('ready-two'), /33 101/)
  terminal.type('exit 3\r')
  assert.equal(await code, 3)
  assert.deepEqual(terminal.stdin.raw, [true, false])
})

test('~? helps and ~. leaves with 255, right after Enter only', async (t) => {
  const { cli, gateway } = await world(t)
  const terminal = new FakeTerminal()
  const code = cli.at(terminal, ['ssh', 'web-0'])
  terminal.type('echo a~."b"\r')
  await terminal.until('a~.b')
  terminal.type('\r~?')
  await terminal.until('Supported escape sequences')
  terminal.type('\r~.')
  assert.equal(await code, 255)
  assert.match(terminal.shown, /Connection closed/)
  assert.deepEqual(terminal.stdin.raw, [true, false])
  await gateway.event('session.close')
})

test('exec -it has no escape keys and Ctrl-C goes to the program', async (t) => {
  const { cli } = await world(t)
  const terminal = new FakeTerminal()
  const code = cli.at(terminal, ['exec', '-it', 'web-0', '--', 'sh', '-c', 'trap "echo caught; exit 9" INT; echo up; while :; do sleep 0.1; done'])
  await terminal.until('up')
  terminal.type('\r~.\x03')
  await terminal.until('caught')
  assert.notEqual(await code, 255)
})

test('a session that is refused leaves the terminal as it was', async (t) => {
  const { cli } = await world(t, 'dave')
  const terminal = new FakeTerminal()
  assert.equal(await cli.at(terminal, ['ssh', 'web-0']), 254)
  assert.deepEqual(terminal.stdin.raw, [true, false])
  assert.match(terminal.shown, /^dockin: refused/m)
})

test('unknown flags, commands and missing words are one line with a suggestion, exit 2', async (t) => {
  const { cli } = await world(t)
  const lines = await Promise.all(
    [['exce', 'web-0'], ['exec', '--stdni', 'web-0', '--', 'x'], ['exec'], ['exec', 'web-0'], ['exec', 'a/b/c/d/e', '--', 'x']].map((args) => cli.run(args)),
  )
  assert.deepEqual(
    lines.map(({ code }) => code),
    [2, 2, 2, 2, 2],
  )
  for (const { stderr } of lines) assert.match(stderr, /^error: [^\n]+\n$/)
  assert.match(lines[0]?.stderr ?? '', /unknown command 'exce' \(did you mean exec\?\)/)
  assert.match(lines[1]?.stderr ?? '', /did you mean --stdin\?/)
})

/** The embedded default: no cluster, no docker, no Redis. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { needs } from '../support/need.js'
import { type Running, run, startProgram, stopProgram, until } from '../support/world.js'

interface Demo {
  readonly ssh: string
  readonly users: { name: string; keyFile: string; password: string; role: string; command: string }[]
  readonly targets: string[]
}

describe('opserver --demo', { skip: needs.program('ssh') }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-demo-'))
  let gateway: Running
  let demo: Demo
  before(async () => {
    gateway = await startProgram('src/main.js', ['--demo', '--data-dir', join(dir, 'data'), '--ssh-port', '0', '--http-port', '0'])
    demo = JSON.parse(readFileSync(join(dir, 'data/demo.json'), 'utf8')) as Demo
  })
  after(async () => {
    if (gateway) await stopProgram(gateway)
    rmSync(dir, { recursive: true, force: true })
  })
  const ssh = (name: string, target: string, command: string): ReturnType<typeof run> => {
    const user = demo.users.find((u) => u.name === name)
    const port = demo.ssh.split(':').at(-1) as string
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes'].flatMap((o) => ['-o', o])
    return run('ssh', ['-F', '/dev/null', ...options, '-i', user?.keyFile as string, '-p', port, `${name}+${target}@127.0.0.1`, command])
  }

  test('its ready line names the real ports and demo.json lets a script log in', async () => {
    assert.match(gateway.ready, /^opserver ready ssh=127\.0\.0\.1:\d+ http=127\.0\.0\.1:\d+$/)
    assert.deepEqual(
      demo.users.map((user) => user.name),
      ['alice', 'bob', 'carol', 'audra'],
    )
    assert.equal(statSync(join(dir, 'data/demo.json')).mode & 0o77, 0)
    const { stdout, code, stderr } = await ssh('alice', 'web-0', 'echo from the demo; exit 5')
    assert.deepEqual([stdout.toString(), code], ['from the demo\n', 5], stderr)
  })
  test('the printed command of each user can be run as it stands', async () => {
    const alice = demo.users[0]
    assert.ok(alice)
    const { stdout, stderr } = await run('/bin/sh', ['-c', `${alice.command.replace(/^ssh /, 'ssh -F /dev/null -o BatchMode=yes ')} 'echo as printed'`])
    assert.equal(stdout.toString(), 'as printed\n', stderr)
  })
  test('pods have homes of their own and nothing of the gateway’s environment', async () => {
    await ssh('alice', 'web-0', 'echo mine > file')
    assert.notEqual((await ssh('alice', 'web-1', 'cat file')).code, 0)
    assert.equal((await ssh('alice', 'web-0', 'cat file')).stdout.toString(), 'mine\n')
    assert.doesNotMatch((await ssh('alice', 'web-0', 'env')).stdout.toString(), /npm_|NODE_/)
  })
  test('Ctrl-C on the gateway ends it with nothing left behind', async () => {
    const data = mkdtempSync(join(tmpdir(), 'dockin-demo-'))
    const second = await startProgram('src/main.js', ['--demo', '--data-dir', data, '--ssh-port', '0', '--http-port', '0'])
    await stopProgram(second, 'SIGINT')
    assert.equal(second.child.exitCode, 0)
    rmSync(data, { recursive: true })
  })
  test('a terminal session leaves a recording that is valid asciicast', async () => {
    const user = demo.users[0]
    const port = demo.ssh.split(':').at(-1) as string
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes'].flatMap((o) => ['-o', o])
    await run('ssh', ['-tt', '-F', '/dev/null', ...options, '-i', user?.keyFile as string, '-p', port, 'alice+web-0@127.0.0.1'], 'echo re""corded\nexit\n')
    // the command of another test left a recording too: only this one has a terminal
    const shells = (): string[] =>
      readdirSync(join(dir, 'data/recordings'), { recursive: true, encoding: 'utf8' })
        .filter((f) => f.endsWith('.cast.gz'))
        .map((f) => gunzipSync(readFileSync(join(dir, 'data/recordings', f))).toString())
        .filter((text) => text.includes('"TERM"'))
    const lines = (await until('the recording', () => shells()[0]))
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l) as unknown)
    assert.equal((lines[0] as { version: number }).version, 2)
    assert.match(
      lines
        .slice(1)
        .map((l) => (l as string[])[2])
        .join(''),
      /recorded\r\n/,
    )
  })
})

/** The client programs as processes, in real terminals, against a gateway as a process: two hundred local pods. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type IPty, spawn as spawnPty } from 'node-pty'
import { hashPassword } from '../../src/identity/password.js'
import { type Running, repository, startProgram, stopProgram } from '../support/world.js'
import { makeTempDir, type TempDir } from './cli-support.js'

const PASSWORD = 'correct horse'
const PODS = Array.from({ length: 200 }, (_, i) => `web-${i}`)
const client = (name: string) => join(repository, 'dist/src/cli', `${name}.js`)

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

describe('opsctl and dockctl', { timeout: 240_000 }, () => {
  const ptys = new Set<IPty>()
  let temp: TempDir
  let gateway: Running
  let url = ''
  let env: NodeJS.ProcessEnv = {}

  before(async () => {
    temp = makeTempDir()
    const password = await hashPassword(PASSWORD, { memoryKib: 1024, passes: 1 })
    const config = {
      dataDir: join(temp.path, 'data'),
      ssh: { listen: '127.0.0.1:0', hostKeys: [join(temp.path, 'host')] },
      http: { listen: '127.0.0.1:0' },
      audit: { stores: [{ type: 'file' }], onFailure: 'refuse' },
      clusters: [{ name: 'many', local: { pods: PODS } }],
      users: [{ name: 'alice', groups: ['sre'], password, roles: ['admin'] }],
      rules: [{ name: 'all', who: { groups: ['sre'] }, where: [{ cluster: '*', namespace: '*' }] }],
    }
    writeFileSync(join(temp.path, 'opserver.yaml'), JSON.stringify(config))
    gateway = await startProgram('src/main.js', ['--config', join(temp.path, 'opserver.yaml')])
    url = `http://127.0.0.1:${/http=[^ ]*:(\d+)/.exec(gateway.ready)?.[1]}`
    mkdirSync(join(temp.path, 'home'))
    env = { PATH: process.env.PATH, HOME: join(temp.path, 'home'), TERM: 'xterm', LANG: 'C.UTF-8' }
  })
  after(async () => {
    for (const child of ptys) child.kill('SIGKILL')
    await stopProgram(gateway)
    temp.remove()
  })

  function run(program: string, args: readonly string[], input = ''): Promise<Ran> {
    const child = spawn(process.execPath, [client(program), ...args], { env })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    child.stdin.end(input)
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
  }

  /** A shell command in a terminal of its own, with `opsctl` and `dockctl` as functions. */
  function pty(command: string, columns = 80) {
    const shell = `opsctl() { ${process.execPath} ${client('opsctl')} "$@"; }; dockctl() { ${process.execPath} ${client('dockctl')} "$@"; }; ${command}`
    const child = spawnPty('/bin/bash', ['-c', shell], { cols: columns, rows: 30, env: env as Record<string, string> })
    ptys.add(child)
    let shown = ''
    const wakers = new Set<() => void>()
    child.onData((data) => {
      shown += data
      for (const wake of wakers) wake()
    })
    const exit = new Promise<number>((resolve) =>
      child.onExit(({ exitCode }) => {
        ptys.delete(child)
        resolve(exitCode)
      }),
    )
    const until = (what: string | RegExp, from = 0): Promise<string> =>
      new Promise((resolve) => {
        const look = (): void => {
          const text = shown.slice(from)
          if (typeof what === 'string' ? !text.includes(what) : !what.test(text)) return
          wakers.delete(look)
          resolve(text)
        }
        wakers.add(look)
        look()
      })
    return { child, exit, until, shown: () => shown, type: (keys: string) => child.write(keys) }
  }

  test('login asks for the password without showing it, and keeps the tokens for nobody else', { timeout: 180_000 }, async () => {
    const terminal = pty(`opsctl login ${url} -u alice; echo "code $?"; stty -a`)
    await terminal.until('Password of alice')
    terminal.type(`${PASSWORD}\r`)
    const shown = await terminal.until(/code 0[\s\S]*-noflsh|code 0[\s\S]*noflsh/)
    assert.doesNotMatch(shown, /horse/)
    assert.match(shown, /[^-]icanon/)
    assert.match(shown, /[^-]echo /)
    await terminal.exit
    assert.equal(statSync(join(temp.path, 'home/.config/dockin/contexts.json')).mode & 0o777, 0o600)
    assert.match((await run('opsctl', ['whoami'])).stdout, /User: +alice/)
  })

  test('a wrong password is one line and 255', { timeout: 180_000 }, async () => {
    const ran = await run('opsctl', ['login', url, '--context', 'other', '-u', 'alice', '--password-stdin'], 'wrong\n')
    assert.equal(ran.code, 255)
    assert.match(ran.stderr, /^dockin: login failed[^\n]*\n$/)
  })

  test('two hundred pods run a command, grouped as one', { timeout: 180_000 }, async () => {
    const warm = await run('dockctl', ['exec', 'web-1', '--', 'true'])
    assert.equal(warm.code, 0, warm.stderr)
    const ran = await run('dockctl', ['exec', 'web-*', '--parallel', '64', '--', 'echo', 'here'])
    assert.equal(ran.stdout, '=== 200 pods, exit 0: web-[0-199].default.many\nhere\n', ran.stderr)
    assert.match(ran.stderr, /^200 pods: 200 succeeded/)
  })

  test('a shell in a terminal is recorded, replayed and found; the terminal is as before', { timeout: 180_000 }, async () => {
    const terminal = pty('opsctl ssh web-3; echo "code $?"; stty -a')
    terminal.type('echo "mark"-one; stty size\r')
    assert.match(await terminal.until(/mark-one[\s\S]*\d+ \d+\r/), /30 80/)
    terminal.type('exit 5\r')
    const shown = await terminal.until(/code 5[\s\S]*noflsh/)
    assert.match(shown, /[^-]icanon/)
    await terminal.exit
    const id = (await run('opsctl', ['sessions', '--target', 'default/web-3/', '--door', 'ws', '-o', 'name'])).stdout.trim()
    const text = await run('opsctl', ['replay', id])
    assert.match(text.stdout, /mark-one/, text.stderr)
    const replay = pty(`opsctl replay ${id} --speed 8 -i 1; echo "code $?"; stty -a`)
    await replay.until(/mark-one[\s\S]*00:0\d \/ 00:0\d/)
    replay.type('q')
    assert.match(await replay.until(/\x1b\[\?1049l[\s\S]*code 0[\s\S]*noflsh/), /[^-]icanon/)
    await replay.exit
  })

  test('a replay that a signal ends gives the terminal back', { timeout: 180_000 }, async () => {
    const id = (await run('opsctl', ['sessions', '--target', 'default/web-3/', '--door', 'ws', '-o', 'name'])).stdout.trim()
    const other = pty(`exec 3>&1; ${process.execPath} ${client('opsctl')} replay ${id} --paused; echo "code $?"; stty -a`)
    await other.until('\x1b[?1049h')
    await other.until(/00:00 \/ /)
    // the foreground process of the terminal: the client, and not the shell around it
    const children = readFileSync(`/proc/${other.child.pid}/task/${other.child.pid}/children`, 'utf8').trim().split(' ')
    process.kill(Number(children.at(-1)), 'SIGTERM')
    const shown = await other.until(/\x1b\[\?1049l[\s\S]*code 143[\s\S]*noflsh/)
    assert.match(shown, /[^-]icanon/)
    await other.exit
  })

  test('a live session is watched, locked, and ended with a reason that its user reads', { timeout: 180_000 }, async () => {
    const terminal = pty('opsctl ssh web-4; echo "code $?"')
    terminal.type('echo "live"-one\r')
    await terminal.until('live-one')
    const id = (await run('opsctl', ['sessions', '--state', 'live', '-o', 'name'])).stdout.trim()
    const watch = pty(`opsctl watch ${id}; echo "code $?"`)
    await watch.until('live-one')
    terminal.type('echo "live"-two\r')
    await watch.until('live-two')
    assert.match((await run('opsctl', ['lock', id, '--reason', 'wait'])).stderr, /is locked/)
    assert.equal((await run('opsctl', ['unlock', id])).code, 0)
    const ended = await run('opsctl', ['end', id, '--reason', 'maintenance window'])
    assert.deepEqual([ended.code, ended.stderr], [0, `Session ${id} ended.\n`])
    assert.match(await terminal.until(/code 255/), /maintenance window/)
    assert.match(await watch.until(/code 0/), /has ended/)
    await Promise.all([terminal.exit, watch.exit])
  })

  test('ssh-config makes plain OpenSSH find a pod by name', { timeout: 180_000 }, async () => {
    const config = join(temp.path, 'ssh.conf')
    const ssh = /ssh=([^ ]*)/.exec(gateway.ready)?.[1] ?? ''
    const ran = await run('opsctl', ['ssh-config', 'web-7', '--ssh', ssh])
    writeFileSync(config, ran.stdout)
    const plain = pty(`ssh -F ${config} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null web-7.default.many 'echo over-$((1+1))'; echo "code $?"`)
    await plain.until(/password:/i)
    plain.type(`${PASSWORD}\r`)
    assert.match(await plain.until(/code \d/), /over-2\r\ncode 0/)
    await plain.exit
  })

  test('the menu of dockctl ssh filters, and a number opens a shell', { timeout: 180_000 }, async () => {
    const menu = pty('dockctl ssh; echo "code $?"')
    await menu.until('200 pods')
    menu.type('web-19\r')
    await menu.until('11 pods with "web-19"')
    menu.type('2\r')
    await menu.until('Opening web-190.default.many')
    menu.type('exit 4\r')
    assert.match(await menu.until(/code \d/), /code 4/)
    await menu.exit
  })

  test('tables fit a terminal of 80 and of 200 columns', { timeout: 180_000 }, async () => {
    for (const columns of [80, 200]) {
      const table = pty('opsctl get pods -o wide; echo "code $?"', columns)
      const shown = await table.until(/code 0/)
      assert.doesNotMatch(shown, new RegExp(`[^\\r\\n]{${columns + 1},}`))
      await table.exit
    }
  })

  test('a reader that leaves early is no error, and logout forgets the tokens', { timeout: 180_000 }, async () => {
    const ran = pty('opsctl get pods -o json | head -1; echo "codes $PIPESTATUS 0"')
    assert.match(await ran.until(/codes \d+ \d+/), /^\[\r\ncodes (0|141) 0/)
    await ran.exit
    assert.equal((await run('opsctl', ['logout'])).code, 0)
    assert.match((await run('opsctl', ['whoami'])).stderr, /^dockin: you are not logged in/)
  })
})

/** Rules that change under a running gateway, and the environment of vetted lines, with a real client and real pods. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { needs } from '../support/need.js'
import { until, World } from '../support/world.js'

const where = [{ cluster: '*', namespace: '*' }]
const rule = (commands: object, more: object = {}) => ({ name: 'listed', who: { groups: ['sre'] }, where, commands, ...more })
const WEB = 'alice+web-0.shop.a+web'

describe('rules of a running gateway', { skip: needs.cluster('a') || needs.program('ssh') }, () => {
  const world = new World()
  before(() => world.start({ clusters: ['a'], rules: [rule({ deny: ['dd'] })] }))
  after(() => world.stop())

  /** As an editor does: a new file over the old one. */
  function write(change: (config: Record<string, unknown>) => void): void {
    const config = JSON.parse(readFileSync(world.configFile, 'utf8')) as Record<string, unknown>
    change(config)
    writeFileSync(`${world.configFile}~`, JSON.stringify(config))
    renameSync(`${world.configFile}~`, world.configFile)
  }
  const admin = (action: string) => until(action, () => world.events().find((event) => event.type === 'admin' && event.action === action))

  test('a vetted exec line runs in the clean environment of a guarded shell', async () => {
    for (const login of [WEB, 'alice+tiny-0.default.a']) {
      const { stdout, code } = await world.ssh(login, 'env; pwd')
      const text = stdout.toString()
      assert.equal(code, 0)
      for (const line of [
        'GIT_PAGER=cat',
        'GIT_CONFIG_KEY_0=core.fsmonitor',
        'LESSSECURE=1',
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ]) {
        assert.ok(text.split('\n').includes(line), `${login} lacks ${line}`)
      }
      assert.doesNotMatch(text, /KUBERNETES|HOSTNAME/)
      assert.match(text, /\n\/\n$/)
    }
  })

  test('a guarded shell that runs meets the new list at its next line, and a broken file changes nothing', async () => {
    const shell = spawn('ssh', [...world.options(), '-p', String(world.sshPort), '-tt', '-l', WEB, '127.0.0.1'], { stdio: ['pipe', 'pipe', 'pipe'] })
    let seen = ''
    for (const stream of [shell.stdout, shell.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
      })
    }
    const says = async (line: string, expected: RegExp): Promise<void> => {
      seen = ''
      shell.stdin.write(`${line}\r`)
      await until(`${expected} after ${line}`, () => expected.test(seen))
      await until('a prompt', () => /guarded\]\x1b\[m\$ [^$]*$/.test(seen))
    }
    await until('a prompt', () => seen.includes('[guarded]'))
    await says('echo o""ne', /\none/)
    write((config) => {
      config.rules = [rule({ deny: ['echo'] })]
    })
    await admin('rules.reload')
    await says('echo one', /refused: echo: this rule denies echo/)
    write((config) => {
      config.rules = [{ name: 'broken' }]
    })
    await admin('rules.reload.refused')
    await says('echo two', /refused: echo/)
    assert.match(world.gateway.logs(), /rules\.reload\.refused/)
    write((config) => {
      config.rules = [rule({ deny: [] }, { doors: ['exec'] })]
    })
    await until('the reason', () => /the rules have changed: no rule lets alice open shell/.test(seen))
    await until('the end', () => shell.exitCode !== null)
    assert.equal(shell.exitCode, 255)
  })

  test('what is typed into a plain shell is in the audit, marked advisory', async () => {
    write((config) => {
      config.rules = [{ name: 'plain', who: { groups: ['sre'] }, where }]
    })
    await until('the plain rule', () => world.events().filter((event) => event.type === 'admin' && event.action === 'rules.reload').length >= 3)
    const shell = spawn('ssh', [...world.options(), '-p', String(world.sshPort), '-tt', '-l', WEB, '127.0.0.1'], { stdio: ['pipe', 'pipe', 'ignore'] })
    let seen = ''
    shell.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
    })
    await until('a prompt', () => /[#$] /.test(seen))
    shell.stdin.write('echo ad""visory\r')
    await until('its output', () => /\nadvisory/.test(seen.replaceAll('\x1b[?2004l\r', '')))
    shell.stdin.write('exit\r')
    await until('the end', () => shell.exitCode !== null)
    const line = await until('the line', () =>
      world.events().find((event) => event.type === 'command' && event.confidence === 'advisory' && event.line === 'echo ad""visory'),
    )
    assert.ok(line.type === 'command' && line.rule === 'plain')
  })
})

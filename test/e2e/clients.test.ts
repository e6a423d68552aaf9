/** Clients that people have besides OpenSSH. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Client } from 'ssh2'
import { hashPassword } from '../../src/identity/password.js'
import { needs } from '../support/need.js'
import { run, World } from '../support/world.js'

const PASSWORD = 'correct horse'
const hasParamiko = (): false | string => {
  try {
    execFileSync('/usr/bin/python3', ['-c', 'import paramiko'], { stdio: 'ignore' })
    return false
  } catch {
    return 'python3-paramiko is not installed'
  }
}

describe('other clients', { skip: needs.program('ssh') }, () => {
  const world = new World()
  before(async () => {
    for (const [type, bits] of [
      ['ecdsa', '256'],
      ['rsa', '3072'],
      ['ed25519', '0'],
    ] as const) {
      execFileSync('ssh-keygen', ['-q', '-t', type, ...(bits === '0' ? [] : ['-b', bits]), '-N', '', '-f', join(world.dir, `key-${type}`)])
    }
    const keys = ['ecdsa', 'rsa', 'ed25519'].map((type) => readFileSync(join(world.dir, `key-${type}.pub`), 'utf8').trim())
    await world.start({
      clusters: [],
      via: 'apiserver',
      users: [{ name: 'alice', groups: ['sre'], keys, password: await hashPassword(PASSWORD) }],
      config: { clusters: [{ name: 'here', local: { pods: ['web-0'] } }] },
    })
  })
  after(() => world.stop())

  for (const type of ['ecdsa', 'rsa', 'ed25519']) {
    test(`OpenSSH logs in with an ${type} key`, async () => {
      const { stdout, stderr } = await run('ssh', [
        ...world.options({ keyFile: join(world.dir, `key-${type}`) }),
        '-p',
        String(world.sshPort),
        '-l',
        'alice+web-0',
        '127.0.0.1',
        'echo ok',
      ])
      assert.equal(stdout.toString(), 'ok\n', stderr)
    })
  }
  test('PuTTY’s plink logs in by password and gives the exit status', { skip: needs.program('plink') }, async () => {
    const fingerprint = execFileSync('ssh-keygen', ['-lf', join(world.dir, 'host_ed25519')], { encoding: 'utf8' }).split(' ')[1] as string
    const { code, stdout, stderr } = await run('plink', [
      '-batch',
      '-hostkey',
      fingerprint,
      '-P',
      String(world.sshPort),
      '-l',
      'alice+web-0',
      '-pw',
      PASSWORD,
      '127.0.0.1',
      'echo from plink; exit 9',
    ])
    assert.deepEqual([stdout.toString(), code], ['from plink\n', 9], stderr)
  })
  test('paramiko logs in by key and by password, half-closes and reads the status', { skip: hasParamiko() }, async () => {
    const script = `
import paramiko, sys
port, key, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for auth in ({"key_filename": key}, {"password": password}):
    c = paramiko.SSHClient(); c.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    c.connect("127.0.0.1", port, "alice+web-0", allow_agent=False, look_for_keys=False, **auth)
    i, o, e = c.exec_command("cat; exit 4"); i.write("through paramiko"); i.channel.shutdown_write()
    print(o.read().decode(), o.channel.recv_exit_status()); c.close()
`
    const { stdout, stderr } = await run('/usr/bin/python3', ['-c', script, String(world.sshPort), join(world.dir, 'key-ed25519'), PASSWORD])
    assert.equal(stdout.toString(), 'through paramiko 4\nthrough paramiko 4\n', stderr)
  })
  test('ssh2’s own client logs in', async () => {
    const client = new Client()
    const status = await new Promise((resolve, reject) => {
      client.on('error', reject)
      client.on('ready', () => client.exec('exit 6', (error, channel) => (error ? reject(error) : channel.on('exit', resolve).resume())))
      client.connect({ host: '127.0.0.1', port: world.sshPort, username: 'alice+web-0', password: PASSWORD })
    })
    client.end()
    assert.equal(status, 6)
  })
  test('a wrong key and a wrong password are refused alike for known and unknown users, and both are in the audit', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(world.dir, 'stranger')])
    for (const user of ['alice', 'nobody-here']) {
      const { code, stderr } = await run('ssh', [
        ...world.options({ keyFile: join(world.dir, 'stranger') }),
        '-p',
        String(world.sshPort),
        '-l',
        `${user}+web-0`,
        '127.0.0.1',
        'true',
      ])
      assert.equal(code, 255)
      assert.match(stderr, /Permission denied \(/)
    }
    const client = new Client()
    const refused = await new Promise<Error>((resolve, reject) => {
      client.on('error', resolve)
      client.on('ready', () => reject(new Error('logged in')))
      client.connect({ host: '127.0.0.1', port: world.sshPort, username: 'nobody-here+web-0', password: 'wrong' })
    })
    assert.match(refused.message, /authentication methods failed/)
    const events = world.events().filter((event) => event.type === 'login.refused' && event.user === 'nobody-here')
    assert.ok(events.length >= 1)
  })
})

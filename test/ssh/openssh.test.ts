import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { needs } from '../support/need.js'
import { clientKey, gateway, ssh } from './gateway.js'

const skip = needs.program('ssh')

test('OpenSSH logs in by password and gets the exit status', { skip }, async (t) => {
  const at = await gateway(t)
  const ran = await ssh(at, ['exit', '7'], { user: 'alice+web-0.shop+sidecar' })
  assert.deepEqual([ran.code, ran.stderr], [7, ''])
  assert.equal(at.requests[0]?.address, 'web-0.shop+sidecar')
  assert.equal(at.requests[0]?.identity.user, 'alice')
  assert.equal(at.requests[0]?.command, 'exit 7')
})

for (const [type, bits, algorithm] of [
  ['ed25519', undefined, 'ssh-ed25519'],
  ['ecdsa', 256, 'ecdsa-sha2-nistp256'],
  ['ecdsa', 384, 'ecdsa-sha2-nistp384'],
  ['ecdsa', 521, 'ecdsa-sha2-nistp521'],
  ['rsa', 2048, 'rsa-sha2-512'],
] as const) {
  test(`OpenSSH logs in with an ${type} ${bits ?? ''} key`, { skip }, async (t) => {
    const at = await gateway(t)
    const ran = await ssh(at, ['exit', '0'], { key: clientKey(at.dir, type, bits) })
    assert.deepEqual([ran.code, ran.stderr], [0, ''])
    const algorithms = at.attempts.map((attempt) => attempt.method === 'publickey' && attempt.algorithm)
    assert.deepEqual(algorithms, [algorithm, algorithm])
  })
}

test('OpenSSH logs in with rsa-sha2-256 when it wants to, and not with SHA-1', { skip }, async (t) => {
  const at = await gateway(t)
  const key = clientKey(at.dir, 'rsa', 2048)
  const sha256 = await ssh(at, ['exit', '0'], { key, settings: ['PubkeyAcceptedAlgorithms=rsa-sha2-256'] })
  assert.equal(sha256.code, 0)
  const sha1 = await ssh(at, ['exit', '0'], { key, settings: ['PubkeyAcceptedAlgorithms=ssh-rsa'] })
  assert.equal(sha1.code, 255)
  assert.match(sha1.stderr, /Permission denied \(publickey,password\)/)
})

test('login refuses an RSA key of 1024 bits', { skip }, async (t) => {
  const at = await gateway(t)
  const ran = await ssh(at, ['exit', '0'], { key: clientKey(at.dir, 'rsa', 1024), settings: ['RequiredRSASize=1024'] })
  assert.equal(ran.code, 255)
  assert.equal(at.attempts.length, 0)
})

test('login refuses a wrong password and names the methods', { skip }, async (t) => {
  const at = await gateway(t, {
    login: { attempt: async () => ({ kind: 'refused', reason: 'no', locked: false }) },
  })
  const ran = await ssh(at, ['exit', '0'])
  assert.equal(ran.code, 255)
  assert.match(ran.stderr, /Permission denied \(publickey,password\)/)
})

test('a half-closed client still gets its output: cat FILE | ssh host sha256', { skip }, async (t) => {
  const at = await gateway(t)
  const input = randomBytes(1_000_003)
  const ran = await ssh(at, ['sha256'], { input })
  assert.equal(ran.stdout.toString(), createHash('sha256').update(input).digest('hex'))
  assert.equal(ran.code, 0)
})

test('64 MiB come back as they were sent', { skip, timeout: 60_000 }, async (t) => {
  const at = await gateway(t)
  const input = randomBytes(64 * 1024 * 1024)
  const ran = await ssh(at, ['cat'], { input })
  assert.equal(ran.code, 0)
  assert.equal(createHash('sha256').update(ran.stdout).digest('hex'), createHash('sha256').update(input).digest('hex'))
})

test('stdout and stderr arrive whole when both are larger than the window', { skip }, async (t) => {
  const at = await gateway(t)
  const ran = await ssh(at, ['both', '5000000'])
  assert.deepEqual([ran.code, ran.stdout.length, ran.stderr.length], [0, 5_000_000, 5_000_000])
})

test('a killed program is 128+n to OpenSSH, for signals it can name and for others', { skip }, async (t) => {
  const at = await gateway(t)
  assert.equal((await ssh(at, ['die', 'KILL'])).code, 137)
  assert.equal((await ssh(at, ['die', 'SEGV'])).code, 139)
  assert.equal((await ssh(at, ['die', 'BUS'])).code, 135)
})

test('a pty request without a terminal is 80x24', { skip }, async (t) => {
  const at = await gateway(t)
  const ran = await ssh(at, ['facts'], { flags: ['-tt'] })
  const { pty } = JSON.parse(ran.stdout.toString())
  assert.deepEqual([pty.size.columns, pty.size.rows], [80, 24])
})

test('environment passes by the allow-list only', { skip }, async (t) => {
  const at = await gateway(t)
  const ran = await ssh(at, ['facts'], { settings: ['SetEnv=LC_TIME=de_DE.UTF-8 TZ=Europe/Berlin LD_PRELOAD=/tmp/evil.so PATH=/tmp FOO=1'] })
  assert.deepEqual(JSON.parse(ran.stdout.toString()).env, { LC_TIME: 'de_DE.UTF-8', TZ: 'Europe/Berlin' })
})

test('forwarding is refused with a text', { skip }, async (t) => {
  const at = await gateway(t)
  const ran = await ssh(at, [], { flags: ['-W', '127.0.0.1:22'], settings: ['LogLevel=INFO'] })
  assert.equal(ran.code, 255)
  assert.match(ran.stderr, /does not forward/)
  const remote = await ssh(at, ['exit', '0'], { flags: ['-R', '0:127.0.0.1:22'], settings: ['ExitOnForwardFailure=yes'] })
  assert.equal(remote.code, 255)
})

test('subsystem sftp is a door, another subsystem is refused', { skip }, async (t) => {
  const at = await gateway(t, {
    open: async ({ door }, client) => {
      client.stdout.write(door)
      client.finish({ kind: 'exited', code: 0 })
    },
  })
  assert.equal((await ssh(at, ['sftp'], { flags: ['-s'] })).stdout.toString(), 'sftp')
  const other = await ssh(at, ['netconf'], { flags: ['-s'] })
  assert.deepEqual([other.code, other.stdout.length], [255, 0])
})

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { type EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { needs } from '../support/need.js'
import { askPass, gateway, ssh, sshOptions } from './gateway.js'
import { exec, login } from './scripted-client.js'

const skip = needs.program('ssh')

test('OpenSSH sees the offered algorithms, strict key exchange and whole server-sig-algs', { skip }, async (t) => {
  const at = await gateway(t)
  const { stderr, code } = await ssh(at, ['exit', '0'], { flags: ['-vvv'], settings: ['LogLevel=DEBUG3'] })
  assert.equal(code, 0)
  assert.match(stderr, /server-sig-algs=<ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256>/)
  assert.match(stderr, /will use strict KEX ordering/)
  assert.match(stderr, /remote software version DockinOps\b/)
  const peer = stderr.slice(stderr.indexOf('peer server KEXINIT proposal'))
  assert.match(peer, /KEX algorithms: mlkem768x25519-sha256,curve25519-sha256,/)
  assert.match(peer, /host key algorithms: ssh-ed25519,ecdsa-sha2-nistp256/)
  assert.match(peer, /compression ctos: none\b/)
  const offered = peer.slice(0, peer.indexOf('kex: algorithm'))
  assert.doesNotMatch(offered, /sha1|cbc|zlib|group-exchange|ssh-rsa|ssh-dss|md5|arcfour/)
})

for (const setting of [
  'KexAlgorithms=curve25519-sha256',
  'KexAlgorithms=ecdh-sha2-nistp521',
  'KexAlgorithms=diffie-hellman-group16-sha512',
  'Ciphers=aes128-gcm@openssh.com',
  'Ciphers=chacha20-poly1305@openssh.com',
  'Ciphers=aes256-ctr',
  'HostKeyAlgorithms=ecdsa-sha2-nistp256',
]) {
  test(`OpenSSH gets through with ${setting}`, { skip }, async (t) => {
    const at = await gateway(t)
    const input = randomBytes(300_000)
    const ran = await ssh(at, ['cat'], { input, settings: [setting] })
    assert.deepEqual([ran.code, ran.stdout.equals(input)], [0, true])
  })
}

for (const setting of ['KexAlgorithms=diffie-hellman-group14-sha1', 'Ciphers=aes128-cbc', 'MACs=hmac-sha1', 'HostKeyAlgorithms=rsa-sha2-512']) {
  test(`OpenSSH finds nothing in common with ${setting}`, { skip }, async (t) => {
    const at = await gateway(t)
    // A MAC matters only for a cipher without its own.
    const settings = [setting, 'LogLevel=INFO', ...(setting.startsWith('MACs') ? ['Ciphers=aes128-ctr'] : [])]
    const ran = await ssh(at, ['exit', '0'], { settings })
    assert.equal(ran.code, 255)
    assert.match(ran.stderr, /no matching/)
  })
}

test("ssh2's own client, changed likewise, exchanges post-quantum keys, and again when they are renewed", async (t) => {
  const at = await gateway(t, { timeouts: { rekeyBytes: 1 << 20 } })
  const { client, protocol } = await login(at)
  assert.equal(protocol._kex.negotiated.kex, 'mlkem768x25519-sha256')
  let renewed = 0
  const events: EventEmitter = client
  events.on('handshake', () => {
    renewed += 1
  })
  const channel = await exec(client, 'zeros 5000000')
  let bytes = 0
  channel.on('data', (data: Buffer) => {
    bytes += data.length
  })
  await once(channel, 'close')
  assert.equal(bytes, 5_000_000)
  assert.equal(renewed >= 2, true, `${renewed} renewals`)
  client.end()
})

test('keys are renewed by volume under load both ways, and nothing is lost', { skip, timeout: 60_000 }, async (t) => {
  const at = await gateway(t, { timeouts: { rekeyBytes: 2 << 20 } })
  const input = randomBytes(24 << 20)
  const ran = await ssh(at, ['cat'], { input, flags: ['-v'], settings: ['LogLevel=DEBUG1'] })
  assert.equal(ran.code, 0)
  const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex')
  assert.equal(hash(ran.stdout), hash(input))
  const renewed = ran.stderr.match(/SSH2_MSG_NEWKEYS received/g)?.length ?? 0
  assert.equal(renewed > 8, true, `${renewed} key exchanges`)
})

test('a client may renew keys itself while data flows', { skip, timeout: 60_000 }, async (t) => {
  const at = await gateway(t)
  const input = randomBytes(16 << 20)
  const ran = await ssh(at, ['cat'], { input, settings: ['RekeyLimit=2M'] })
  assert.deepEqual([ran.code, ran.stdout.equals(input)], [0, true])
})

test('keys are renewed by time on an idle connection', { timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { timeouts: { rekeyMs: 100 } })
  const { client } = await login(at)
  await once(client, 'handshake')
  await once(client, 'handshake')
  client.end()
})

test('a client that leaves a key exchange unanswered is cut off', { timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { timeouts: { rekeyMs: 100, keyExchangeMs: 200 } })
  const { client, socket } = await login(at)
  await once(client, 'handshake')
  socket.pause()
  while (at.server.stats().connections > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(at.lines.at(-1)?.fields.reason, 'the key exchange took too long')
  socket.destroy()
})

test('keys are echoed without waiting for acknowledgements', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t)
  const child = spawn('ssh', [...sshOptions(at, 'PreferredAuthentications=password'), 'alice@127.0.0.1', 'cat'], { env: askPass(at.dir), stdio: 'pipe' })
  child.stdin.write('x')
  await once(child.stdout, 'data')
  // Nagle against delayed acknowledgements would show as 40 ms a key.
  const start = performance.now()
  for (let key = 0; key < 20; key++) {
    child.stdin.write('k')
    await once(child.stdout, 'data')
  }
  const eachMs = (performance.now() - start) / 20
  child.stdin.end()
  await once(child, 'close')
  assert.equal(eachMs < 20, true, `${eachMs} ms a key`)
})

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { Admission, type Guest } from '../../src/ssh/admission.js'
import { Environment } from '../../src/ssh/environment.js'
import { DEFAULT_LIMITS } from '../../src/ssh/limits.js'
import { offeredKey, rsaBits } from '../../src/ssh/offered-key.js'
import { refusalBytes } from '../../src/ssh/refuse.js'
import { Rekey } from '../../src/ssh/rekey.js'
import { terminal, windowSize } from '../../src/ssh/terminal.js'
import type { Ssh2AuthContext } from '../../src/ssh/transport.js'
import { library } from './gateway.js'

const string = (bytes: Uint8Array | string): Buffer => {
  const data = Buffer.from(bytes)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  return Buffer.concat([length, data])
}
const context = (algo: string, data: Buffer, more: Partial<Ssh2AuthContext> = {}): Ssh2AuthContext => ({
  method: 'publickey',
  username: 'alice',
  key: { algo, data },
  accept: () => undefined,
  reject: () => undefined,
  ...more,
})
const ED25519 = Buffer.concat([string('ssh-ed25519'), string(Buffer.alloc(32, 9))])

function rsaKey(bits: number): Buffer {
  const { n = '', e = '' } = generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ format: 'jwk' })
  return Buffer.concat([string('ssh-rsa'), string(Buffer.from(e, 'base64url')), string(Buffer.concat([Buffer.from([0]), Buffer.from(n, 'base64url')]))])
}

test('an offered key is taken in its one wire form only', () => {
  assert.deepEqual(offeredKey(context('ssh-ed25519', ED25519), library), { algorithm: 'ssh-ed25519', key: ED25519 })
  const pem = Buffer.from(`ssh-ed25519 ${ED25519.toString('base64')}`)
  assert.equal(offeredKey(context('ssh-ed25519', pem), library), 'the key is not of the named type')
  assert.equal(offeredKey(context('ssh-rsa', ED25519, { hashAlgo: 'sha512' }), library), 'the key is not of the named type')
  assert.equal(typeof offeredKey(context('ssh-ed25519', Buffer.concat([ED25519, Buffer.from('x')])), library), 'string')
  assert.equal(typeof offeredKey(context('ssh-ed25519', ED25519.subarray(0, 40)), library), 'string')
  for (const algorithm of ['ssh-dss', 'sk-ssh-ed25519@openssh.com', 'ssh-ed25519-cert-v01@openssh.com', '']) {
    assert.equal(offeredKey(context(algorithm, ED25519), library), 'the key algorithm is not accepted')
  }
})

test('an offered RSA key needs a SHA-2 hash and 2048 bits', () => {
  const good = rsaKey(2048)
  assert.equal(rsaBits(good), 2048)
  assert.deepEqual(offeredKey(context('ssh-rsa', good, { hashAlgo: 'sha512' }), library), { algorithm: 'rsa-sha2-512', key: good })
  assert.match(String(offeredKey(context('ssh-rsa', good), library)), /SHA-1/)
  assert.match(String(offeredKey(context('ssh-rsa', rsaKey(1024), { hashAlgo: 'sha256' }), library)), /2048/)
})

test('no bytes make the reading of keys throw', () => {
  const types = fc.constantFrom('ssh-ed25519', 'ssh-rsa', 'ecdsa-sha2-nistp256')
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 300 }), fc.boolean(), (type, bytes, typed) => {
      const data = typed ? Buffer.concat([string(type), Buffer.from(bytes)]) : Buffer.from(bytes)
      const offered = offeredKey(context(type, data, { hashAlgo: 'sha256', signature: Buffer.from(bytes), blob: Buffer.from('x') }), library)
      if (typeof offered !== 'string') assert.equal(offered.verify?.(), false)
    }),
    { numRuns: 500 },
  )
})

test('the environment takes what the list names, and not without end', () => {
  const environment = new Environment()
  assert.equal(environment.offer('LC_ALL', 'C.UTF-8'), true)
  for (const [name, value] of [
    ['PATH', '/'],
    ['LD_PRELOAD', 'x'],
    ['LC_ALL\n', 'x'],
    ['LC_', 'x'],
    ['__proto__', 'x'],
    ['TZ', 'a\nb'],
    ['LANG', 'x'.repeat(257)],
  ] as const) {
    assert.equal(environment.offer(name, value), false, name)
  }
  for (let index = 0; index < 100; index++) environment.offer(`LC_${'A'.repeat(1 + (index % 26))}${String.fromCharCode(65 + (index % 26))}`, 'x')
  assert.equal(Object.keys(environment.values).length <= 32, true)
})

test('terminals are given sane sizes and names', () => {
  const raw = { term: 'xterm', cols: 0, rows: 0, width: 0, height: 0, modes: { ECHO: 1 } }
  assert.deepEqual(terminal(raw), { term: 'xterm', size: { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }, modes: { ECHO: 1 } })
  assert.equal(terminal({ ...raw, term: '../../etc/\x1b[2J' }).term, 'dumb')
  assert.deepEqual(windowSize({ cols: 2 ** 32 - 1, rows: 5, width: 2 ** 31, height: 1 }), { columns: 4096, rows: 5, widthPx: 65535, heightPx: 1 })
})

test('admission counts by address, and the oldest login of the busiest address gives way', () => {
  const gaveWay: string[] = []
  const admission = new Admission({ ...DEFAULT_LIMITS, logins: 3, connectionsPerAddress: 3 })
  const guest = (address: string, name: string): Guest => {
    const self: Guest = {
      address,
      giveWay: () => {
        gaveWay.push(name)
        admission.leave(self)
      },
    }
    admission.enter(self)
    return self
  }
  const first = guest('a', 'a1')
  guest('a', 'a2')
  guest('b', 'b1')
  guest('c', 'c1')
  assert.deepEqual(gaveWay, ['a1'])
  const third = guest('a', 'a3')
  assert.deepEqual(gaveWay, ['a1', 'a2'])
  admission.loggedIn(third)
  admission.leave(first)
  guest('a', 'a4')
  guest('a', 'a5')
  assert.match(admission.refusal('a') ?? '', /too many connections from your address/)
  assert.equal(admission.refusal('b'), undefined)
  admission.leave(third)
  admission.leave(third)
  assert.equal(admission.refusal('a'), undefined)
})

test('a refusal is a whole packet with its text', () => {
  for (const text of ['', 'x', 'full', 'gateway is full, try again', 'größer']) {
    const bytes = refusalBytes('Test', text)
    const packet = bytes.subarray(bytes.indexOf('\n') + 1)
    assert.equal(bytes.toString('latin1', 0, 14), 'SSH-2.0-Test\r\n')
    assert.equal(packet.length % 8, 0)
    assert.equal(packet.readUInt32BE(0), packet.length - 4)
    const padding = packet.readUInt8(4)
    assert.equal(padding >= 4, true)
    const length = packet.readUInt32BE(10)
    assert.equal(packet.toString('utf8', 14, 14 + length), text)
    assert.equal(5 + 13 + length + padding, packet.length)
  }
})

test('keys are due by bytes or by time since the last exchange, and not during one', () => {
  const state = { bytes: 0, exchanging: false, started: 0 }
  const wire = { totalBytes: () => state.bytes, exchanging: () => state.exchanging, rekey: () => (state.started += 1) }
  const rekey = new Rekey(wire, { rekeyBytes: 100, rekeyMs: 1000 }, 0)
  rekey.check(999)
  assert.equal(state.started, 0)
  rekey.check(1000)
  assert.equal(state.started, 1)
  state.exchanging = true
  rekey.check(5000)
  assert.equal(state.started, 1)
  state.exchanging = false
  rekey.completed(5000)
  state.bytes = 99
  rekey.check(5001)
  assert.equal(state.started, 1)
  state.bytes = 100
  rekey.check(5001)
  assert.equal(state.started, 2)
})

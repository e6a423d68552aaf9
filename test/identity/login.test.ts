import assert from 'node:assert/strict'
import { verify as verifySignature } from 'node:crypto'
import { describe, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, LoginAttempt, StoredEvent } from '../../src/core/types.js'
import { createDirectory, parseUsers } from '../../src/identity/directory.js'
import { createLogin, DEFAULT_LOGIN_LIMITS, type LoginLimits, type LoginParts } from '../../src/identity/login.js'
import { costClass, hashPassword, verifyPassword } from '../../src/identity/password.js'
import { TestClock } from './clock.js'
import { ed25519, rsa, type TestKey } from './keys.js'

const CHEAP = { memoryKib: 64, passes: 1 }
const ALICE_KEY = ed25519()
const ALICE_RSA = rsa(2048)
const STRANGE_KEY = ed25519()
const never = new AbortController().signal

/** Keeps events in memory, or refuses them while `down`. */
class MemoryAudit {
  readonly events: AuditEvent[] = []
  down = false
  async write(event: AuditEvent): Promise<StoredEvent> {
    if (this.down) throw new OpsError('AUDIT_UNAVAILABLE', 'Cannot write event: disk full')
    this.events.push(event)
    return { ...event, seq: this.events.length, time: '', prev: '', hash: '' }
  }
}

interface SetUp {
  readonly limits?: Partial<LoginLimits>
  readonly onAuditFailure?: 'refuse' | 'continue'
  readonly verify?: LoginParts['verify']
}
async function setUp({ limits = {}, onAuditFailure = 'refuse', verify = verifyPassword }: SetUp = {}) {
  const users = parseUsers([
    { name: 'alice', groups: ['sre'], roles: ['admin'], password: await hashPassword('right', CHEAP), keys: [ALICE_KEY.line, ALICE_RSA.line] },
    { name: 'keyonly', keys: [ed25519().line] },
  ])
  const clock = new TestClock()
  const audit = new MemoryAudit()
  /** Hashes that were verified, in order. */
  const verified: string[] = []
  const login = createLogin({
    directory: createDirectory(users),
    audit,
    onAuditFailure,
    log: silentLogger,
    limits: { ...DEFAULT_LOGIN_LIMITS, ...limits },
    clock,
    verify: (phc, password) => {
      verified.push(phc)
      return verify(phc, password)
    },
  })
  return { login, clock, audit, verified, users }
}
const FROM = { host: '192.0.2.1', port: 50_000 }
function byPassword(user: string, password: string, from = FROM): LoginAttempt {
  return { method: 'password', user, password, from }
}
const DATA = Buffer.from('session id and request')
function byKey(user: string, key: TestKey, signed: boolean, fields: { algorithm?: string; signature?: Buffer } = {}): LoginAttempt {
  const { algorithm = key.type, signature = key.sign(DATA) } = fields
  const verify = () => verifySignature(key.type === 'ssh-rsa' ? 'sha256' : null, DATA, key.publicKey, signature)
  return { method: 'publickey', user, from: FROM, algorithm, key: key.blob, ...(signed && { verify }) }
}
const REFUSED = { kind: 'refused', reason: 'login failed', locked: false }
const SHUT = { kind: 'refused', reason: 'too many failed logins, try again later', locked: true }

describe('login by password', () => {
  test('accepts the right one, with the facts of the account, after its event', async () => {
    const { login, audit } = await setUp()
    const answer = await login.attempt(byPassword('alice', 'right'), never)
    assert.deepEqual(answer, {
      kind: 'accepted',
      identity: { user: 'alice', groups: ['sre'], roles: ['user', 'admin'], method: 'password', from: FROM },
    })
    assert.deepEqual(audit.events, [{ type: 'login', user: 'alice', from: '192.0.2.1:50000', method: 'password' }])
  })

  test('answers alike to a wrong password, an unknown name and an account without one, and verifies once for each', async () => {
    const { login, audit, verified, users } = await setUp()
    for (const user of ['alice', 'nobody', 'keyonly', '__proto__']) {
      assert.deepEqual(await login.attempt(byPassword(user, 'wrong'), never), REFUSED)
    }
    assert.equal(verified.length, 4)
    // each of the same algorithm and cost, and only the first against the account's own hash
    for (const hash of verified) assert.equal(costClass(hash), costClass(users[0]?.password ?? ''))
    assert.deepEqual(
      verified.map((hash) => hash === users[0]?.password),
      [true, false, false, false],
    )
    assert.deepEqual(
      audit.events.map((event) => event.type === 'login.refused' && `${event.user}: ${event.reason}`),
      ['alice: wrong password', 'nobody: unknown user', 'keyonly: no password set', '__proto__: unknown user'],
    )
  })

  test('lets nobody in without a hash, even where the verification says yes', async () => {
    const { login } = await setUp({ verify: async () => true })
    for (const user of ['nobody', 'keyonly']) assert.deepEqual(await login.attempt(byPassword(user, 'x'), never), REFUSED)
  })

  test('refuses when the verification breaks', async () => {
    const { login } = await setUp({
      verify: async () => {
        throw new Error('out of memory')
      },
    })
    assert.deepEqual(await login.attempt(byPassword('alice', 'right'), never), REFUSED)
  })

  test('delays, then locks known and unknown names by the same numbers', async () => {
    for (const user of ['alice', 'nobody']) {
      const { login, clock, verified } = await setUp()
      for (let i = 0; i < 10; i++) assert.deepEqual(await login.attempt(byPassword(user, 'wrong'), never), REFUSED)
      assert.deepEqual(clock.waits, [1000, 2000, 4000, 8000, 8000, 8000])
      // shut: even the right one is not looked at
      assert.deepEqual(await login.attempt(byPassword(user, 'right'), never), SHUT)
      assert.equal(verified.length, 10)
      assert.equal(clock.waits.at(-1), 8000)
      clock.pass(15 * 60_000)
      assert.equal((await login.attempt(byPassword(user, 'right'), never)).kind, user === 'alice' ? 'accepted' : 'refused')
    }
  })

  test('makes guesses sent side by side meet the lock that those before them earned', async () => {
    const { login, verified } = await setUp()
    const answers = await Promise.all(Array.from({ length: 40 }, () => login.attempt(byPassword('alice', 'wrong'), new AbortController().signal)))
    assert.equal(verified.length, 10)
    assert.equal(answers.filter((answer) => answer.kind === 'refused' && answer.locked).length, 30)
  })

  test('shuts an address that tries many names, for every method', async () => {
    const { login } = await setUp({ limits: { addressLockAfter: 5 } })
    for (let i = 0; i < 5; i++) await login.attempt(byPassword(`user${i}`, 'x'), never)
    assert.deepEqual(await login.attempt(byPassword('alice', 'right'), never), SHUT)
    assert.deepEqual(await login.attempt(byKey('alice', ALICE_KEY, true), never), SHUT)
    assert.deepEqual(await login.attempt(byKey('alice', ALICE_KEY, false), never), SHUT)
    assert.equal((await login.attempt(byPassword('alice', 'right', { host: '192.0.2.2', port: 1 }), never)).kind, 'accepted')
  })

  test('runs no more verifications at a time than it was told', async () => {
    let running = 0
    let most = 0
    const { login } = await setUp({
      limits: { concurrentHashes: 2 },
      verify: async (phc, password) => {
        most = Math.max(most, ++running)
        const answer = await verifyPassword(phc, password)
        running--
        return answer
      },
    })
    const guess = (i: number) => login.attempt(byPassword(`user${i}`, 'x', { host: `10.0.0.${i}`, port: 1 }), new AbortController().signal)
    await Promise.all(Array.from({ length: 20 }, (_, i) => guess(i)))
    assert.equal(most, 2)
  })

  test('turns away more than may wait, from one address and in all', async () => {
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    const { login, audit } = await setUp({ limits: { maxPendingPerAddress: 2, maxPending: 3 }, verify: () => gate.then(() => false) })
    const held = [1, 2].map((i) => login.attempt(byPassword(`u${i}`, 'x'), never))
    assert.deepEqual(await login.attempt(byPassword('u3', 'x'), never), REFUSED)
    held.push(login.attempt(byPassword('u4', 'x', { host: '10.0.0.1', port: 1 }), never))
    assert.deepEqual(await login.attempt(byPassword('u5', 'x', { host: '10.0.0.2', port: 1 }), never), REFUSED)
    assert.deepEqual(
      audit.events.map((event) => event.type === 'login.refused' && event.reason),
      ['too many logins at once', 'too many logins at once'],
    )
    open()
    await Promise.all(held)
    assert.equal((await login.attempt(byPassword('u6', 'x'), never)).kind, 'refused')
    assert.equal(audit.events.at(-1)?.user, 'u6')
  })

  test('looks at no password over 1 KiB and no name over 128 characters', async () => {
    const { login, audit, verified } = await setUp()
    assert.deepEqual(await login.attempt(byPassword('alice', 'é'.repeat(513)), never), REFUSED)
    assert.deepEqual(await login.attempt(byPassword('x'.repeat(100_000), 'x'), never), REFUSED)
    assert.equal(verified.length, 0)
    assert.deepEqual(
      audit.events.map((event) => event.type === 'login.refused' && event.reason),
      ['password too long', 'user name too long'],
    )
    assert.ok((audit.events[1]?.user?.length ?? 0) < 200)
  })

  test('escapes what a peer put into the name', async () => {
    const { login, audit } = await setUp()
    await login.attempt(byPassword('\u001b[2Jroot\n', 'x'), never)
    assert.equal(audit.events[0]?.user, '\\x1b[2Jroot\\x0a')
  })

  test('ends a wait when the client leaves: nothing guessed, nothing counted', async () => {
    const { login, audit, verified } = await setUp()
    for (let i = 0; i < 5; i++) await login.attempt(byPassword('alice', 'wrong'), never)
    const gone = AbortSignal.abort(new OpsError('CLIENT_GONE', 'gone'))
    await assert.rejects(login.attempt(byPassword('alice', 'wrong'), gone), { code: 'CLIENT_GONE' })
    assert.equal(verified.length, 5)
    assert.equal(audit.events.length, 5)
  })

  test('lets the next in line try when the one before leaves while it waits for a verification', async () => {
    const opens: (() => void)[] = []
    const { login } = await setUp({
      limits: { concurrentHashes: 1 },
      verify: async () => {
        await new Promise<void>((resolve) => opens.push(resolve))
        return true
      },
    })
    const first = login.attempt(byPassword('nobody', 'x'), never)
    const leaving = new AbortController()
    const second = login.attempt(byPassword('alice', 'right'), leaving.signal)
    const third = login.attempt(byPassword('alice', 'right'), never)
    await new Promise((resolve) => setImmediate(resolve))
    leaving.abort(new OpsError('CLIENT_GONE', 'gone'))
    await assert.rejects(second, { code: 'CLIENT_GONE' })
    opens.shift()?.()
    await first
    await new Promise((resolve) => setImmediate(resolve))
    opens.shift()?.()
    assert.equal((await third).kind, 'accepted')
  })
})

describe('login by public key', () => {
  test('asks for a signature where the key would do, and neither counts nor audits the question', async () => {
    const { login, audit, clock } = await setUp()
    assert.deepEqual(await login.attempt(byKey('alice', ALICE_KEY, false), never), { kind: 'sign' })
    for (let i = 0; i < 200; i++) {
      assert.deepEqual(await login.attempt(byKey('alice', STRANGE_KEY, false), never), REFUSED)
      assert.deepEqual(await login.attempt(byKey('nobody', ALICE_KEY, false), never), REFUSED)
    }
    assert.deepEqual(audit.events, [])
    assert.equal((await login.attempt(byPassword('alice', 'right'), never)).kind, 'accepted')
    assert.deepEqual(clock.waits, [])
  })

  test('accepts a good signature', async () => {
    const { login, audit } = await setUp()
    for (const [key, algorithm] of [
      [ALICE_KEY, 'ssh-ed25519'],
      [ALICE_RSA, 'rsa-sha2-256'],
    ] as const) {
      const answer = await login.attempt(byKey('alice', key, true, { algorithm }), never)
      assert.ok(answer.kind === 'accepted' && answer.identity.method === 'publickey' && answer.identity.user === 'alice')
    }
    assert.deepEqual(
      audit.events.map(({ type }) => type),
      ['login', 'login'],
    )
  })

  test('refuses what does not prove the key, and says why to the audit only', async () => {
    const { login, audit } = await setUp()
    const attempts: readonly [LoginAttempt, string][] = [
      [byKey('alice', STRANGE_KEY, true), 'key not authorized'],
      [byKey('nobody', ALICE_KEY, true), 'unknown user'],
      [byKey('alice', ALICE_KEY, true, { signature: STRANGE_KEY.sign(DATA) }), 'bad signature'],
      [byKey('alice', ALICE_RSA, true, { algorithm: 'ssh-rsa' }), 'signature algorithm ssh-rsa not accepted'],
      [byKey('alice', ALICE_KEY, true, { algorithm: '\u001b[m' }), 'signature algorithm \\x1b[m not accepted'],
      [{ ...byKey('alice', ALICE_KEY, true), key: Buffer.alloc(100_000) } as LoginAttempt, 'key too long'],
    ]
    for (const [attempt, reason] of attempts) {
      assert.deepEqual(await login.attempt(attempt, never), REFUSED)
      const event = audit.events.at(-1)
      assert.ok(event?.type === 'login.refused')
      assert.equal(event.reason, reason)
    }
  })

  test('refuses when the check of the signature throws', async () => {
    const { login } = await setUp()
    const verify = () => {
      throw new Error('malformed')
    }
    assert.deepEqual(await login.attempt({ ...byKey('alice', ALICE_KEY, true), verify } as LoginAttempt, never), REFUSED)
  })

  test('lets the owner in while a stranger keeps the name locked at an address, also from there by key', async () => {
    const { login } = await setUp()
    const stranger = { host: '198.51.100.9', port: 1 }
    for (let i = 0; i < 10; i++) await login.attempt(byPassword('alice', 'wrong', stranger), never)
    assert.deepEqual(await login.attempt(byPassword('alice', 'right', stranger), never), SHUT)
    assert.equal((await login.attempt(byPassword('alice', 'right'), never)).kind, 'accepted')
    assert.equal((await login.attempt({ ...byKey('alice', ALICE_KEY, true), from: stranger } as LoginAttempt, never)).kind, 'accepted')
  })

  test('lets the owner in by password at the usual desk, and by key anywhere, while strangers keep the name locked everywhere', async () => {
    const { login } = await setUp()
    const at = (i: number) => ({ host: `198.51.100.${i}`, port: 1 })
    assert.equal((await login.attempt(byPassword('alice', 'right'), never)).kind, 'accepted')
    for (let i = 0; i < 100; i++) await login.attempt(byPassword('alice', 'wrong', at(i)), never)
    assert.deepEqual(await login.attempt(byPassword('alice', 'right', at(200)), never), SHUT)
    assert.equal((await login.attempt(byPassword('alice', 'right'), never)).kind, 'accepted')
    assert.equal((await login.attempt({ ...byKey('alice', ALICE_KEY, true), from: at(201) } as LoginAttempt, never)).kind, 'accepted')
    // and strangers are not let off by it
    assert.deepEqual(await login.attempt(byPassword('alice', 'right', at(202)), never), SHUT)
  })

  test('forgives a client that signs with each of its keys before the right one', async () => {
    const { login } = await setUp({ limits: { addressLockAfter: 6 } })
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 4; i++) await login.attempt(byKey('alice', STRANGE_KEY, true), never)
      assert.equal((await login.attempt(byKey('alice', ALICE_KEY, true), never)).kind, 'accepted')
    }
  })
})

describe('login without an audit', () => {
  test('refuses everyone when the audit must be kept', async () => {
    const { login, audit } = await setUp()
    audit.down = true
    const answer = { kind: 'refused', reason: 'refused, because the audit log cannot be kept', locked: false }
    assert.deepEqual(await login.attempt(byPassword('alice', 'right'), never), answer)
    assert.deepEqual(await login.attempt(byKey('alice', ALICE_KEY, true), never), answer)
    assert.deepEqual(await login.attempt(byPassword('alice', 'wrong'), never), REFUSED)
    audit.down = false
    assert.equal((await login.attempt(byPassword('alice', 'right'), never)).kind, 'accepted')
  })

  test('goes on when it was told to', async () => {
    const { login, audit } = await setUp({ onAuditFailure: 'continue' })
    audit.down = true
    assert.equal((await login.attempt(byPassword('alice', 'right'), never)).kind, 'accepted')
    assert.deepEqual(await login.attempt(byPassword('alice', 'wrong'), never), REFUSED)
  })

  test('answers only once the event is durable', async () => {
    let durable = () => {}
    const written = new Promise<void>((resolve) => {
      durable = resolve
    })
    const { users } = await setUp()
    const login = createLogin({
      directory: createDirectory(users),
      audit: { write: async (event) => written.then(() => ({ ...event, seq: 1, time: '', prev: '', hash: '' })) },
      onAuditFailure: 'refuse',
      log: silentLogger,
    })
    let answered = false
    const answer = login.attempt(byKey('alice', ALICE_KEY, true), never).then((value) => {
      answered = true
      return value
    })
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(answered, false)
    durable()
    assert.equal((await answer).kind, 'accepted')
  })
})

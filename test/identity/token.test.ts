import assert from 'node:assert/strict'
import { appendFileSync, chmodSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { User } from '../../src/identity/directory.js'
import { Revocations } from '../../src/identity/revocations.js'
import { Tokens, type TokenUse } from '../../src/identity/token.js'
import { TokenKeys } from '../../src/identity/token-keys.js'
import { tempDir } from '../support/temp-dir.js'

const FROM = { host: '192.0.2.1', port: 4 }
const ALICE: User = { name: 'alice', groups: ['sre'], roles: ['user', 'admin'], password: 'hash-1', keys: [] }

async function desk(t: TestContext) {
  const dir = await tempDir(t)
  const users = new Map([['alice', ALICE]])
  const clock = { ms: Date.parse('2026-01-01T00:00:00Z') }
  const now = () => clock.ms
  const keys = await TokenKeys.load(join(dir, 'keys.json'), { now })
  const open = () => Revocations.open(join(dir, 'revoked.ndjson'), { now })
  const revocations = await open()
  t.after(() => revocations.close())
  const tokens = new Tokens({ keys, revocations, directory: { find: (name) => users.get(name) }, lifetimeMs: 8 * 3_600_000, now })
  const fails = (token: string, uses: readonly TokenUse[] = ['access']) => assert.rejects(tokens.identify(token, uses, FROM), { code: 'AUTH_FAILED' })
  return { dir, users, clock, now, keys, open, revocations, tokens, fails }
}

test('a token means whom the directory says now, not whom it was made for', async (t) => {
  const { tokens, users, fails } = await desk(t)
  const { access } = await tokens.begin('alice', ['access', 'refresh'])
  assert.deepEqual((await tokens.identify(access.token, ['access'], FROM)).identity.roles, ['user', 'admin'])
  users.set('alice', { ...ALICE, roles: ['user'] })
  assert.deepEqual((await tokens.identify(access.token, ['access'], FROM)).identity.roles, ['user'])
  users.set('alice', { ...ALICE, password: 'hash-2' })
  await fails(access.token)
  users.delete('alice')
  await fails(access.token)
})

test('a token is taken for its own use only and until its time', async (t) => {
  const { tokens, clock, fails } = await desk(t)
  const { access, refresh } = await tokens.begin('alice', ['access', 'refresh'])
  await fails(refresh.token)
  await fails(access.token, ['refresh'])
  clock.ms += 15 * 60_000 + 1000
  await assert.rejects(tokens.identify(access.token, ['access'], FROM), { code: 'AUTH_FAILED', detail: 'the token has expired' })
  await tokens.identify(refresh.token, ['refresh'], FROM)
  clock.ms += 8 * 3_600_000
  await fails(refresh.token, ['refresh'])
})

test('a refresh token is spent at once, and one shown again later ends the login', async (t) => {
  const { tokens, clock, fails } = await desk(t)
  const first = await tokens.begin('alice', ['access', 'refresh'])
  const second = await tokens.refresh(first.refresh.token, FROM)
  assert.equal(second.refresh.expiresAt.getTime(), first.refresh.expiresAt.getTime(), 'the login does not grow')
  await assert.rejects(tokens.refresh(first.refresh.token, FROM), { code: 'AUTH_FAILED' })
  await tokens.identify(second.access.token, ['access'], FROM)
  clock.ms += 60_000
  await assert.rejects(tokens.refresh(first.refresh.token, FROM), { code: 'AUTH_FAILED' })
  await fails(second.access.token)
  await assert.rejects(tokens.refresh(second.refresh.token, FROM), { code: 'AUTH_FAILED' })
})

test('one of many refreshes at the same time wins', async (t) => {
  const { tokens } = await desk(t)
  const { refresh } = await tokens.begin('alice', ['access', 'refresh'])
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => tokens.refresh(refresh.token, FROM)))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('a revoked login stays revoked after a restart, and is forgotten when it would have expired', async (t) => {
  const { tokens, clock, open, dir, fails } = await desk(t)
  const { access } = await tokens.begin('alice', ['access', 'refresh'])
  const bearer = await tokens.identify(access.token, ['access'], FROM)
  assert.equal(tokens.holds(bearer), true)
  await tokens.revoke(bearer)
  assert.equal(tokens.holds(bearer), false)
  await fails(access.token)
  appendFileSync(join(dir, 'revoked.ndjson'), '{"id":"to') // a torn line
  const again = await open()
  assert.equal(again.has(bearer.sid), true)
  await again.close()
  clock.ms += 9 * 3_600_000
  const later = await open()
  assert.equal(later.size, 0)
  await later.close()
})

test('the list of revocations is bounded, and its file does not grow with what has expired', async (t) => {
  const clock = { ms: 1000 }
  const path = join(await tempDir(t), 'revoked.ndjson')
  const list = await Revocations.open(path, { now: () => clock.ms, max: 3 })
  for (const id of ['a', 'b', 'c']) await list.revoke(id, 5000)
  await assert.rejects(list.revoke('d', 5000), { code: 'LIMIT_EXCEEDED' })
  clock.ms = 6000
  for (let i = 0; i < 1500; i++) {
    clock.ms += 10
    await list.revoke(`x${i}`, clock.ms + 5)
  }
  assert.ok(readFileSync(path, 'utf8').split('\n').length < 1100)
  await list.close()
})

test('tokens of another algorithm, key, audience or issuer are refused, and so is anything else', async (t) => {
  const { tokens, keys, clock, fails } = await desk(t)
  const { access } = await tokens.begin('alice', ['access', 'refresh'])
  const key = await keys.signer()
  const claims = JSON.parse(Buffer.from(access.token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
  const signed = (payload: Record<string, unknown>, header = {}) =>
    new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', kid: key.id, ...header }).sign(key.privateKey)
  await tokens.identify(await signed(claims), ['access'], FROM)
  await fails(await signed({ ...claims, aud: 'other' }))
  await fails(await signed({ ...claims, iss: 'other' }))
  await fails(await signed({ ...claims, sub: 'mallory' }))
  await fails(await signed({ ...claims, sub: 7 }))
  await fails(await signed({ ...claims, use: 'all' }))
  await fails(await signed({ ...claims, exp: clock.ms / 1000 - 1 }))
  const { exp: _, ...endless } = claims
  await fails(await signed(endless))
  await fails(await signed(claims, { kid: 'unknown' }))
  await fails(new UnsecuredJWT(claims).encode())
  const none = Buffer.from(JSON.stringify({ alg: 'none', kid: key.id })).toString('base64url')
  await fails(`${none}.${access.token.split('.')[1]}.`)
  const hmac = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: key.id }).sign(new TextEncoder().encode('x'.repeat(32)))
  await fails(hmac)
  const foreign = await TokenKeys.load(join(await tempDir(t), 'other.json'))
  await fails(await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', kid: key.id }).sign((await foreign.signer()).privateKey))
  for (const junk of ['', '.', '..', 'a.b.c', 'x'.repeat(10_000), access.token.slice(0, -4), `${access.token}A`]) await fails(junk)
})

test('two keys are accepted: tokens outlive one rotation and not two', async (t) => {
  const { tokens, keys, clock, fails, dir } = await desk(t)
  const { access } = await tokens.begin('alice', ['access', 'refresh'])
  await keys.rotate()
  await tokens.identify(access.token, ['access'], FROM)
  await keys.rotate()
  await fails(access.token)
  const before = (await keys.signer()).id
  clock.ms += 31 * 86_400_000
  assert.notEqual((await keys.signer()).id, before, 'an old key hands over by itself')
  const reloaded = await TokenKeys.load(join(dir, 'keys.json'), { now: () => clock.ms })
  assert.equal((await reloaded.signer()).id, (await keys.signer()).id)
})

test('the file of the keys is 0600, and one that others may read is refused', async (t) => {
  const path = join(await tempDir(t), 'keys.json')
  await TokenKeys.load(path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  chmodSync(path, 0o644)
  await assert.rejects(TokenKeys.load(path), { code: 'CONFIG_INVALID' })
})

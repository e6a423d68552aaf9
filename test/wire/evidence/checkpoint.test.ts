import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadCheckpointKey } from '../../../src/store/checkpoint-key.js'
import { GENESIS, link, verifyChain } from '../../../src/wire/evidence/chain.js'
import { checkpointKey, isSignedBy } from '../../../src/wire/evidence/checkpoint.js'
import { someEvents } from '../../contract/audit-store.js'
import { tempDir } from '../../support/temp-dir.js'

test('checkpoint key is made once, 0600, with its public half beside it', async (t) => {
  const dir = await tempDir(t)
  const path = join(dir, 'keys', 'audit.key')
  const [first, second] = await Promise.all([loadCheckpointKey(path), loadCheckpointKey(path)])
  assert.equal(first.keyId, second.keyId, 'two first starts agree')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual((await readdir(join(dir, 'keys'))).sort(), ['audit.key', 'audit.key.pub'])
  assert.equal(await readFile(`${path}.pub`, 'utf8'), first.publicPem)
  assert.equal((await loadCheckpointKey(path)).keyId, first.keyId)
})

test('checkpoint key that others may read, or that is no Ed25519 key, is refused', async (t) => {
  const dir = await tempDir(t)
  const path = join(dir, 'audit.key')
  await loadCheckpointKey(path)
  await chmod(path, 0o640)
  await assert.rejects(loadCheckpointKey(path), { code: 'CONFIG_INVALID', message: /others may read it/ })
  const other = join(dir, 'rsa.key')
  await writeFile(other, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await assert.rejects(loadCheckpointKey(other), { code: 'CONFIG_INVALID', message: /not ed25519/ })
})

test('verifier takes a checkpoint signed by the key and none by another', async () => {
  const key = checkpointKey(generateKeyPairSync('ed25519').privateKey)
  const other = checkpointKey(generateKeyPairSync('ed25519').privateKey)
  const events = someEvents(5)
  const head = events[4] ?? GENESIS
  const time = '2026-11-23T11:00:00.000Z'
  const checkpoint = link({ type: 'checkpoint', head: head.hash, count: 5, signature: key.sign(5, head.hash, time), keyId: key.keyId }, head, time)
  const by = (pem: string) => ({ after: GENESIS, checkpoint: (event: Parameters<typeof isSignedBy>[0]) => isSignedBy(event, createPublicKey(pem)) })
  const good = await verifyChain([...events, checkpoint], by(key.publicPem))
  assert.ok(good.ok && good.checkpoints === 1 && good.lastCheckpoint === 6)
  const bad = await verifyChain([...events, checkpoint], by(other.publicPem))
  assert.ok(!bad.ok && bad.fault === 'unsigned' && bad.seq === 6)
  const forged = link({ type: 'checkpoint', head: head.hash, count: 5, signature: other.sign(5, head.hash, time), keyId: key.keyId }, head, time)
  const report = await verifyChain([...events, forged], by(key.publicPem))
  assert.ok(!report.ok && report.fault === 'unsigned')
})

/** The key that signs checkpoints and tombstones, in its file. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OpsError } from '../core/errors.js'
import { type CheckpointKey, checkpointKey } from '../wire/evidence/checkpoint.js'

/**
 * Reads the key at `path` (PKCS#8 PEM, 0600), or makes it at the first start. The public key rests beside it as `<path>.pub`.
 * @throws OpsError CONFIG_INVALID when others may read it, or when it is not an Ed25519 key
 */
export async function loadCheckpointKey(path: string): Promise<CheckpointKey> {
  const pem = (await readSecret(path)) ?? (await createSecret(path))
  const privateKey = parseKey(pem, path)
  const key = checkpointKey(privateKey)
  await writeFile(`${path}.pub`, key.publicPem, { mode: 0o644 })
  return key
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) throw new OpsError('CONFIG_INVALID', `Cannot use checkpoint key "${path}": others may read it, make it 0600`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Written beside and linked into place, so that a crash never leaves half a key and two first starts agree on one. */
async function createSecret(path: string): Promise<string> {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(4).toString('hex')}.new`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(pem)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await chmod(draft, 0o600)
    await link(draft, path)
    return pem
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return await readFile(path, 'utf8')
  } finally {
    await unlink(draft)
  }
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is ${key.asymmetricKeyType ?? 'no key'}, not ed25519`)
    return key
  } catch (error) {
    throw new OpsError('CONFIG_INVALID', `Cannot use checkpoint key "${path}": ${(error as Error).message}`, { cause: error })
  }
}

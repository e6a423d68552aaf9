/**
 * Checkpoints: the head of the chain, signed, so that a rewritten history shows even to someone who holds only the public key.
 * Ed25519 (RFC 8032) over the UTF-8 text "dockin.checkpoint.v1\n<count>\n<head>\n<time>\n"; the signature is base64.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { OpsError } from '../../core/errors.js'
import type { StoredEvent } from '../../core/types.js'

/** The part of a checkpoint that is signed, as it also stands outside of the log (an anchor). */
export type SignedHead = Pick<Extract<StoredEvent, { type: 'checkpoint' }>, 'count' | 'head' | 'time' | 'keyId' | 'signature'>

/** A signed head from its JSON; undefined where it is none. */
export function parseSignedHead(text: string): SignedHead | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { count, head, time, keyId, signature } = value as Record<string, unknown>
    if (typeof count !== 'number' || typeof head !== 'string' || typeof time !== 'string') return undefined
    return typeof keyId === 'string' && typeof signature === 'string' ? { count, head, time, keyId, signature } : undefined
  } catch {
    return undefined // not JSON, so no head either
  }
}

/** The key that signs checkpoints. */
export interface CheckpointKey {
  /** First 16 hex digits of the sha256 of the public key's SPKI form. */
  readonly keyId: string
  /** SPKI PEM, to be kept elsewhere. */
  readonly publicPem: string
  sign(count: number, head: string, time: string): string
  /** Base64 Ed25519 over the UTF-8 text; what is signed begins with a word of its own, so that no signature fits two kinds. */
  signText(text: string): string
}

/** A key held in memory. @param privateKey Ed25519 */
export function checkpointKey(privateKey: KeyObject): CheckpointKey {
  const publicKey = createPublicKey(privateKey)
  return {
    keyId: keyIdOf(publicKey),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (count, head, time) => sign(null, message(count, head, time), privateKey).toString('base64'),
    signText: (text) => sign(null, Buffer.from(text), privateKey).toString('base64'),
  }
}

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

/** The id under which checkpoints name this public key. */
export function keyIdOf(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' })).slice(0, 16)
}

/** Whether `signature` is that of the owner of `publicKey` over the text. */
export function isTextSignedBy(text: string, signature: string, publicKey: KeyObject): boolean {
  return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64'))
}

/** Whether `event` was signed by the owner of `publicKey`. */
export function isSignedBy(event: SignedHead, publicKey: KeyObject): boolean {
  if (event.keyId !== keyIdOf(publicKey)) return false
  return verify(null, message(event.count, event.head, event.time), publicKey, Buffer.from(event.signature, 'base64'))
}

function message(count: number, head: string, time: string): Buffer {
  return Buffer.from(`dockin.checkpoint.v1\n${count}\n${head}\n${time}\n`)
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

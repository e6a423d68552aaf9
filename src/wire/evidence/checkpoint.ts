/**
 * Checkpoints: the head of the chain, signed, so that a rewritten history shows even to someone who holds only the public key.
 * Ed25519 (RFC 8032) over the UTF-8 text "dockin.checkpoint.v1\n<count>\n<head>\n<time>\n"; the signature is base64.
 */
import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'
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

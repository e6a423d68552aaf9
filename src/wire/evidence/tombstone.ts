/**
 * What retention leaves in the place of files that it removed: one JSON object a line in `tombstones.ndjson` beside them, signed by
 * the key of the checkpoints. It names the range and the hash of its last event, to which the first event that remains is chained.
 * Ed25519 over "dockin.tombstone.v1\n<from>\n<to>\n<prev>\n<head>\n<made>\n".
 */
import type { KeyObject } from 'node:crypto'
import { type CheckpointKey, isTextSignedBy, keyIdOf } from './checkpoint.js'

export const TOMBSTONES = 'tombstones.ndjson'

export interface Tombstone {
  /** Numbers of the first and the last event that were removed. */
  readonly from: number
  readonly to: number
  readonly count: number
  /** What the first of them was chained to. */
  readonly prev: string
  /** Hash of the last of them. */
  readonly head: string
  /** Times of the first and the last of them. */
  readonly fromTime: string
  readonly toTime: string
  readonly files: readonly string[]
  /** RFC 3339. */
  readonly made: string
  readonly keyId: string
  readonly signature: string
}

export function signTombstone(facts: Omit<Tombstone, 'keyId' | 'signature' | 'count'>, key: CheckpointKey): Tombstone {
  return { ...facts, count: facts.to - facts.from + 1, keyId: key.keyId, signature: key.signText(textOf(facts)) }
}

export function isTombstoneSignedBy(tombstone: Tombstone, publicKey: KeyObject): boolean {
  return tombstone.keyId === keyIdOf(publicKey) && isTextSignedBy(textOf(tombstone), tombstone.signature, publicKey)
}

/** The tombstones of a file, in its order; undefined in the place of a line that is none. */
export function parseTombstones(text: string): (Tombstone | undefined)[] {
  return text.split('\n').flatMap((line) => (line === '' ? [] : [parseOne(line)]))
}

function parseOne(line: string): Tombstone | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isTombstone(value) ? value : undefined
  } catch {
    return undefined // not JSON: the verifier says so
  }
}

function isTombstone(value: unknown): value is Tombstone {
  if (typeof value !== 'object' || value === null) return false
  const { from, to, prev, head, made, keyId, signature, toTime } = value as Record<string, unknown>
  return Number.isSafeInteger(from) && Number.isSafeInteger(to) && [prev, head, made, keyId, signature, toTime].every((each) => typeof each === 'string')
}

function textOf({ from, to, prev, head, made }: Pick<Tombstone, 'from' | 'to' | 'prev' | 'head' | 'made'>): string {
  return `dockin.tombstone.v1\n${from}\n${to}\n${prev}\n${head}\n${made}\n`
}

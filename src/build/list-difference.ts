/** What a change of a list changed, as its event tells it. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { ListName } from '../store/list-redis.js'
import { nameOf } from './list-mistakes.js'

/** Of a list as it is written: sha256, hex. */
export function fingerprint(list: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(list) ?? '')
    .digest('hex')
}

/**
 * The hashes of both lists, and the entries that differ; the order of names where only that does.
 * @param shown an entry as an event may hold it
 */
export function difference(
  name: ListName,
  before: readonly unknown[],
  after: readonly unknown[],
  shown: (entry: unknown) => unknown,
): { readonly before: unknown; readonly after: unknown } {
  const [gone, come] = [without(before, after), without(after, before)]
  const isOrder = gone.length === 0 && come.length === 0
  return {
    before: { sha256: fingerprint(before), [name]: isOrder ? before.map(nameOf) : gone.map(shown) },
    after: { sha256: fingerprint(after), [name]: isOrder ? after.map(nameOf) : come.map(shown) },
  }
}

function without(these: readonly unknown[], those: readonly unknown[]): readonly unknown[] {
  const known = new Map(those.map((entry) => [nameOf(entry), entry]))
  return these.filter((entry) => !isDeepStrictEqual(entry, known.get(nameOf(entry))))
}

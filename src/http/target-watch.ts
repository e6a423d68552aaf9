/** A watch over the containers that somebody may see: all of them, then what changes, fed by the inventories themselves. */
import type { TargetListing } from '../core/types.js'
import type { TargetItem, TargetLine } from '../wire/api/targets.js'
import type { ApiParts } from './api-parts.js'
import { type FollowCall, type Followers, openLines } from './line-stream.js'

/** A rollout changes a pod several times in a moment; readers get what came of it. */
const SETTLE_MS = 50

type Parts = Pick<ApiParts, 'tokens' | 'log' | 'resolver' | 'watchable'>
type Told = Map<string, { readonly item: TargetItem; readonly text: string }>

export class TargetWatches {
  readonly #parts: Parts
  readonly #followers: Followers

  constructor(parts: Parts, followers: Followers) {
    this.#parts = parts
    this.#followers = followers
  }

  /** @param itemOf what is told of a container; undefined: nothing @throws OpsError LIMIT_EXCEEDED */
  open(call: FollowCall, itemOf: (listing: TargetListing) => TargetItem | undefined): void {
    const { identity } = call
    const { resolver, watchable } = this.#parts
    const told = new Map<string, Told>()
    const dirty = new Map<string, PodKey>()
    let settling: NodeJS.Timeout | undefined
    const tellAll = (): void => {
      const pods = grouped(resolver.list(identity))
      for (const key of told.keys()) if (!pods.has(key)) tell(key, [])
      for (const [key, listings] of pods) tell(key, listings)
    }
    const tell = (key: string, listings: readonly TargetListing[]): void => {
      const before = told.get(key)
      const { now, lines: changes } = compared(
        before,
        listings.flatMap((listing) => itemOf(listing) ?? []),
      )
      if (now.size > 0) told.set(key, now)
      else told.delete(key)
      for (const change of changes) lines.send(change)
    }
    const settle = (): void => {
      settling = undefined
      const pods = [...dirty]
      dirty.clear()
      for (const [key, pod] of pods) tell(key, watchable.listPod(identity, pod))
    }
    let stop = (): void => {}
    const closed = (): void => {
      stop()
      clearTimeout(settling)
    }
    // rules change as well as pods: now and then everything is looked at again
    const lines = openLines(this.#parts, call, this.#followers, { beat: tellAll, closed })
    stop = watchable.onChange((pod) => {
      dirty.set(keyOf(pod), pod)
      settling ??= setTimeout(settle, SETTLE_MS)
    })
    tellAll()
    lines.send({ kind: 'synced' } satisfies TargetLine)
  }
}

interface PodKey {
  readonly cluster: string
  readonly uid: string
}

function keyOf({ cluster, uid }: PodKey): string {
  return `${cluster}/${uid}`
}

function grouped(listings: readonly TargetListing[]): Map<string, TargetListing[]> {
  const pods = new Map<string, TargetListing[]>()
  for (const listing of listings) {
    const known = pods.get(keyOf(listing.target))
    if (known) known.push(listing)
    else pods.set(keyOf(listing.target), [listing])
  }
  return pods
}

/** What has changed of one pod since it was told. */
function compared(before: Told | undefined, items: readonly TargetItem[]): { readonly now: Told; readonly lines: TargetLine[] } {
  const now: Told = new Map(items.map((item) => [item.name, { item, text: JSON.stringify(item) }]))
  const lines: TargetLine[] = []
  for (const [name, { item }] of before ?? []) if (!now.has(name)) lines.push({ kind: 'gone', item })
  for (const [name, { item, text }] of now) {
    const known = before?.get(name)
    if (known?.text !== text) lines.push({ kind: known ? 'changed' : 'added', item })
  }
  return { now, lines }
}

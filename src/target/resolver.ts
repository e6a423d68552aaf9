/** From an address to the one container that it means, among what the asker may see. */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import type { Identity, Resolution, Target, TargetListing, TargetResolver } from '../core/types.js'
import { type Address, parseAddress } from './address.js'
import { type Candidate, candidatesOf } from './candidates.js'
import { chooseContainer, enterable, fullAddress, runs, stateOf, targetOf } from './container-choice.js'
import type { Inventory, PodFacts } from './inventory.js'
import { NearNames } from './near-names.js'
import { compare } from './pod-index.js'

export interface PodResolverParts {
  /** One for each cluster of the config. */
  readonly inventories: readonly Inventory[]
  /** `policy.decide({ kind: 'see', … }).allow`. Asked for every container that an answer would reveal, so it must be quick. */
  readonly maySee: (identity: Identity, target: Target) => boolean
  readonly now?: () => number
}

/** How many candidates a refusal lists. */
const MAX_LISTED = 10
const MAX_NEAR = 3
/** A connection that is lost for less is on its way back, and its pods are as good as known. */
const STALE_GRACE_MS = 5_000

export class PodResolver implements TargetResolver {
  readonly #inventories: readonly Inventory[]
  readonly #maySee: PodResolverParts['maySee']
  readonly #now: () => number

  constructor(parts: PodResolverParts) {
    this.#inventories = [...parts.inventories].sort((a, b) => compare(a.cluster, b.cluster))
    this.#maySee = parts.maySee
    this.#now = parts.now ?? Date.now
  }

  /** See TargetResolver. A pod that exists but may not be seen gets the very answer of one that does not exist. */
  async resolve(text: string, identity: Identity, signal: AbortSignal, allowsEnded = false): Promise<Resolution> {
    signal.throwIfAborted()
    const address = parseAddress(text)
    const candidates = candidatesOf(address, this.#inventories, (pod) => this.#sees(identity, pod))
    const [only, ...more] = candidates
    if (only === undefined) throw this.#unknown(address, identity)
    if (more.length > 0) throw ambiguous(address, candidates)
    const { pod, note } = onePod(only)
    const inQuestion = allowsEnded ? pod.containers : enterable(pod)
    const visible = inQuestion.filter((container) => this.#maySee(identity, targetOf(pod, container)))
    const choice = chooseContainer(pod, visible, address.container, allowsEnded)
    const notes = [note, choice.note].filter((one) => one !== undefined)
    return { target: choice.target, ...(notes.length === 0 ? {} : { note: notes.join('; ') }) }
  }

  /** See TargetResolver. Sorted by cluster, namespace and pod; the containers of a pod as its spec has them. */
  list(identity: Identity): readonly TargetListing[] {
    const listings: TargetListing[] = []
    for (const inventory of this.#inventories) for (const pod of inventory.find.sorted()) listings.push(...this.#listings(identity, pod))
    return listings
  }

  /** The same of one pod; none when it has gone. */
  listPod(identity: Identity, { cluster, uid }: Pick<PodFacts, 'cluster' | 'uid'>): readonly TargetListing[] {
    const pod = this.#inventories.find((inventory) => inventory.cluster === cluster)?.find.byUid(uid)
    return pod ? this.#listings(identity, pod) : []
  }

  #listings(identity: Identity, pod: PodFacts): TargetListing[] {
    return enterable(pod).flatMap((container) => {
      const target = targetOf(pod, container)
      if (!this.#maySee(identity, target)) return []
      return [{ target, state: stateOf(pod, container), ready: container.ready && pod.deletedMs === undefined, podIp: pod.ip }]
    })
  }

  /** Calls back when any pod of any cluster has changed. Returns the way to stop. */
  onChange(listener: (pod: Pick<PodFacts, 'cluster' | 'uid'>) => void): () => void {
    const stops = this.#inventories.map((inventory) => inventory.onChange(({ pod }) => listener(pod)))
    return () => {
      for (const stop of stops) stop()
    }
  }

  /** Whether the container is still the one that was resolved, and runs. */
  isCurrent(target: Target): boolean {
    return this.#inventories.some((inventory) => inventory.isCurrent(target))
  }

  /** Calls back once when the target's pod has gone. Returns the way to stop. */
  onGone(target: Target, callback: () => void): () => void {
    const inventory = this.#inventories.find((one) => one.cluster === target.cluster)
    return inventory?.onGone(target.uid, callback) ?? (() => {})
  }

  #sees(identity: Identity, pod: PodFacts): boolean {
    return enterable(pod).some((container) => this.#maySee(identity, targetOf(pod, container)))
  }

  /** A name that is not found may be one that could not be learned: then that is said, and not that it does not exist. */
  #unknown(address: Address, identity: Identity): OpsError {
    // An address that ends in the name of a cluster is taken to mean that one.
    const named = this.#inventories.filter((inventory) => address.readings.some((reading) => reading.cluster === inventory.cluster))
    const meant = named.length > 0 ? named : this.#inventories
    const why = meant.map((inventory) => this.#silence(inventory, identity)).filter((one) => one !== undefined)
    if (why.length > 0) {
      const detail = `"${address.text}" is not known, and ${why.join(', ')}`
      return new OpsError('TARGET_UNREACHABLE', `resolve ${detail}`, { detail })
    }
    const near = this.#near(address.text, identity)
    const detail = `"${address.text}"${near.length === 0 ? '' : `; did you mean ${near.join(', ')}?`}`
    return new OpsError('TARGET_UNKNOWN', `resolve ${detail}`, { detail })
  }

  /** Says nothing of a cluster whose pods are known and hidden from the asker. */
  #silence(inventory: Inventory, identity: Identity): string | undefined {
    const { synced, staleSinceMs } = inventory.status()
    const name = `cluster ${escapePeerText(inventory.cluster, 63)}`
    const forMs = staleSinceMs === undefined ? 0 : this.#now() - staleSinceMs
    if (forMs < STALE_GRACE_MS) return synced ? undefined : `${name} is still being read`
    if (inventory.find.size > 0 && !this.#seesAny(inventory, identity)) return undefined
    return `${name} has not answered for ${durationText(forMs)}`
  }

  #seesAny(inventory: Inventory, identity: Identity): boolean {
    for (const pod of inventory.pods()) if (this.#sees(identity, pod)) return true
    return false
  }

  /** Up to three addresses of visible pods that resemble `text`, the nearest first. Policy is asked last: it costs more than a comparison. */
  #near(text: string, identity: Identity): string[] {
    const names = new NearNames(text)
    const byDistance: PodFacts[][] = []
    for (const inventory of this.#inventories) {
      for (const pod of inventory.find.sorted()) {
        const distance = distanceTo(names, text.includes('.'), pod)
        if (distance === undefined) continue
        const pods = byDistance[distance]
        if (pods) pods.push(pod)
        else byDistance[distance] = [pod]
      }
    }
    const near: string[] = []
    for (const pod of byDistance.flat()) {
      if (this.#sees(identity, pod)) near.push(fullAddress(pod))
      if (near.length === MAX_NEAR) break
    }
    return near
  }
}

/** The nearest of the ways to write a pod: text with a dot may name its namespace and cluster too. */
function distanceTo(names: NearNames, dotted: boolean, pod: PodFacts): number | undefined {
  const forms = dotted ? [pod.name, `${pod.name}.${pod.namespace}`, `${pod.name}.${pod.namespace}.${pod.cluster}`] : [pod.name]
  const distances = forms.map((form) => names.nearness(form)).filter((distance) => distance !== undefined)
  return distances.length === 0 ? undefined : Math.min(...distances)
}

/** A Ready pod of several, always the same one while it lives: two terminals, or scp and then ssh, meet in the same place. */
function onePod(candidate: Candidate): { readonly pod: PodFacts; readonly note?: string } {
  const [first] = candidate.pods
  if (first === undefined) throw new OpsError('INTERNAL', 'resolve: a candidate without pods')
  if (candidate.kind === 'pod') return { pod: first }
  const text = escapePeerText(candidate.text, 253)
  if (candidate.kind === 'ip') return { pod: first, note: `pod IP ${text} is ${fullAddress(first)}` }
  const name = `${candidate.kind === 'set' ? 'pod set' : escapePeerText(candidate.workload ?? '', 63)} ${text}`
  const ready = candidate.pods.filter((pod) => pod.ready && pod.deletedMs === undefined && pod.containers.some((container) => runs(pod, container)))
  const [taken] = ready.sort((a, b) => a.createdMs - b.createdMs || compare(a.name, b.name))
  if (taken === undefined) {
    const detail = `${name}: none of ${count(candidate.pods.length, 'pod')} is ready`
    throw new OpsError('TARGET_NOT_RUNNING', `resolve ${detail}`, { detail })
  }
  return { pod: taken, note: `${name}: took ${escapePeerText(taken.name, 253)} of ${count(ready.length, 'ready pod')}` }
}

function ambiguous(address: Address, candidates: readonly Candidate[]): OpsError {
  const suffix = address.container === undefined ? '' : `+${address.container}`
  const texts = [...new Set(candidates.flatMap((one) => addressesOf(one, candidates)))].map((text) => text + suffix)
  const more = texts.length > MAX_LISTED ? `, and ${texts.length - MAX_LISTED} more` : ''
  const detail = texts.slice(0, MAX_LISTED).join(', ') + more
  return new OpsError('TARGET_AMBIGUOUS', `resolve "${address.text}": ${candidates.length} candidates`, { detail })
}

/** How to name a candidate so that it alone is meant: by the workload's name where that is enough, else by its pods. */
function addressesOf(candidate: Candidate, all: readonly Candidate[]): string[] {
  const grouped = candidate.kind === 'workload' || candidate.kind === 'set'
  const rival = all.some(
    (other) => other !== candidate && other.text === candidate.text && other.cluster === candidate.cluster && other.namespace === candidate.namespace,
  )
  if (grouped && !rival) return [fullAddress({ name: candidate.text, namespace: candidate.namespace, cluster: candidate.cluster })]
  return candidate.pods.map(fullAddress)
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

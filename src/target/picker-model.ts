/** What the picker shows and what a key does to it (pure). */
import { escapePeerText } from '../core/log.js'
import type { Target, TargetListing } from '../core/types.js'
import type { Key } from './picker-keys.js'
import { Menu, type MenuItem } from './picker-menu.js'
import type { Column, MenuScreen } from './picker-view.js'

export type Outcome = { readonly kind: 'stay' } | { readonly kind: 'leave' } | { readonly kind: 'chosen'; readonly target: Target }

/** A pod that has several containers is one line. */
interface PodLine {
  readonly containers: readonly TargetListing[]
}

/** Narrow screens lose columns in the order of `dropAt`, the lowest first. */
const POD_COLUMNS: readonly Column[] = [
  { title: 'POD', minWidth: 12, cut: 'middle' },
  { title: 'NAMESPACE', minWidth: 6, cut: 'end', dropAt: 4 },
  { title: 'CLUSTER', minWidth: 5, cut: 'end', dropAt: 3 },
  { title: 'NODE', minWidth: 8, cut: 'end', dropAt: 1 },
  { title: 'STATE', minWidth: 7, cut: 'end', dropAt: 5 },
  { title: 'CTRS', minWidth: 4, cut: 'end', dropAt: 2 },
]
const CONTAINER_COLUMNS: readonly Column[] = [
  { title: 'CONTAINER', minWidth: 12, cut: 'middle' },
  { title: 'STATE', minWidth: 7, cut: 'end', dropAt: 1 },
]
const STAY: Outcome = { kind: 'stay' }

export class PickerModel {
  readonly #pods: Menu<PodLine>
  /** The second list, over the first. */
  #containers: { readonly menu: Menu<TargetListing>; readonly podKey: string; readonly title: string } | undefined
  #message: string | undefined

  constructor(listings: readonly TargetListing[]) {
    this.#pods = new Menu(podItems(listings))
  }

  /** Takes over what has changed in the clusters. */
  update(listings: readonly TargetListing[]): void {
    this.#pods.setItems(podItems(listings))
    const open = this.#containers
    if (!open) return
    const pod = this.#pods.items.find((item) => item.key === open.podKey)
    if (pod) open.menu.setItems(containerItems(pod.value))
    else {
      this.#containers = undefined
      this.#message = 'that pod is gone'
    }
  }

  /** @param pageRows how many lines of the list are shown */
  press(key: Key, pageRows: number): Outcome {
    this.#message = undefined
    if (key.name === 'leave') return { kind: 'leave' }
    if (key.name === 'enter') return this.#enter()
    if (key.name !== 'back') (this.#containers?.menu ?? this.#pods).press(key, pageRows)
    else if (this.#containers) this.#containers = undefined
    else return { kind: 'leave' }
    return STAY
  }

  /** What to draw, of a list of `rows` lines. */
  screen(rows: number): MenuScreen {
    const menu: Menu<unknown> = this.#containers?.menu ?? this.#pods
    const { items, chosen } = menu.window(rows)
    return {
      prompt: this.#containers ? `Container of ${this.#containers.title}: ` : 'Open: ',
      filter: menu.filter,
      count: menu.matching.length,
      total: menu.items.length,
      columns: this.#containers ? CONTAINER_COLUMNS : POD_COLUMNS,
      widths: menu.widths,
      lines: items.map((item) => item.cells),
      chosen,
      empty: menu.items.length === 0 ? 'There is nothing that you may open.' : 'Nothing matches. Backspace takes back a letter.',
      hint: this.#message ?? (this.#containers ? 'Enter opens, Esc goes back' : 'type to filter, Enter opens, Esc leaves'),
      urgent: this.#message !== undefined,
    }
  }

  #enter(): Outcome {
    if (this.#containers) return this.#take(this.#containers.menu.chosen?.value)
    const pod = this.#pods.chosen
    if (!pod) return STAY
    if (pod.value.containers.length === 1) return this.#take(pod.value.containers[0])
    this.#containers = { menu: new Menu(containerItems(pod.value)), podKey: pod.key, title: pod.cells[0] ?? '' }
    return STAY
  }

  #take(listing: TargetListing | undefined): Outcome {
    if (!listing) return STAY
    if (listing.state === 'Running') return { kind: 'chosen', target: listing.target }
    this.#message = `${escapePeerText(listing.target.container, 63)} does not run: ${escapePeerText(listing.state, 80)}`
    return STAY
  }
}

/** Listings in the order of the resolver: the containers of a pod stand together. */
function podItems(listings: readonly TargetListing[]): MenuItem<PodLine>[] {
  const pods = new Map<string, TargetListing[]>()
  for (const listing of listings) {
    const key = `${listing.target.cluster}/${listing.target.uid}`
    const containers = pods.get(key)
    if (containers) containers.push(listing)
    else pods.set(key, [listing])
  }
  return [...pods].map(([key, containers]) => podItem(key, containers))
}

function podItem(key: string, containers: readonly TargetListing[]): MenuItem<PodLine> {
  const target = containers[0]?.target
  // The pod is as well as its worst container.
  const state = containers.find((one) => one.state !== 'Running')?.state ?? 'Running'
  const texts = [target?.pod ?? '', target?.namespace ?? '', target?.cluster ?? '', target?.node ?? '', state]
  const cells = [...texts.map((text) => escapePeerText(text)), containers.length > 1 ? String(containers.length) : '']
  return { key, cells, searchable: [...texts, ...containers.map((one) => one.target.container)].join(' ').toLowerCase(), value: { containers } }
}

function containerItems(pod: PodLine): MenuItem<TargetListing>[] {
  return pod.containers.map((listing) => {
    const cells = [escapePeerText(listing.target.container), escapePeerText(listing.state)]
    return { key: listing.target.container, cells, searchable: cells.join(' ').toLowerCase(), value: listing }
  })
}

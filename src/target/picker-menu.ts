/** A list that is filtered by typing and has one line chosen (pure). The pods are one such list, the containers of a pod another. */
import stringWidth from 'string-width'
import type { Key } from './picker-keys.js'

export interface MenuItem<T> {
  /** Stays the same while the thing does, so that the choice survives updates. */
  readonly key: string
  /** One text for each column, already safe for a terminal. */
  readonly cells: readonly string[]
  /** In lower case. */
  readonly searchable: string
  readonly value: T
}

/** No pod, namespace and cluster together are longer. */
const MAX_FILTER_CHARS = 200

export class Menu<T> {
  #items: readonly MenuItem<T>[] = []
  #matching: readonly MenuItem<T>[] = []
  #widths: readonly number[] = []
  #filter = ''
  #index = 0
  #top = 0

  constructor(items: readonly MenuItem<T>[]) {
    this.setItems(items)
  }

  get filter(): string {
    return this.#filter
  }
  get items(): readonly MenuItem<T>[] {
    return this.#items
  }
  get matching(): readonly MenuItem<T>[] {
    return this.#matching
  }
  /** How wide the widest cell of each column is, of all items: columns must not jump while one scrolls or filters. */
  get widths(): readonly number[] {
    return this.#widths
  }
  get chosen(): MenuItem<T> | undefined {
    return this.#matching[this.#index]
  }

  /** Replaces what there is to choose from; the same thing stays chosen when it is still there. */
  setItems(items: readonly MenuItem<T>[]): void {
    const key = this.chosen?.key
    this.#items = items
    this.#widths = widest(items)
    this.#match()
    const at = key === undefined ? -1 : this.#matching.findIndex((item) => item.key === key)
    this.#move(at >= 0 ? at : this.#index)
  }

  /** Applies a key that moves or filters. @param pageRows how many lines of the list are shown */
  press(key: Key, pageRows: number): void {
    const moves: Partial<Record<Key['name'], number>> = {
      up: this.#index - 1,
      down: this.#index + 1,
      pageUp: this.#index - Math.max(1, pageRows - 1),
      pageDown: this.#index + Math.max(1, pageRows - 1),
      home: 0,
      end: Number.MAX_SAFE_INTEGER,
    }
    const move = moves[key.name]
    if (move !== undefined) this.#move(move)
    else if (key.name === 'text') this.#setFilter(this.#filter + key.text)
    else if (key.name === 'erase') this.#setFilter([...this.#filter].slice(0, -1).join(''))
    else if (key.name === 'eraseWord') this.#setFilter(this.#filter.replace(/\S*\s*$/u, ''))
    else if (key.name === 'eraseAll') this.#setFilter('')
  }

  /** The lines that fit into `rows`, scrolled just so far that the chosen one is among them, and its place. */
  window(rows: number): { readonly items: readonly MenuItem<T>[]; readonly chosen: number } {
    const last = Math.max(0, this.#matching.length - rows)
    this.#top = Math.min(Math.max(this.#top, this.#index - rows + 1, 0), this.#index, last)
    return { items: this.#matching.slice(this.#top, this.#top + rows), chosen: this.#index - this.#top }
  }

  #setFilter(filter: string): void {
    if (filter === this.#filter || filter.length > MAX_FILTER_CHARS) return
    this.#filter = filter
    this.#match()
    this.#move(0)
  }

  /** Every word typed must be found somewhere. */
  #match(): void {
    const words = this.#filter
      .toLowerCase()
      .split(/\s+/u)
      .filter((word) => word !== '')
    this.#matching = words.length === 0 ? this.#items : this.#items.filter((item) => words.every((word) => item.searchable.includes(word)))
  }

  #move(index: number): void {
    this.#index = Math.max(0, Math.min(index, this.#matching.length - 1))
  }
}

function widest(items: readonly MenuItem<unknown>[]): number[] {
  const widths: number[] = []
  for (const { cells } of items) {
    for (let i = 0; i < cells.length; i++) widths[i] = Math.max(widths[i] ?? 0, stringWidth(cells[i] ?? ''))
  }
  return widths
}

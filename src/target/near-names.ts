/** Names that resemble what was typed, for "did you mean". */

/**
 * Compares many names with one text. Only the diagonal band that can stay within the allowed edits is computed, in rows
 * that are made once: ten thousand names take some milliseconds, during which the gateway does nothing else.
 */
export class NearNames {
  readonly #text: string
  readonly #max: number
  /** The last three rows of the distance table. */
  readonly #rows: readonly [Int32Array, Int32Array, Int32Array]

  /** @param max how many edits are near; by default one for a short text, at most three */
  constructor(text: string, max = Math.min(3, 1 + Math.floor(text.length / 5))) {
    this.#text = text
    this.#max = max
    const row = () => new Int32Array(text.length + 2)
    this.#rows = [row(), row(), row()]
  }

  /** How far `name` is: its edits, or at most 1 when the text is its beginning; undefined when it is too far to be meant. */
  nearness(name: string): number | undefined {
    if (name === this.#text) return 0
    if (this.#text.length >= 2 && name.startsWith(this.#text)) return 1
    const distance = this.distance(name)
    return distance <= this.#max ? distance : undefined
  }

  /**
   * Edits (insert, delete, replace, swap of neighbours) between `name` and the text; restricted Damerau-Levenshtein distance.
   * @returns max + 1 when there are more than max
   */
  distance(name: string): number {
    const text = this.#text
    const max = this.#max
    const tooFar = max + 1
    if (Math.abs(name.length - text.length) > max) return tooFar
    // What both begin with costs nothing; pods of one workload differ only behind it.
    let from = 0
    while (from < text.length && name.charCodeAt(from) === text.charCodeAt(from)) from++
    const same = (i: number, j: number) => name.charCodeAt(from + i - 1) === text.charCodeAt(from + j - 1)
    const [rows, columns] = [name.length - from, text.length - from]
    let [beforeLast, last, row] = this.#rows
    for (let j = 0; j <= Math.min(columns, tooFar); j++) last[j] = j
    for (let i = 1; i <= rows; i++) {
      const start = Math.max(1, i - max)
      const end = Math.min(columns, i + max)
      // What lies beside the band counts as too far.
      let left = start === 1 && i <= max ? i : tooFar
      row[start - 1] = left
      let smallest = left
      for (let j = start; j <= end; j++) {
        left = Math.min((last[j - 1] ?? 0) + (same(i, j) ? 0 : 1), (last[j] ?? 0) + 1, left + 1)
        if (i > 1 && j > 1 && same(i, j - 1) && same(i - 1, j)) left = Math.min(left, (beforeLast[j - 2] ?? 0) + 1)
        row[j] = left
        smallest = Math.min(smallest, left)
      }
      if (smallest > max) return tooFar
      row[end + 1] = tooFar
      const spare = beforeLast
      beforeLast = last
      last = row
      row = spare
    }
    return Math.min(last[columns] ?? tooFar, tooFar)
  }
}

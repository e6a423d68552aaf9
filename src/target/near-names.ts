/** Names that resemble what was typed, for "did you mean". */

/**
 * Edits (insert, delete, replace, swap of neighbours) between two texts, as far as `max`.
 * Only the diagonal band that can stay within `max` is computed, and what both begin or end with is skipped: ten
 * thousand names are compared in a few milliseconds.
 * @returns max + 1 when there are more; restricted Damerau-Levenshtein distance
 */
export function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1
  let from = 0
  while (from < a.length && a.charCodeAt(from) === b.charCodeAt(from)) from++
  let [aEnd, bEnd] = [a.length, b.length]
  while (aEnd > from && bEnd > from && a.charCodeAt(aEnd - 1) === b.charCodeAt(bEnd - 1)) {
    aEnd--
    bEnd--
  }
  return bandedDistance(a.slice(from, aEnd), b.slice(from, bEnd), max)
}

function bandedDistance(a: string, b: string, max: number): number {
  const tooFar = max + 1
  const at = (row: readonly number[], j: number) => row[j] ?? tooFar
  let beforeLast: number[] = []
  let last = Array.from({ length: Math.min(b.length, max) + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row: number[] = []
    const start = Math.max(0, i - max)
    let smallest = tooFar
    // Below the band nothing is read but through `at`, which takes what is missing for too far.
    for (let j = start; j <= Math.min(b.length, i + max); j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1)
      let cost = j === 0 ? i : Math.min(at(last, j) + 1, j > start ? at(row, j - 1) + 1 : tooFar, at(last, j - 1) + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1)
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1)
      row[j] = cost
      smallest = Math.min(smallest, cost)
    }
    if (smallest > max) return tooFar
    beforeLast = last
    last = row
  }
  return Math.min(at(last, b.length), tooFar)
}

/** What a typing mistake may cost: one edit in a short name, at most three. */
export function allowedEdits(text: string): number {
  return Math.min(3, 1 + Math.floor(text.length / 5))
}

/** How far `name` is from `text`: its edits, or 1 when `text` is its beginning; undefined when it is too far to be meant. */
export function nearness(text: string, name: string): number | undefined {
  if (name === text) return 0
  if (text.length >= 2 && name.startsWith(text)) return 1
  const max = allowedEdits(text)
  const distance = editDistance(text, name, max)
  return distance <= max ? distance : undefined
}

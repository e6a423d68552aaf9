/** Names that resemble what was typed, for "did you mean". */

/**
 * Edits (insert, delete, replace, swap of neighbours) between two texts, as far as `max`.
 * @returns max + 1 when there are more; restricted Damerau-Levenshtein distance
 */
export function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    let smallest = i
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
      smallest = Math.min(smallest, cost)
    }
    if (smallest > max) return max + 1
    beforeLast = last
    last = row
  }
  return Math.min(last[b.length] ?? max + 1, max + 1)
}

/** What a typing mistake may cost: one edit in a short name, at most three. */
export function allowedEdits(text: string): number {
  return Math.min(3, 1 + Math.floor(text.length / 5))
}

/** How far `name` is from `text`: its edits, or 1 when `text` is its beginning; undefined when it is too far to be meant. */
export function nearness(text: string, name: string): number | undefined {
  if (text.length >= 2 && name.startsWith(text)) return 1
  const max = allowedEdits(text)
  const distance = editDistance(text, name, max)
  return distance <= max ? distance : undefined
}

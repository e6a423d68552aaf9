/** "Did you mean": the names that are near to what was typed. */

/** At most three of `names`, nearest first; those that begin with the text count as near. */
export function nearNames(text: string, names: readonly string[]): string[] {
  const most = Math.min(3, 1 + Math.floor(text.length / 5))
  const scored = [...new Set(names)].map((name) => ({ name, distance: text.length >= 2 && name.startsWith(text) ? 1 : editDistance(text, name, most) }))
  return scored
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}

/** `(did you mean "pods"?)` with a space before it, or nothing. */
export function suggestion(text: string, names: readonly string[]): string {
  const near = nearNames(text, names)
  return near.length === 0 ? '' : ` (did you mean ${near.map((name) => `"${name}"`).join(' or ')}?)`
}

/** Inserts, deletes, replaces and swaps of neighbours; `most + 1` when there are more. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j - 1] ?? 0) + (same ? 0 : 1), (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    before = last
    last = row
  }
  return Math.min(last[b.length] ?? 0, most + 1)
}

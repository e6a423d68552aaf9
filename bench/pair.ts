/** Measures two things in turn, so that a machine whose speed drifts slows both alike, and tells the ratio. */

/** One line of the table. `ratio` is ours / reference. */
export interface Row {
  readonly name: string
  readonly unit: string
  readonly reference?: number
  readonly ours?: number
  readonly ratio?: number
  readonly goal: string
  readonly verdict: 'met' | 'MISSED' | 'skipped'
  readonly note: string
}
export interface Goal {
  readonly text: string
  readonly met: (ratio: number, ours: number) => boolean
}
export const atMost = (limit: number): Goal => ({ text: `ratio ≤ ${limit}`, met: (ratio) => ratio <= limit })
export const atLeast = (limit: number): Goal => ({ text: `ratio ≥ ${limit}`, met: (ratio) => ratio >= limit })

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** One warm-up of each, then `pairs` of reference and ours in turn; the row holds medians and the median of the ratios. */
export async function measurePair(
  name: string,
  unit: string,
  goal: Goal,
  reference: () => Promise<number>,
  ours: () => Promise<number>,
  pairs = 7,
): Promise<Row> {
  await reference()
  await ours()
  const results: { reference: number; ours: number }[] = []
  for (let i = 0; i < pairs; i++) results.push({ reference: await reference(), ours: await ours() })
  return pairedRow(name, unit, goal, results)
}

/** The row of measurements that were taken in turn. */
export function pairedRow(name: string, unit: string, goal: Goal, results: readonly { readonly reference: number; readonly ours: number }[]): Row {
  const ratio = median(results.map((r) => r.ours / r.reference))
  const ours = median(results.map((r) => r.ours))
  const verdict = goal.met(ratio, ours) ? 'met' : 'MISSED'
  return { name, unit, reference: median(results.map((r) => r.reference)), ours, ratio, goal: goal.text, verdict, note: `${results.length} pairs` }
}

export function skippedRow(name: string, goal: string, why: string): Row {
  return { name, unit: '', goal, verdict: 'skipped', note: why }
}

export function printTable(rows: readonly Row[]): string {
  const number = (value: number | undefined): string => (value === undefined ? '-' : value >= 100 ? value.toFixed(0) : value.toPrecision(3))
  const cells = rows.map((row) => [row.name, row.unit, number(row.reference), number(row.ours), number(row.ratio), row.goal, row.verdict, row.note])
  const table = [['what', 'unit', 'reference', 'ours', 'ratio', 'goal', 'verdict', 'note'], ...cells]
  const widths = (table[0] as string[]).map((_, column) => Math.max(...table.map((line) => (line[column] as string).length)))
  return table
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Results of a batch that are the same are shown once. */
import { createHash } from 'node:crypto'
import { exitOf, type Outcome } from './outcome.js'

export interface OutcomeGroup<T> {
  readonly items: readonly T[]
  /** Of the first; those of the others look the same. */
  readonly outcome: Outcome
}

/** Groups by kind, exit code, message and output; the largest first, but those that did not succeed last, where eyes are. */
export function groupOutcomes<T>(outcomes: ReadonlyMap<T, Outcome>): OutcomeGroup<T>[] {
  const groups = new Map<string, { items: T[]; outcome: Outcome }>()
  for (const [item, outcome] of outcomes) {
    const key = likeness(outcome)
    const group = groups.get(key)
    if (group) group.items.push(item)
    else groups.set(key, { items: [item], outcome })
  }
  return [...groups.values()].sort((a, b) => rank(a.outcome) - rank(b.outcome) || b.items.length - a.items.length)
}

function rank(outcome: Outcome): number {
  if (outcome.kind === 'exited') return outcome.code === 0 ? 0 : 1
  return ['refused', 'failed', 'timeout', 'interrupted', 'skipped'].indexOf(outcome.kind) + 2
}

function likeness(outcome: Outcome): string {
  const hash = createHash('sha256').update(`${outcome.kind} ${exitOf(outcome)}\n`)
  if (outcome.kind !== 'exited') return hash.update(outcome.message).digest('hex')
  hash.update(`${outcome.truncated} ${outcome.stdout.length}\n`)
  return hash.update(outcome.stdout).update(outcome.stderr).digest('hex')
}

/**
 * Names that differ in one number, folded: `web-0 web-1 web-2 db-7` -> `web-[0-2] db-7`. Only plain decimal numbers without
 * leading zeros are folded, so that each name can be read back from it.
 */
export function foldNames(names: readonly string[]): string[] {
  const families = new Map<string, { prefix: string; suffix: string; numbers: number[] }>()
  const folded: { readonly family?: string; readonly name?: string }[] = []
  for (const name of [...new Set(names)]) {
    const match = /^(.*?)(0|[1-9]\d{0,8})(\D*)$/.exec(name)
    const [, prefix = '', number = '', suffix = ''] = match ?? []
    // a number behind another one (an IP address, a hash) tells nothing about a row of pods
    if (!match || /\d$/.test(prefix) || /^[0-9a-f]{4,}$/.test(suffix)) {
      folded.push({ name })
      continue
    }
    const key = `${prefix}\0${suffix}`
    const family = families.get(key)
    if (family) family.numbers.push(Number(number))
    else {
      families.set(key, { prefix, suffix, numbers: [Number(number)] })
      folded.push({ family: key })
    }
  }
  return folded.map(({ family, name }) => {
    const found = families.get(family ?? '')
    return found ? rangeText(found.prefix, found.numbers, found.suffix) : (name ?? '')
  })
}

function rangeText(prefix: string, numbers: number[], suffix: string): string {
  if (numbers.length === 1) return `${prefix}${numbers[0]}${suffix}`
  const runs: [number, number][] = []
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last && number === last[1] + 1) last[1] = number
    else runs.push([number, number])
  }
  const parts = runs.map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from},${to}` : `${from}-${to}`))
  return `${prefix}[${parts.join(',')}]${suffix}`
}

/** Results of a batch for a person. */

import { foldNames, groupOutcomes, type OutcomeGroup } from '../batch/groups.js'
import { type Outcome, outcomeText, succeeded } from '../batch/outcome.js'
import { countKinds } from '../batch/report.js'
import { DrawingFilter } from '../replay/filter.js'
import { isBinary, safe } from '../text/safe.js'
import type { Paint } from '../text/style.js'
import { type PodItem, podName } from './selector.js'

export interface ShowOptions {
  readonly paint: Paint
  /** Where it goes to a terminal, only text and colours of the programs' output pass. */
  readonly isTerminal: boolean
  /** One block a pod instead of one for equal results. */
  readonly each: boolean
}

/** Blocks of a heading and the output. */
export function resultsText(outcomes: ReadonlyMap<PodItem, Outcome>, options: ShowOptions): string {
  const groups: OutcomeGroup<PodItem>[] = options.each ? [...outcomes].map(([item, outcome]) => ({ items: [item], outcome })) : groupOutcomes(outcomes)
  return groups.map((group) => groupText(group, options)).join('')
}

function groupText({ items, outcome }: OutcomeGroup<PodItem>, { paint, isTerminal }: ShowOptions): string {
  const names = foldNames(items.map(podName)).map(safe).join(' ')
  const count = items.length === 1 ? '' : `${items.length} pods, `
  const style = succeeded(outcome) ? 'green' : outcome.kind === 'skipped' ? 'yellow' : 'red'
  const heading = paint(style, `=== ${count}${safe(outcomeText(outcome))}: `) + paint('bold', names)
  return `${heading}\n${outcome.kind === 'exited' ? outputText(outcome.stdout, isTerminal) + outputText(outcome.stderr, isTerminal) : ''}`
}

function outputText(bytes: Buffer, isTerminal: boolean): string {
  if (bytes.length === 0) return ''
  if (isTerminal && isBinary(bytes)) return `(${bytes.length} bytes that are no text)\n`
  const filtered = isTerminal ? `${new DrawingFilter({ coloursOnly: true }).push(bytes.toString())}` : bytes.toString()
  // a colour that the program left on must not run into the next block
  const closed = isTerminal && filtered.includes('\x1b[') ? `${filtered}\x1b[0m` : filtered
  return /\n(\x1b\[0m)?$/.test(closed) ? closed : `${closed}\n`
}

const WORDS: Readonly<Record<string, string>> = { nonZero: 'exit not 0', timeout: 'timed out', skipped: 'not started' }

/** "50 pods: 48 succeeded, 2 refused". */
export function countsText(outcomes: Iterable<Outcome>): string {
  const counts = Object.entries(countKinds(outcomes))
  const total = counts.reduce((sum, [, count]) => sum + count, 0)
  return `${total} ${total === 1 ? 'pod' : 'pods'}: ${counts.map(([kind, count]) => `${count} ${WORDS[kind] ?? kind}`).join(', ') || 'nothing done'}`
}

/** What the verifier found, as values and as lines for a person. */

/** One thing that is not what it was, worst first: what stands first in a report is the first in the log. */
export interface EvidenceProblem {
  readonly kind: 'changed' | 'missing' | 'reordered' | 'inserted' | 'swapped' | 'truncated' | 'forged' | 'unreadable'
  /** "event 41" or the path of a recording. */
  readonly where: string
  /** One line, without a full stop. */
  readonly message: string
}

export interface EvidenceReport {
  readonly ok: boolean
  readonly problems: readonly EvidenceProblem[]
  /** What does not disprove anything and still should be known. */
  readonly notes: readonly string[]
  /** The events that are proven to be as they were; absent when there is none. */
  readonly range?: { readonly first: number; readonly last: number; readonly count: number; readonly from: string; readonly to: string; readonly head: string }
  readonly checkpoints: number
  /** The last event that a good signature stands for; 0 when none does. */
  readonly signedThrough: number
  /** Events that retention removed, by signed tombstones. */
  readonly removed: number
  readonly recordings: { readonly verified: number; readonly elsewhere: number; readonly removed: number }
  /** Of the key that was used; absent when there was none. */
  readonly key?: { readonly id: string; readonly source: string }
}

/** The report as lines: what was verified, notes, problems, the verdict last. */
export function printReport(report: EvidenceReport): string {
  const { range, recordings, removed, key } = report
  const lines: string[] = []
  if (range) lines.push(`events ${range.first} to ${range.last} (${range.count}), ${range.from} to ${range.to}`, `head ${range.head}`)
  lines.push(
    key
      ? `${report.checkpoints} checkpoints, signed through event ${report.signedThrough} by key ${key.id} (${key.source})`
      : 'no public key: signatures were not looked at',
  )
  if (removed > 0) lines.push(`${removed} older events were removed by retention; signed tombstones stand for them`)
  const elsewhere = recordings.elsewhere > 0 ? `, ${recordings.elsewhere} rest elsewhere and were not looked at` : ''
  lines.push(
    `${recordings.verified} recordings are what was recorded${elsewhere}${recordings.removed > 0 ? `, ${recordings.removed} removed by retention` : ''}`,
  )
  for (const note of report.notes) lines.push(`note: ${note}`)
  for (const { kind, message } of report.problems) lines.push(`${kind.toUpperCase()}: ${message}`)
  lines.push(report.ok ? 'verified' : 'NOT verified')
  return `${lines.join('\n')}\n`
}

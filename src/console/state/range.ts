/** From when to when, as the address holds it. */

/** Spans that a person asks for: hours back from now. */
export const SINCE: Readonly<Record<string, { readonly label: string; readonly hours: number }>> = {
  '1h': { label: 'Last hour', hours: 1 },
  '24h': { label: 'Last 24 hours', hours: 24 },
  '7d': { label: 'Last 7 days', hours: 168 },
  '30d': { label: 'Last 30 days', hours: 720 },
}

/** `since` of SINCE, or `from` and `to` as a date field writes them (local time), as the API's RFC 3339. */
export function rangeOf(values: { readonly since?: string; readonly from?: string; readonly to?: string }, now: Date): { from?: string; to?: string } {
  const span = values.since === undefined ? undefined : SINCE[values.since]
  if (span) return { from: new Date(now.getTime() - span.hours * 3_600_000).toISOString() }
  const from = isoOf(values.from)
  const to = isoOf(values.to)
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

function isoOf(text: string | undefined): string | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}

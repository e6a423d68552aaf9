/** What an AuditFilter means, once, for every store. */
import { type AuditFilter, type StoredEvent, targetText } from '../core/types.js'

/** Fields whose text `filter.text` looks through. */
const TEXT_FIELDS = ['line', 'path', 'to', 'reason', 'address', 'action', 'object', 'user', 'session', 'rule', 'cwd'] as const

/** Answers whether an event passes; `limit` is the reader's to count. */
export function eventFilter(filter: AuditFilter): (event: StoredEvent) => boolean {
  const from = filter.from?.toISOString()
  const to = filter.to?.toISOString()
  const text = filter.text?.toLowerCase()
  return (event) =>
    (filter.after === undefined || event.seq > filter.after) &&
    (from === undefined || event.time >= from) &&
    (to === undefined || event.time <= to) &&
    (filter.user === undefined || event.user === filter.user) &&
    (filter.session === undefined || event.session === filter.session) &&
    (filter.type === undefined || event.type === filter.type) &&
    (filter.target === undefined || (event.target !== undefined && targetText(event.target).includes(filter.target))) &&
    (text === undefined || searchText(event).toLowerCase().includes(text))
}

/**
 * Answers whether a line of JSON may hold a matching event, without parsing it. Only says no when it is sure: the exact
 * form of `"user":"bob"` is what JSON.stringify wrote.
 */
export function lineFilter(filter: AuditFilter): (line: string) => boolean {
  const needles = (['user', 'session', 'type'] as const).flatMap((key) => {
    const wanted = filter[key]
    return wanted === undefined ? [] : [`${JSON.stringify(key)}:${JSON.stringify(wanted)}`]
  })
  return needles.length === 0 ? () => true : (line) => needles.every((needle) => line.includes(needle))
}

/** Everything of an event that `filter.text` looks through, one field a line. */
export function searchText(event: StoredEvent): string {
  const fields: string[] = []
  for (const name of TEXT_FIELDS) {
    const value: unknown = Reflect.get(event, name)
    if (typeof value === 'string') fields.push(value)
  }
  if (event.type === 'command' && event.lineBase64 !== undefined) fields.push(Buffer.from(event.lineBase64, 'base64').toString('utf8'))
  if (event.target !== undefined) fields.push(targetText(event.target))
  return fields.join('\n')
}

/** The command lines of a session, where they stand in its recording. */
import { OpsError } from '../core/errors.js'
import type { SessionSummary, StoredEvent } from '../core/types.js'
import type { CommandItem } from '../wire/api/sessions.js'
import type { ApiParts, Handlers } from './api-parts.js'
import { partOf } from './pages.js'
import { seenSession } from './session-access.js'

type CommandEvent = Extract<StoredEvent, { type: 'command' }>
type ExitEvent = Extract<StoredEvent, { type: 'command.exit' }>

/** Commands of one session that are looked through; a shell script pasted for a whole day stays below. */
const MAX_EVENTS = 50_000
const PART = 1000

export function commandHandlers(parts: ApiParts): Required<Pick<Handlers, 'listCommands'>> {
  return {
    listCommands: async ({ params, query, identity, request }) => {
      const session = await seenSession(parts, identity, params.id, request.raw)
      const [commands, exits] = await Promise.all([eventsOf(parts, params.id, 'command'), eventsOf(parts, params.id, 'command.exit')])
      const ends = new Map(exits.filter((event): event is ExitEvent => event.type === 'command.exit').map((event) => [event.command, event]))
      const startMs = Date.parse(session.startedAt)
      const marks = await marksOf(parts, session)
      const list = commands.filter((event): event is CommandEvent => event.type === 'command')
      const { items, ...rest } = partOf(list, query)
      return { items: items.map((event) => itemOf(event, ends.get(event.seq), marks.get(event.seq) ?? (Date.parse(event.time) - startMs) / 1000)), ...rest }
    },
  }
}

/** The recording knows best where a command begins in it: it starts later than its session, after the picker and all that is asked before. */
async function marksOf({ recordings, registry }: ApiParts, { id, recording }: SessionSummary): Promise<ReadonlyMap<number, number>> {
  if (recording === undefined && !registry.find(id)) return new Map()
  // none, removed, or encrypted for somebody else: the times of the events serve
  const marks = await recordings.marks(id).catch(() => [])
  return new Map(marks.flatMap(({ seq, seconds }) => (seq === undefined ? [] : [[seq, seconds]])))
}

async function eventsOf({ search }: Pick<ApiParts, 'search'>, session: string, type: string): Promise<readonly StoredEvent[]> {
  const events: StoredEvent[] = []
  let cursor: string | undefined
  do {
    const page = await search.events({ session, type, order: 'oldest', limit: PART, ...(cursor !== undefined && { cursor }) })
    events.push(...page.items)
    cursor = page.next
    if (events.length > MAX_EVENTS) throw new OpsError('LIMIT_EXCEEDED', `session "${session}" has more than ${MAX_EVENTS} events of type ${type}`)
  } while (cursor !== undefined)
  return events
}

function itemOf(event: CommandEvent, end: ExitEvent | undefined, offset: number): CommandItem {
  const { seq, time, line, lineBase64, cwd, verdict, rule, reason, commands, confidence } = event
  return {
    seq,
    time,
    offset: Math.max(0, offset),
    ...(line !== undefined && { line }),
    ...(lineBase64 !== undefined && { lineBase64 }),
    ...(cwd !== undefined && { cwd }),
    verdict,
    ...(rule !== undefined && { rule }),
    ...(reason !== undefined && { reason }),
    ...(commands && { commands: commands.map((words) => [...words]) }),
    confidence,
    ...(end && { status: end.status, ms: end.ms }),
  }
}

/** One session: its replay or live view, what was run and transferred, and what may be done about it. */
import { useState } from 'preact/hooks'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import { Answered } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { Badge, Peer, StateBadge, Time } from '../parts/values.js'
import type { Playback } from '../player/playback.js'
import { useConsole } from '../state/console.js'
import { useLoad } from '../state/load.js'
import { SessionActions } from './session-actions.js'
import { SessionScreen } from './session-screen.js'
import { SessionSide } from './session-side.js'

/** While it runs. */
const LIVE_MS = 3000
const MOST_COMMANDS = 5000

export function SessionPage({ id }: { readonly id: string }) {
  const { api } = useConsole()
  const [isLive, setLive] = useState(false)
  const session = useLoad(
    id,
    async (signal) => {
      const data = await api.getSession({ params: { id }, signal })
      setLive(data.state === 'live')
      return data
    },
    isLive ? LIVE_MS : undefined,
  )
  return <Answered answer={session}>{(data) => <Known session={data} reload={session.reload} />}</Answered>
}

function Known({ session, reload }: { readonly session: SessionDetail; readonly reload: () => void }) {
  const { api } = useConsole()
  const [playback, setPlayback] = useState<Playback>()
  const { id, state } = session
  const commands = useLoad(
    `${id} commands`,
    (signal) => allCommands((cursor) => api.listCommands(commandQuery(id, cursor, signal))),
    state === 'live' ? LIVE_MS : undefined,
  )
  return (
    <>
      <PageHead title={`${session.user} in ${session.target?.pod ?? session.address ?? 'no target'}`} lead={<Lead session={session} />}>
        <SessionActions session={session} reload={reload} />
      </PageHead>
      {session.locked && (
        <p class="note warn" role="status">
          Locked by <Peer text={session.locked.by} />
          {session.locked.reason !== undefined && (
            <>
              : <Peer text={session.locked.reason} />
            </>
          )}
          . What the user types is held.
        </p>
      )}
      <div class="session">
        <SessionScreen session={session} commands={commands} onPlayer={setPlayback} onChange={reload} />
        <SessionSide session={session} commands={commands} playback={playback} />
      </div>
    </>
  )
}

function Lead({ session }: { readonly session: SessionDetail }) {
  const { state, startedAt, door, target, review, denied } = session
  return (
    <span class="row wrap">
      <StateBadge state={state} />
      {denied > 0 && <Badge tone="bad">{denied} denied</Badge>}
      {review && <Badge tone="good">reviewed by {review.by}</Badge>}
      <span>
        {door} · <Time at={startedAt} />
      </span>
      {target && <Peer text={`${target.cluster}/${target.namespace} · ${target.container}`} />}
    </span>
  )
}

function commandQuery(id: string, cursor: string | undefined, signal: AbortSignal) {
  return { params: { id }, query: { limit: 1000, ...(cursor !== undefined && { cursor }) }, signal }
}

/** Every command, part by part. */
async function allCommands(ask: (cursor: string | undefined) => Promise<{ items: readonly CommandItem[]; next?: string | undefined }>): Promise<CommandItem[]> {
  const all: CommandItem[] = []
  let cursor: string | undefined
  do {
    const part = await ask(cursor)
    all.push(...part.items)
    cursor = part.next
  } while (cursor !== undefined && all.length < MOST_COMMANDS)
  return all
}

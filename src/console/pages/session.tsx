/** One session: its replay or live view, what was run and transferred, and what may be done about it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import { Answered } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { Badge, Peer, StateBadge, Time } from '../parts/values.js'
import type { CastPart } from '../player/cast.js'
import { beginOf, firstPart } from '../player/parts.js'
import type { Playback } from '../player/playback.js'
import { useConsole } from '../state/console.js'
import { useLoad } from '../state/load.js'
import { SessionActions } from './session-actions.js'
import { SessionScreen } from './session-screen.js'
import { SessionSide } from './session-side.js'

/** While it runs. */
const LIVE_MS = 3000
const MOST_COMMANDS = 5000
const FIRST_FRAME_MS = 1500

export function SessionPage({ id }: { readonly id: string }) {
  const { api } = useConsole()
  const [isLive, setLive] = useState(false)
  const early = useEarlyPart(id)
  const session = useLoad(
    id,
    async (signal) => {
      const data = await api.getSession({ params: { id }, signal })
      setLive(data.state === 'live')
      return data
    },
    isLive ? LIVE_MS : undefined,
  )
  return <Answered answer={session}>{(data) => <Known session={data} early={early} reload={session.reload} />}</Answered>
}

/** Asks for the recording together with the session where the address names a place in it: whoever found something is waiting for it. */
function useEarlyPart(id: string): Promise<CastPart> | undefined {
  const { api } = useConsole()
  const [search] = useSearchParams()
  const gone = useRef(new AbortController())
  useEffect(() => () => gone.current.abort(), [])
  return useMemo(() => {
    const begin = beginOf(search)
    const part = begin && firstPart(api, id, begin, gone.current.signal)
    part?.catch(() => undefined) // told where it would be shown; a session may have no recording
    return part
  }, [id])
}

interface KnownProps {
  readonly session: SessionDetail
  readonly early: Promise<CastPart> | undefined
  readonly reload: () => void
}
function Known({ session, early, reload }: KnownProps) {
  const { api } = useConsole()
  const [playback, setPlayback] = useState<Playback>()
  const isDrawn = useDrawn(playback, early !== undefined)
  const { id, state } = session
  const loaded = useLoad(
    `${id} commands`,
    (signal) => allCommands((cursor) => api.listCommands(commandQuery(id, cursor, signal))),
    state === 'live' ? LIVE_MS : undefined,
  )
  // the frame that was asked for comes first, then its surroundings
  const commands = isDrawn ? loaded : { isLoading: true, reload: loaded.reload }
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
        <SessionScreen session={session} early={early} commands={commands} onPlayer={setPlayback} onChange={reload} />
        <SessionSide session={session} commands={commands} playback={playback} />
      </div>
    </>
  )
}

/** Whether the first frame stands, or waiting for it has taken long enough. */
function useDrawn(playback: Playback | undefined, isAwaited: boolean): boolean {
  const [isDrawn, setDrawn] = useState(!isAwaited)
  useEffect(() => {
    if (isDrawn) return
    const timer = setTimeout(() => setDrawn(true), FIRST_FRAME_MS)
    void playback?.drawn.then(() => setDrawn(true))
    return () => clearTimeout(timer)
  }, [playback, isDrawn])
  return isDrawn
}

function Lead({ session }: { readonly session: SessionDetail }) {
  const { state, startedAt, door, target, review, denied } = session
  return (
    <span class="row wrap">
      <StateBadge state={state} reason={session.reason} />
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

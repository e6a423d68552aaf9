/** The left of a session: live while it runs, else its recording at the second that the address names. */
import { useCallback, useMemo, useRef, useState } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import { Answered, Empty } from '../parts/messages.js'
import { Peer } from '../parts/values.js'
import type { CastPart } from '../player/cast.js'
import { Live } from '../player/live.js'
import { beginOf, firstPart, partsOf } from '../player/parts.js'
import type { Playback } from '../player/playback.js'
import { Replay, useTimeToKeep } from '../player/replay.js'
import { useConsole } from '../state/console.js'
import { type Loaded, useLoad } from '../state/load.js'

export interface SessionScreenProps {
  readonly session: SessionDetail
  readonly commands: Loaded<readonly CommandItem[]>
  /** Where the replay begins, when the address names a place: asked for before the session was known. */
  readonly early: Promise<CastPart> | undefined
  readonly onPlayer: (playback: Playback | undefined) => void
  /** Its facts may have changed. */
  readonly onChange: () => void
}

export function SessionScreen(props: SessionScreenProps) {
  const { session, commands, onChange } = props
  const console = useConsole()
  // who comes from a search wants that second, also while the session runs
  const [wantsReplay, setReplay] = useState(props.early !== undefined)
  const isLive = session.state === 'live'
  if (session.state === 'refused') return <Refused session={session} />
  if (isLive && console.mayAudit() && !wantsReplay) {
    return (
      <div class="screen">
        <Live id={session.id} onCommand={commands.reload} onEnded={onChange} />
        <button type="button" class="button" onClick={() => setReplay(true)}>
          Replay what was recorded so far
        </button>
      </div>
    )
  }
  if (!session.hasRecording) return <Unrecorded isLive={isLive} />
  return (
    <div class="screen">
      <Recorded {...props} />
      {wantsReplay && isLive && (
        <button type="button" class="button" onClick={() => setReplay(false)}>
          Back to live
        </button>
      )}
    </div>
  )
}

function Recorded({ session, commands, early, onPlayer }: SessionScreenProps) {
  const { api } = useConsole()
  const { id } = session
  const [search, setSearch] = useSearchParams()
  const asked = useRef(early)
  const first = useLoad(`${id} recording`, (signal) => {
    const under = asked.current
    asked.current = undefined
    return under ?? firstPart(api, id, beginOf(search) ?? { from: 0 }, signal)
  })
  const fetch = useMemo(() => partsOf(api, id), [api, id])
  const [playback, setPlayback] = useState<Playback>()
  const kept = useRef<number>()
  useTimeToKeep(playback, (seconds) => {
    clearTimeout(kept.current)
    // browsers limit how often an address may change
    kept.current = window.setTimeout(() => setSearch({ at: String(Number(seconds.toFixed(3))) }, { replace: true }), 300)
  })
  const latest = useRef(search)
  latest.current = search
  const take = useCallback(
    (made: Playback | undefined) => {
      clearTimeout(kept.current)
      // a command was chosen before its player was there
      const at = Number(latest.current.get('at') ?? Number.NaN)
      if (made && Number.isFinite(at)) void made.seek(at)
      setPlayback(made)
      onPlayer(made)
    },
    [onPlayer],
  )
  return <Answered answer={first}>{(part) => <Replay first={part} fetch={fetch} commands={commands.data ?? []} onPlayer={take} />}</Answered>
}

function Refused({ session }: { readonly session: SessionDetail }) {
  return (
    <div class="panel screen">
      <Empty icon="warn" title="This session was refused">
        <p>
          <Peer text={session.reason ?? 'No reason was kept.'} />
        </p>
      </Empty>
    </div>
  )
}

function Unrecorded({ isLive }: { readonly isLive: boolean }) {
  return (
    <div class="panel screen">
      <Empty icon="sessions" title={isLive ? 'This session is running' : 'Nothing was recorded'}>
        <p>{isLive ? 'Its replay is there once it has ended.' : 'Programs without a terminal leave their command lines and files, which stand beside.'}</p>
      </Empty>
    </div>
  )
}

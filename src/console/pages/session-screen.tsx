/** The left of a session: live while it runs, else its recording at the second that the address names. */
import { useCallback, useRef, useState } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import { Answered, Empty } from '../parts/messages.js'
import { Peer } from '../parts/values.js'
import { type Cast, parseCast } from '../player/cast.js'
import { Live } from '../player/live.js'
import type { Playback } from '../player/playback.js'
import { Replay, useTimeToKeep } from '../player/replay.js'
import { useConsole } from '../state/console.js'
import { type Loaded, useLoad } from '../state/load.js'

export interface SessionScreenProps {
  readonly session: SessionDetail
  readonly commands: Loaded<readonly CommandItem[]>
  readonly onPlayer: (playback: Playback | undefined) => void
  readonly onCast: (cast: Cast) => void
  /** Its facts may have changed. */
  readonly onChange: () => void
}

export function SessionScreen(props: SessionScreenProps) {
  const { session, commands, onChange } = props
  const console = useConsole()
  const [wantsReplay, setReplay] = useState(false)
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

function Recorded({ session, commands, onPlayer, onCast }: SessionScreenProps) {
  const { api } = useConsole()
  const { id } = session
  const recording = useLoad(`${id} recording`, async (signal) => {
    const cast = parseCast(await (await api.getRecording({ params: { id }, signal })).text())
    onCast(cast)
    return cast
  })
  const [search, setSearch] = useSearchParams()
  const [playback, setPlayback] = useState<Playback>()
  const kept = useRef<number>()
  useTimeToKeep(playback, (seconds) => {
    clearTimeout(kept.current)
    // browsers limit how often an address may change
    kept.current = window.setTimeout(() => setSearch({ at: String(Number(seconds.toFixed(3))) }, { replace: true }), 300)
  })
  const take = useCallback(
    (made: Playback | undefined) => {
      clearTimeout(kept.current)
      setPlayback(made)
      onPlayer(made)
    },
    [onPlayer],
  )
  if (commands.data === undefined && commands.error === undefined) return <Answered answer={commands}>{() => null}</Answered>
  const list = commands.data ?? []
  return <Answered answer={recording}>{(cast) => <Replay cast={cast} startAt={placeOf(search, session, list)} commands={list} onPlayer={take} />}</Answered>
}

/** `at` in seconds; `seq` of a command; `time` of an event. */
function placeOf(search: URLSearchParams, { startedAt }: SessionDetail, commands: readonly CommandItem[]): number {
  const at = Number(search.get('at') ?? Number.NaN)
  if (Number.isFinite(at)) return Math.max(0, at)
  const command = commands.find(({ seq }) => String(seq) === search.get('seq'))
  if (command) return command.offset
  const ms = Date.parse(search.get('time') ?? '') - Date.parse(startedAt)
  return Number.isNaN(ms) ? 0 : Math.max(0, ms / 1000)
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

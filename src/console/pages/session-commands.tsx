/** Command lines beside the player: a click seeks, and the one that plays is marked. */
import { useComputed } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import { Answered, Empty } from '../parts/messages.js'
import { clockText } from '../parts/text.js'
import { Badge, Line, Peer, VerdictBadge } from '../parts/values.js'
import type { Playback } from '../player/playback.js'
import { isDenied } from '../player/time-bar.js'
import type { Loaded } from '../state/load.js'

export interface CommandListProps {
  readonly session: SessionDetail
  readonly commands: Loaded<readonly CommandItem[]>
  readonly playback: Playback | undefined
}
/** A list shorter than this is read faster than searched. */
const SEARCH_FROM = 8

export function CommandList({ commands, playback, session }: CommandListProps) {
  const [text, setText] = useState('')
  return (
    <Answered answer={commands}>
      {(all) => {
        if (all.length === 0) return <NoCommands session={session} />
        const wanted = text.toLowerCase()
        const shown = all.filter(({ line, reason }) => `${line ?? ''} ${reason ?? ''}`.toLowerCase().includes(wanted))
        return (
          <>
            {all.length >= SEARCH_FROM && (
              <div class="find">
                <input
                  type="search"
                  data-search=""
                  aria-label="Find a command"
                  placeholder="Find a command"
                  value={text}
                  onInput={({ currentTarget }) => setText(currentTarget.value)}
                />
              </div>
            )}
            {shown.length === 0 ? <Empty icon="search" title="No command matches" /> : <List commands={shown} playback={playback} />}
          </>
        )
      }}
    </Answered>
  )
}

function List({ commands, playback }: { readonly commands: readonly CommandItem[]; readonly playback: Playback | undefined }) {
  const list = useRef<HTMLOListElement>(null)
  const current = useCurrent(commands, playback)
  useEffect(() => {
    const scroller = list.current?.closest('.side-body')
    const item = list.current?.querySelector('[aria-current]')
    if (!scroller || !item) return
    // only this list moves, never the page
    const [box, at] = [scroller.getBoundingClientRect(), item.getBoundingClientRect()]
    if (at.top < box.top + 48) scroller.scrollBy({ top: at.top - box.top - 48 })
    else if (at.bottom > box.bottom) scroller.scrollBy({ top: at.bottom - box.bottom })
  }, [current])
  return (
    <ol class="commands" ref={list}>
      {commands.map((command) => (
        <li key={command.seq}>
          <button
            type="button"
            class={isDenied(command.verdict) ? 'command denied' : 'command'}
            aria-current={command.seq === current ? 'true' : undefined}
            onClick={() => void playback?.seek(command.offset)}
          >
            <span class="at mono quiet">{clockText(command.offset)}</span>
            <span class="what">
              <Line line={command.line} lineBase64={command.lineBase64} />
              {command.reason !== undefined && (
                <span class="why">
                  <Peer text={command.reason} />
                </span>
              )}
            </span>
            <Outcome command={command} />
          </button>
        </li>
      ))}
    </ol>
  )
}

function Outcome({ command: { verdict, status, confidence } }: { readonly command: CommandItem }) {
  return (
    <span class="outcome">
      <VerdictBadge verdict={verdict} />
      {status !== undefined && status !== 0 && (
        <Badge tone="warn">
          <span class="unseen">exit status </span>
          {status}
        </Badge>
      )}
      {confidence === 'advisory' && <Badge>seen</Badge>}
    </span>
  )
}

/** The last that had begun. A frame of the player changes this seldom, so the list is drawn seldom. */
function useCurrent(commands: readonly CommandItem[], playback: Playback | undefined): number | undefined {
  const parts = useRef({ commands, playback })
  parts.current = { commands, playback }
  const [, redraw] = useState(0)
  useEffect(() => redraw((old) => old + 1), [playback])
  const current = useComputed(() => {
    const at = parts.current.playback?.time.value
    return at === undefined ? undefined : parts.current.commands.findLast(({ offset }) => offset <= at + 0.05)?.seq
  })
  return current.value
}

function NoCommands({ session }: { readonly session: SessionDetail }) {
  return (
    <Empty icon="terminal" title="No command lines">
      <p>
        {session.state === 'live'
          ? 'They appear here as they are typed.'
          : session.rule === undefined
            ? 'The session did not come to any.'
            : 'The rule of this session leaves its shell alone: the replay tells what was done.'}
      </p>
    </Empty>
  )
}

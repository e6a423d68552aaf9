/** Command lines beside the player: a click seeks, and the one that plays is marked. */
import { effect } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useSearchParams } from 'wouter-preact'
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
        const shown = wanted === '' ? all : all.filter(({ line, reason }) => `${line ?? ''} ${reason ?? ''}`.toLowerCase().includes(wanted))
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
            {all.some(({ confidence }) => confidence === 'advisory') && (
              <p class="advisory small quiet">This shell was not guarded: the lines are read from what was typed, and the replay is what counts.</p>
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
  const [, setSearch] = useSearchParams()
  const seek = (seconds: number): void => {
    // the player begins at what the address says, should it not be there yet
    if (playback) void playback.seek(seconds)
    else setSearch({ at: String(Number(seconds.toFixed(3))) }, { replace: true })
    // on a phone the list is below it
    document.querySelector('.stage')?.scrollIntoView({ block: 'nearest' })
  }
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
            onClick={() => seek(command.offset)}
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

function Outcome({ command: { verdict, status } }: { readonly command: CommandItem }) {
  return (
    <span class="outcome">
      <VerdictBadge verdict={verdict} />
      {status !== undefined && status !== 0 && (
        <Badge tone="warn">
          <span class="unseen">exit status </span>
          {status}
        </Badge>
      )}
    </span>
  )
}

/** Recordings know milliseconds. */
const ROUNDING_SECONDS = 0.001

/** The last that had begun. A frame of the player changes this seldom, so the list is drawn seldom. */
function useCurrent(commands: readonly CommandItem[], playback: Playback | undefined): number | undefined {
  const [current, setCurrent] = useState<number>()
  useEffect(() => {
    if (!playback) return
    return effect(() => {
      const at = playback.time.value + ROUNDING_SECONDS
      setCurrent(commands.findLast(({ offset }) => offset <= at)?.seq)
    })
  }, [playback, commands])
  return playback ? current : undefined
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

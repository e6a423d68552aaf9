/** The right of a session: its command lines, files and facts. */
import type { ComponentChildren } from 'preact'
import { useId, useState } from 'preact/hooks'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import type { Playback } from '../player/playback.js'
import type { Loaded } from '../state/load.js'
import { CommandList } from './session-commands.js'
import { SessionFacts } from './session-facts.js'
import { SessionFiles } from './session-files.js'

export interface SessionSideProps {
  readonly session: SessionDetail
  readonly commands: Loaded<readonly CommandItem[]>
  readonly playback: Playback | undefined
}

export function SessionSide({ session, commands, playback }: SessionSideProps) {
  const [tab, setTab] = useState(session.commands === 0 && session.files > 0 ? 1 : 0)
  const panel = useId()
  const tabs: readonly (readonly [string, () => ComponentChildren])[] = [
    [`Commands ${commands.data?.length ?? session.commands}`, () => <CommandList commands={commands} playback={playback} session={session} />],
    [`Files ${session.files}`, () => <SessionFiles session={session} />],
    ['Facts', () => <SessionFacts session={session} />],
  ]
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (step === 0) return
    event.preventDefault()
    const to = (tab + step + tabs.length) % tabs.length
    setTab(to)
    ;(event.currentTarget as HTMLElement).querySelectorAll('button')[to]?.focus()
  }
  return (
    <section class="panel side-panel" aria-label="Of this session">
      <header>
        <div class="tabs" role="tablist" onKeyDown={move}>
          {tabs.map(([label], index) => (
            <button
              key={index}
              type="button"
              role="tab"
              id={`${panel}-${index}`}
              aria-selected={tab === index}
              aria-controls={panel}
              tabIndex={tab === index ? 0 : -1}
              onClick={() => setTab(index)}
            >
              {label}
            </button>
          ))}
        </div>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys (WCAG 2.1.1) */}
      <div id={panel} class="side-body" role="tabpanel" aria-labelledby={`${panel}-${tab}`} tabIndex={0}>
        {tabs[tab]?.[1]()}
      </div>
    </section>
  )
}

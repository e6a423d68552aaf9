/** The audit log, searched. */
import { Link } from 'wouter-preact'
import type { StoredEvent } from '../../core/types.js'
import { ChoiceFilter, RangeFilter, TextFilter } from '../parts/fields.js'
import { Answered, Empty } from '../parts/messages.js'
import { More } from '../parts/more.js'
import { PageHead } from '../parts/page.js'
import { Peer, TargetText, Time, VerdictBadge } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { given, useFilters } from '../state/filters.js'
import { moveInRows, useKeys } from '../state/keys.js'
import { type Pages, usePages } from '../state/load.js'
import { rangeOf } from '../state/range.js'
import { EventText, eventName } from './event-text.js'

const NAMES = ['text', 'user', 'target', 'session', 'type', 'verdict', 'since', 'from', 'to'] as const
const TYPES = Object.fromEntries(
  ['command', 'command.exit', 'file', 'session.open', 'session.start', 'session.close', 'session.refused', 'login', 'login.refused', 'admin', 'checkpoint'].map(
    (type) => [type, eventName(type)],
  ),
)
const VERDICTS = { allow: 'allowed', deny: 'denied', approved: 'approved', refused: 'refused' } as const

export function AuditPage() {
  const console = useConsole()
  const filters = useFilters(NAMES)
  const { values, set } = filters
  const pages = usePages(filters.key, (cursor, signal) => {
    const { text, user, target, session, type } = values
    const verdict = (Object.keys(VERDICTS) as (keyof typeof VERDICTS)[]).find((each) => each === values.verdict)
    return console.api.listAudit({ query: given({ text, user, target, session, type, verdict, cursor, ...rangeOf(values, new Date()) }), signal })
  })
  useKeys({ j: () => moveInRows(1), k: () => moveInRows(-1) })
  return (
    <>
      <PageHead title="Audit" lead="Every event, newest first. A line opens its session at that second.">
        <button type="button" class="button" onClick={pages.reload}>
          Refresh
        </button>
      </PageHead>
      <search class="filters">
        <TextFilter isSearch label="Search lines, paths, reasons" value={values.text} onChange={(text) => set({ text }, { replace: true })} />
        {console.mayAudit() && <TextFilter label="User" value={values.user} onChange={(user) => set({ user }, { replace: true })} />}
        <TextFilter label="Target" value={values.target} onChange={(target) => set({ target }, { replace: true })} />
        <ChoiceFilter label="Event" value={values.type} options={TYPES} onChange={(type) => set({ type })} />
        <ChoiceFilter label="Verdict" value={values.verdict} options={VERDICTS} onChange={(verdict) => set({ verdict })} />
        <RangeFilter values={values} set={set} />
      </search>
      {values.session !== undefined && (
        <p class="note">
          Only session <code>{values.session}</code>
          <button type="button" class="button plain" onClick={() => set({ session: '' })}>
            Show all
          </button>
        </p>
      )}
      <section class="panel events" aria-label="Events">
        <Answered answer={pages}>{(events) => <Events events={events} pages={pages} clear={filters.clear} />}</Answered>
      </section>
    </>
  )
}

function Events({ events, pages, clear }: { readonly events: readonly StoredEvent[]; readonly pages: Pages<StoredEvent>; readonly clear: () => void }) {
  if (events.length === 0) {
    return (
      <Empty icon="search" title="No event matches">
        <p>Try fewer words, or a longer time.</p>
        <button type="button" class="button" onClick={clear}>
          Clear filters
        </button>
      </Empty>
    )
  }
  return (
    <>
      <div class="rows-head" aria-hidden="true">
        <span>Time</span>
        <span>User</span>
        <span>Event</span>
        <span>What</span>
        <span>Target</span>
      </div>
      <ul class="rows">
        {events.map((event) => (
          <li key={event.seq}>
            <details>
              <summary class="line">
                <span class="c-time quiet">
                  <Time at={event.time} />
                </span>
                <strong class="c-user cut">
                  <Peer text={event.user ?? '—'} />
                </strong>
                <span class="c-type quiet">{eventName(event.type)}</span>
                <span class="c-what row">
                  <span class="cut">
                    <EventText event={event} />
                  </span>
                  {'verdict' in event && <VerdictBadge verdict={event.verdict} />}
                </span>
                <span class="c-target cut">{event.target && <TargetText target={event.target} />}</span>
              </summary>
              <Whole event={event} />
            </details>
          </li>
        ))}
      </ul>
      {pages.hasMore && <More pages={pages} />}
    </>
  )
}

function Whole({ event }: { readonly event: StoredEvent }) {
  const { session, seq, time, type } = event
  return (
    <div class="whole">
      {session !== undefined && (
        <div class="row wrap">
          <Link
            class="button first"
            href={`/sessions/${encodeURIComponent(session)}?${type === 'command' ? `seq=${seq}` : `time=${encodeURIComponent(time)}`}`}
          >
            Open the session at this second
          </Link>
          <Link class="button" href={`/audit?session=${encodeURIComponent(session)}`}>
            All events of this session
          </Link>
        </div>
      )}
      <pre class="json">
        {JSON.stringify(event, null, 2)
          .split('\n')
          .map((line) => (
            <>
              <Peer text={line} />
              {'\n'}
            </>
          ))}
      </pre>
    </div>
  )
}

/** Sessions, live and past. */
import { Link } from 'wouter-preact'
import { DOORS } from '../../core/types.js'
import type { SessionDetail } from '../../wire/api/sessions.js'
import { ChoiceFilter, RangeFilter, TextFilter } from '../parts/fields.js'
import { Answered, Empty } from '../parts/messages.js'
import { More } from '../parts/more.js'
import { PageHead } from '../parts/page.js'
import { durationText } from '../parts/text.js'
import { Badge, Peer, StateBadge, TargetText, Time } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { given, useFilters } from '../state/filters.js'
import { moveInRows, useKeys } from '../state/keys.js'
import { type Pages, usePages } from '../state/load.js'
import { rangeOf } from '../state/range.js'

type Item = Omit<SessionDetail, 'hasRecording' | 'locked' | 'watchers' | 'command'>
const NAMES = ['text', 'user', 'target', 'state', 'door', 'since', 'from', 'to'] as const
const STATES = { live: 'Live', ended: 'Ended', refused: 'Refused' }
const doors = Object.fromEntries(DOORS.map((door) => [door, door]))
/** A session that begins shows within this. */
const REFRESH_MS = 4000

export function SessionsPage() {
  const console = useConsole()
  const filters = useFilters(NAMES)
  const { values, set } = filters
  const pages = usePages<Item>(
    filters.key,
    (cursor, signal) => {
      const { text, user, target } = values
      const state = stateOf(values.state)
      const type = DOORS.find((door) => door === values.door)
      const query = { text, user, target, state, type, cursor, ...rangeOf(values, new Date()) }
      return console.api.listSessions({ query: given(query), signal })
    },
    REFRESH_MS,
  )
  useKeys({ j: () => moveInRows(1), k: () => moveInRows(-1) })
  return (
    <>
      <PageHead title="Sessions" lead={console.mayAudit() ? 'Everybody’s, newest first.' : 'Yours, newest first.'} />
      <search class="filters">
        <TextFilter isSearch label="Search lines, paths, reasons" value={values.text} onChange={(text) => set({ text }, { replace: true })} />
        {console.mayAudit() && <TextFilter label="User" value={values.user} onChange={(user) => set({ user }, { replace: true })} />}
        <TextFilter label="Target" value={values.target} onChange={(target) => set({ target }, { replace: true })} />
        <ChoiceFilter label="State" value={values.state} options={STATES} onChange={(state) => set({ state })} />
        <ChoiceFilter label="Door" value={values.door} options={doors} onChange={(door) => set({ door })} />
        <RangeFilter values={values} set={set} />
      </search>
      <section class="panel sessions" aria-label="Sessions">
        <Answered answer={pages}>{(items) => <SessionRows items={items} pages={pages} isFiltered={!filters.isEmpty} clear={filters.clear} />}</Answered>
      </section>
    </>
  )
}

interface RowsProps {
  readonly items: readonly Item[]
  readonly pages: Pages<Item>
  readonly isFiltered: boolean
  readonly clear: () => void
}
function SessionRows({ items, pages, isFiltered, clear }: RowsProps) {
  if (items.length === 0) return isFiltered ? <NoneFound clear={clear} /> : <NoneYet />
  return (
    <>
      <div class="rows-head" aria-hidden="true">
        <span>State</span>
        <span>User</span>
        <span>Target</span>
        <span>Door</span>
        <span>Started</span>
        <span class="end">Length</span>
        <span class="end">Lines</span>
        <span />
      </div>
      <ul class="rows">
        {items.map((item) => (
          <li key={item.id}>
            <Row item={item} />
          </li>
        ))}
      </ul>
      {pages.hasMore && <More pages={pages} />}
    </>
  )
}

function Row({ item }: { readonly item: Item }) {
  const length = item.ms ?? (item.state === 'live' ? Date.now() - Date.parse(item.startedAt) : undefined)
  return (
    <Link href={`/sessions/${item.id}`} class="line">
      <span class="c-state">
        <StateBadge state={item.state} reason={item.reason} />
      </span>
      <strong class="c-user cut">
        <Peer text={item.user} />
      </strong>
      <span class="c-target cut">
        {item.target ? (
          <TargetText target={item.target} />
        ) : (
          <span class="quiet">
            <Peer text={item.address ?? 'no target'} />
          </span>
        )}
      </span>
      <span class="c-door quiet">{item.door}</span>
      <span class="c-start quiet">
        <Time at={item.startedAt} />
      </span>
      <span class="c-length quiet end nowrap">{length === undefined ? '' : durationText(length)}</span>
      <span class="c-lines quiet end">{item.commands > 0 && item.commands}</span>
      <span class="c-marks row">
        {item.denied > 0 && <Badge tone="bad">{item.denied} denied</Badge>}
        {item.review && <Badge tone="good">reviewed</Badge>}
      </span>
    </Link>
  )
}

function NoneFound({ clear }: { readonly clear: () => void }) {
  return (
    <Empty icon="search" title="No session matches">
      <p>Try fewer filters, or a longer time.</p>
      <button type="button" class="button" onClick={clear}>
        Clear filters
      </button>
    </Empty>
  )
}

function NoneYet() {
  const { me } = useConsole()
  const user = me.value.kind === 'known' ? me.value.user : 'USER'
  return (
    <Empty icon="sessions" title="No sessions yet">
      <p>
        They appear here as soon as somebody comes in, with{' '}
        <code>
          ssh {user}+POD@{location.hostname}
        </code>
      </p>
      <Link href="/targets" class="button">
        See the targets
      </Link>
    </Empty>
  )
}

function stateOf(text: string | undefined): 'live' | 'ended' | 'refused' | undefined {
  return text === 'live' || text === 'ended' || text === 'refused' ? text : undefined
}

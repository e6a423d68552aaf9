/** Lines that wait for somebody's word. */
import { useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import type { ApprovalItem } from '../../wire/api/approvals.js'
import { Ask } from '../parts/dialog.js'
import { Answered, Empty } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { durationText } from '../parts/text.js'
import { Badge, Line, Peer, TargetText } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { useLoad } from '../state/load.js'

const REFRESH_MS = 2000
type Verdict = 'approve' | 'refuse'

export function ApprovalsPage() {
  const { api } = useConsole()
  const [asked, setAsked] = useState<{ readonly item: ApprovalItem; readonly verdict: Verdict }>()
  const approvals = useLoad('approvals', (signal) => api.listApprovals({ signal }), REFRESH_MS)
  return (
    <>
      <PageHead title="Approvals" lead="Lines whose rule asks another person. Nobody answers their own." />
      <Answered answer={approvals}>
        {({ items }) =>
          items.length === 0 ? (
            <section class="panel">
              <Empty icon="approvals" title="Nothing waits">
                <p>When a rule holds a line until somebody says yes, it stands here until it is answered or its time is up.</p>
              </Empty>
            </section>
          ) : (
            <ul class="stack">
              {items.map((item) => (
                <Waits key={item.id} item={item} onAnswer={(verdict) => setAsked({ item, verdict })} />
              ))}
            </ul>
          )
        }
      </Answered>
      {asked && <Answer {...asked} onDone={approvals.reload} onClose={() => setAsked(undefined)} />}
    </>
  )
}

function Waits({ item, onAnswer }: { readonly item: ApprovalItem; readonly onAnswer: (verdict: Verdict) => void }) {
  const { line, user, target, rule, reason, session, mine, by, endsAt } = item
  const leftMs = Date.parse(endsAt) - Date.now()
  return (
    <li class="panel">
      <header>
        <span class="row wrap">
          <strong>
            <Peer text={user} />
          </strong>
          <TargetText target={target} />
        </span>
        <Badge tone={leftMs < 60_000 ? 'warn' : 'none'}>{leftMs > 0 ? `${durationText(leftMs)} left` : 'time is up'}</Badge>
      </header>
      <div class="body stack tight">
        <pre class="json">
          <Line line={line} />
        </pre>
        <p class="quiet">
          Rule <Peer text={rule} />: <Peer text={reason} />
        </p>
        <div class="row wrap">
          {mine ? (
            <>
              <button type="button" class="button first" onClick={() => onAnswer('approve')}>
                Approve …
              </button>
              <button type="button" class="button danger" onClick={() => onAnswer('refuse')}>
                Refuse …
              </button>
            </>
          ) : (
            <span class="quiet">
              Waits for {[...by.users, ...by.groups.map((group) => `group ${group}`), ...by.roles.map((role) => `role ${role}`)].join(', ')}
            </span>
          )}
          <Link class="button plain" href={`/sessions/${encodeURIComponent(session)}`}>
            See the session
          </Link>
        </div>
      </div>
    </li>
  )
}

interface AnswerProps {
  readonly item: ApprovalItem
  readonly verdict: Verdict
  readonly onDone: () => void
  readonly onClose: () => void
}
function Answer({ item, verdict, onDone, onClose }: AnswerProps) {
  const { api } = useConsole()
  const word = verdict === 'approve' ? 'Approve' : 'Refuse'
  const send = async (values: FormData): Promise<void> => {
    const note = String(values.get('note')).trim()
    await api.decideApproval({ params: { id: item.id }, body: { verdict, ...(note !== '' && { note }) } })
    onDone()
  }
  return (
    <Ask title={`${word} this line of ${item.user}?`} action={word} danger={verdict === 'refuse'} onSend={send} onClose={onClose}>
      <pre class="json">
        <Line line={item.line} />
      </pre>
      <label class="field">
        <span>Note, shown to {item.user} (optional)</span>
        <input name="note" maxLength={500} autocomplete="off" />
      </label>
    </Ask>
  )
}

/** What is known about a session, word by word. */
import type { ComponentChildren } from 'preact'
import type { SessionDetail } from '../../wire/api/sessions.js'
import { bytesText, durationText, targetName } from '../parts/text.js'
import { Peer, Time } from '../parts/values.js'

export function SessionFacts({ session }: { readonly session: SessionDetail }) {
  const { target, review, pty, ms, bytesIn, bytesOut, recordingSha256 } = session
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    ['User', text(session.user)],
    ['From', text(session.from)],
    ['Target', target && text(targetName(target))],
    ['Asked for', text(session.address)],
    ['Node', text(target?.node)],
    ['Pod UID', target && <code>{target.uid}</code>],
    ['Door', session.door],
    ['Command', session.command !== undefined && <code>{text(session.command)}</code>],
    ['Rule', text(session.rule)],
    ['Way', text(session.via)],
    ['Started', <Time key="s" at={session.startedAt} />],
    ['Ended', session.endedAt !== undefined && <Time at={session.endedAt} />],
    ['Length', ms !== undefined && durationText(ms)],
    ['Exit status', session.exit],
    ['Reason', text(session.reason)],
    ['Terminal', pty && `${pty.columns} × ${pty.rows}, ${pty.term}`],
    ['Typed', bytesIn !== undefined && bytesText(bytesIn)],
    ['Shown', bytesOut !== undefined && bytesText(bytesOut)],
    ['Watchers', session.watchers],
    ['Batch', text(session.batch)],
    ['Reviewed', review && <Reviewed {...review} />],
    ['Recording', recordingSha256 !== undefined && <code>sha256 {recordingSha256}</code>],
    ['Session', <code key="id">{session.id}</code>],
  ]
  return (
    <dl class="facts body">
      {facts
        .filter(([, value]) => value !== undefined && value !== false)
        .map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
    </dl>
  )
}

function text(value: string | undefined): ComponentChildren {
  return value === undefined ? undefined : <Peer text={value} />
}

function Reviewed({ by, at, note }: { readonly by: string; readonly at: string; readonly note: string }) {
  return (
    <>
      <Peer text={by} />, <Time at={at} />
      {note !== '' && (
        <p class="review-note">
          <Peer text={note} />
        </p>
      )}
    </>
  )
}

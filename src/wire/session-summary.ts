/** A session as its events tell it, learnt one event at a time. */
import type { SessionSummary, StoredEvent } from '../core/types.js'

/** Reason of a session whose end nobody saw: its gateway was killed. */
export const LOST = 'lost: the gateway was stopped before it ended'

/** A summary that grows. */
export type SessionDraft = { -readonly [K in keyof SessionSummary]: SessionSummary[K] }

/**
 * What is known of a session after `event`.
 * @param known before it; it is changed in place
 * @returns undefined while no event has said what session it is
 */
export function learnSession(known: SessionDraft | undefined, event: StoredEvent): SessionDraft | undefined {
  if (event.session === undefined) return known
  // a command that waits for approval rests before the session is opened
  const begins = event.type === 'session.open' || event.type === 'session.refused' || event.type === 'command'
  const draft = known ?? (begins ? begun(event.session, event) : undefined)
  if (draft) learn(draft, event)
  return draft
}

function learn(draft: SessionDraft, event: StoredEvent): void {
  switch (event.type) {
    case 'session.open':
      draft.rule = event.rule
      if (event.pty) draft.pty = event.pty
      break
    case 'session.refused':
      Object.assign(draft, { state: 'refused', reason: event.reason, endedAt: event.time })
      if (event.address !== undefined) draft.address = event.address
      if (event.rule !== undefined) draft.rule = event.rule
      break
    case 'session.start':
      draft.via = event.via
      break
    case 'session.close':
      close(draft, event)
      break
    case 'command':
    case 'file':
      if (event.type === 'file') draft.files++
      else draft.commands++
      if (event.verdict === 'deny' || event.verdict === 'refused') draft.denied++
      break
    case 'admin':
      learnAct(draft, event)
  }
}

function close(draft: SessionDraft, event: Extract<StoredEvent, { type: 'session.close' }>): void {
  const { exit, reason, bytesIn, bytesOut, ms, recording, recordingSha256 } = event
  Object.assign(draft, { state: 'ended', endedAt: event.time, exit, reason, bytesIn, bytesOut, ms })
  if (recording !== undefined) draft.recording = recording
  if (recordingSha256 !== undefined) draft.recordingSha256 = recordingSha256
}

function learnAct(draft: SessionDraft, event: Extract<StoredEvent, { type: 'admin' }>): void {
  if (event.action === 'session.review') draft.review = { by: event.user ?? '', at: event.time, note: textField(event.after, 'note') ?? '' }
  if (event.action === 'session.lost' && draft.state === 'live') Object.assign(draft, { state: 'ended', reason: LOST })
  if (event.action !== 'recording.closed') return
  // the gateway was killed while the session ran, and its next start found the recording
  const sha256 = textField(event.after, 'sha256')
  Object.assign(draft, { state: 'ended', recording: event.object, reason: draft.reason ?? LOST })
  if (sha256 !== undefined) draft.recordingSha256 = sha256
}

function begun(id: string, { user = '', from = '', door = 'shell', target, time, batch }: StoredEvent): SessionDraft {
  const counts = { commands: 0, denied: 0, files: 0 }
  return { id, state: 'live', user, from, door, startedAt: time, ...counts, ...(target && { target }), ...(batch !== undefined && { batch }) }
}

function textField(value: unknown, name: string): string | undefined {
  const field: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  return typeof field === 'string' ? field : undefined
}

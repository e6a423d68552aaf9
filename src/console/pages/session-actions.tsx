/** What may be done about a session: lock, unlock, end while it runs; review it and take its evidence along. */
import { useState } from 'preact/hooks'
import { pathOf } from '../../wire/api/client.js'
import { OPERATIONS } from '../../wire/api/operations.js'
import type { SessionDetail } from '../../wire/api/sessions.js'
import { Ask } from '../parts/dialog.js'
import { Icon } from '../parts/icon.js'
import { useConsole } from '../state/console.js'

export interface SessionActionsProps {
  readonly session: SessionDetail
  readonly reload: () => void
}
type Question = 'lock' | 'end' | 'review'

export function SessionActions({ session, reload }: SessionActionsProps) {
  const console = useConsole()
  const [question, setQuestion] = useState<Question>()
  const { id, state, locked, review } = session
  const unlock = async (): Promise<void> => {
    try {
      await console.api.unlockSession({ params: { id } })
      console.news.value = 'Unlocked'
    } catch (error) {
      console.news.value = `Not unlocked: ${(error as Error).message}`
    }
    reload()
  }
  const isActing = state === 'live' && console.mayAct()
  return (
    <>
      {isActing && !locked && (
        <button type="button" class="button" onClick={() => setQuestion('lock')}>
          <Icon name="lock" /> Lock
        </button>
      )}
      {isActing && locked && (
        <button type="button" class="button" onClick={unlock}>
          <Icon name="unlock" /> Unlock
        </button>
      )}
      {isActing && (
        <button type="button" class="button danger" onClick={() => setQuestion('end')}>
          <Icon name="end" /> End …
        </button>
      )}
      {console.mayAudit() && state !== 'live' && (
        <a class="button" href={pathOf(OPERATIONS.getEvidence, { params: { id } })} download={`evidence-${id}.tar`}>
          <Icon name="download" /> Evidence pack
        </a>
      )}
      {console.mayAudit() && state !== 'live' && (
        <button type="button" class={review ? 'button' : 'button first'} onClick={() => setQuestion('review')}>
          <Icon name="check" /> {review ? 'Review again' : 'Mark as reviewed'}
        </button>
      )}
      {question && <Dialog question={question} session={session} reload={reload} onClose={() => setQuestion(undefined)} />}
    </>
  )
}

interface QuestionProps extends SessionActionsProps {
  readonly question: Question
  readonly onClose: () => void
}
function Dialog({ question, session, reload, onClose }: QuestionProps) {
  const { api, news } = useConsole()
  const { id, user } = session
  const params = { id }
  const done = (text: string): void => {
    news.value = text
    reload()
  }
  switch (question) {
    case 'lock': {
      const send = async (values: FormData): Promise<void> => {
        const reason = String(values.get('reason')).trim()
        await api.lockSession({ params, body: reason === '' ? {} : { reason } })
        done('Locked')
      }
      return (
        <Ask title={`Lock the session of ${user}?`} action="Lock" onSend={send} onClose={onClose}>
          <p class="quiet">What the user types is held until you unlock. The terminal says so; programs that run go on.</p>
          <Reason label="Reason, shown in the terminal (optional)" />
        </Ask>
      )
    }
    case 'end': {
      const send = async (values: FormData): Promise<void> => {
        await api.endSession({ params, body: { reason: String(values.get('reason')) } })
        done('Ended')
      }
      return (
        <Ask title={`End the session of ${user}?`} action="End session" danger onSend={send} onClose={onClose}>
          <p class="quiet">What runs in it is ended too. The user reads the reason, and it stands in the audit log.</p>
          <Reason label="Reason" isNeeded />
        </Ask>
      )
    }
    case 'review': {
      const send = async (values: FormData): Promise<void> => {
        await api.reviewSession({ params, body: { note: String(values.get('note')) } })
        done('Marked as reviewed')
      }
      return (
        <Ask title="Mark as reviewed" action="Mark as reviewed" onSend={send} onClose={onClose}>
          <p class="quiet">Your name, the time and the note stand in the audit log.</p>
          <label class="field">
            <span>Note (optional)</span>
            <textarea name="note" maxLength={4000} />
          </label>
        </Ask>
      )
    }
  }
}

function Reason({ label, isNeeded = false }: { readonly label: string; readonly isNeeded?: boolean }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input name="reason" maxLength={500} required={isNeeded} autocomplete="off" />
    </label>
  )
}

/** What stands where there is nothing, where something failed, and while one waits; each with a next step. */
import type { ComponentChildren } from 'preact'
import { ApiError } from '../../wire/api/client.js'
import type { Loaded } from '../state/load.js'
import { Icon, type IconName } from './icon.js'

export function Empty({ icon, title, children }: { readonly icon: IconName; readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="message">
      <Icon name={icon} />
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** One line for people. */
export function problemText(error: unknown): string {
  if (error instanceof ApiError) return error.message.charAt(0).toUpperCase() + error.message.slice(1)
  if (error instanceof TypeError) return 'The gateway does not answer. Is it running, and is this computer connected?'
  return error instanceof Error ? error.message : String(error)
}

export function Problem({ error, retry }: { readonly error: unknown; readonly retry?: () => void }) {
  return (
    <div class="message" role="alert">
      <Icon name="warn" />
      <h2>{error instanceof ApiError && error.status === 403 ? 'Not for your role' : 'That did not work'}</h2>
      <p>{problemText(error)}</p>
      {error instanceof ApiError && error.trace !== '' && (
        <p class="small">
          {error.code} · trace <code>{error.trace}</code>
        </p>
      )}
      {retry && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  )
}

export function Waiting({ rows = 5 }: { readonly rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => (
        <i key={index} />
      ))}
    </div>
  )
}

/** The three states of an answer. What once came stays visible when asking again fails, with a line that says so. */
export function Answered<T>({ answer, children }: { readonly answer: Loaded<T>; readonly children: (data: T) => ComponentChildren }) {
  if (answer.data === undefined) return answer.error === undefined ? <Waiting /> : <Problem error={answer.error} retry={answer.reload} />
  return (
    <>
      {answer.error !== undefined && (
        <p class="note warn" role="status">
          <Icon name="warn" /> Not up to date: {problemText(answer.error)}
        </p>
      )}
      {children(answer.data)}
    </>
  )
}

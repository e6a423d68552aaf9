/** A question with a form in the browser's own dialog: it keeps the focus, and Escape leaves it. */
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { problemText } from './messages.js'

export interface AskProps {
  readonly title: string
  readonly action: string
  readonly danger?: boolean
  readonly children: ComponentChildren
  /** What it rejects with is shown, and the dialog stays. */
  readonly onSend: (values: FormData) => Promise<void>
  readonly onClose: () => void
}

export function Ask({ title, action, danger = false, children, onSend, onClose }: AskProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const heading = useId()
  useEffect(() => dialog.current?.showModal(), [])
  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    try {
      await onSend(new FormData(event.currentTarget as HTMLFormElement))
      onClose()
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby={heading}>
      <form onSubmit={send}>
        <h1 id={heading}>{title}</h1>
        {children}
        {error !== undefined && (
          <p class="note bad" role="alert">
            {problemText(error)}
          </p>
        )}
        <div class="actions">
          <button type="button" class="button plain" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={`button first ${danger ? 'danger' : ''}`} disabled={isBusy}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  )
}

/** Log in. The address stays, so that one lands where one wanted to. */
import { useState } from 'preact/hooks'
import { ApiError } from '../../wire/api/client.js'
import { problemText } from '../parts/messages.js'
import { useTitle } from '../parts/page.js'
import { useConsole } from '../state/console.js'

export function LoginPage() {
  const console = useConsole()
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  useTitle('Log in')
  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const values = new FormData(form)
    setBusy(true)
    setError(undefined)
    try {
      await console.login(String(values.get('user')), String(values.get('password')))
    } catch (failure) {
      setError(failure)
      setBusy(false)
      const password = form.elements.namedItem('password')
      if (password instanceof HTMLInputElement) password.select()
    }
  }
  return (
    <main class="login">
      <form onSubmit={send}>
        <h1 class="brand">
          <img src="/favicon.svg" alt="" /> Dockin Ops
        </h1>
        <p class="quiet">Sessions, their replays and the audit log of this gateway.</p>
        <label class="field">
          <span>User</span>
          <input name="user" autocomplete="username" autocapitalize="none" spellcheck={false} required ref={(field) => field?.focus()} />
        </label>
        <label class="field">
          <span>Password</span>
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        {error !== undefined && (
          <p class="note bad" role="alert">
            {loginProblem(error)}
          </p>
        )}
        <button type="submit" class="button first" disabled={isBusy}>
          {isBusy ? 'Logging in …' : 'Log in'}
        </button>
      </form>
    </main>
  )
}

function loginProblem(error: unknown): string {
  if (error instanceof ApiError && error.code === 'AUTH_FAILED') return 'User or password is wrong.'
  if (error instanceof ApiError && error.code === 'AUTH_LOCKED') return 'Too many failed logins. Wait a few minutes, then try again.'
  return problemText(error)
}

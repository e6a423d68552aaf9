/** What the rules would answer, and why. Nothing is run. */
import { useState } from 'preact/hooks'
import type { RuleTestResult } from '../../wire/api/rules.js'
import { problemText } from '../parts/messages.js'
import { Badge, Peer } from '../parts/values.js'
import { useConsole } from '../state/console.js'

type Answer = { readonly kind: 'result'; readonly result: RuleTestResult } | { readonly kind: 'error'; readonly error: unknown }

export function RuleTest() {
  const { api } = useConsole()
  const [answer, setAnswer] = useState<Answer>()
  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault()
    const values = new FormData(event.currentTarget as HTMLFormElement)
    const text = (name: string): string => String(values.get(name) ?? '').trim()
    try {
      const result = await api.testRules({
        body: { target: text('target'), ...(text('user') !== '' && { user: text('user') }), ...(text('line') !== '' && { line: text('line') }) },
      })
      setAnswer({ kind: 'result', result })
    } catch (error) {
      setAnswer({ kind: 'error', error })
    }
  }
  return (
    <section class="panel" aria-label="Ask the rules">
      <header>
        <h2>Ask the rules</h2>
        <span class="quiet small">Nothing is run</span>
      </header>
      <form class="body ask-rules" onSubmit={send}>
        <input name="user" aria-label="User" placeholder="User (you)" autocomplete="off" spellcheck={false} />
        <input name="target" aria-label="Target" placeholder="Target" required autocomplete="off" spellcheck={false} />
        <input name="line" aria-label="Command line" placeholder="Command line" autocomplete="off" spellcheck={false} class="mono" />
        <button type="submit" class="button first">
          Ask
        </button>
      </form>
      <div role="status">{answer && <Result answer={answer} />}</div>
    </section>
  )
}

function Result({ answer }: { readonly answer: Answer }) {
  if (answer.kind === 'error') return <p class="note bad answer">{problemText(answer.error)}</p>
  const { allow, rule, reason, message, target, demand } = answer.result
  return (
    <p class="note answer">
      <Badge tone={allow ? 'good' : 'bad'}>{allow ? 'allowed' : 'refused'}</Badge>
      {demand !== undefined && <Badge tone="warn">{demand === 'approve' ? 'needs another person’s yes' : 'needs confirmation'}</Badge>}
      <span>
        {rule === undefined ? 'no rule matches' : <>rule {<Peer text={rule} />}</>}, in <Peer text={target} />
        {reason !== undefined && (
          <>
            : <Peer text={reason} />
          </>
        )}
        {message !== undefined && (
          <>
            {' '}
            (<Peer text={message} />)
          </>
        )}
      </span>
    </p>
  )
}

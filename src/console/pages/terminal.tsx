/** A shell in a pod, in the browser. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { Link, useLocation } from 'wouter-preact'
import { Answered, Empty } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { Badge } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { useFilters } from '../state/filters.js'
import { useLoad } from '../state/load.js'
import { openShell, type ShellState } from '../terminal/shell.js'

export function TerminalPage() {
  const { values } = useFilters(['target'])
  return values.target === undefined ? <Choose /> : <Shell key={values.target} target={values.target} />
}

function Shell({ target }: { readonly target: string }) {
  const place = useRef<HTMLDivElement>(null)
  const [state, setState] = useState<ShellState>({ kind: 'connecting' })
  const [round, setRound] = useState(0)
  useEffect(() => {
    if (!place.current) return
    return openShell(target, place.current, setState)
  }, [target, round])
  return (
    <div class="terminal-page">
      <PageHead title={target}>
        {state.kind === 'connecting' && <Badge>connecting …</Badge>}
        {state.kind === 'open' && (
          <Badge tone="good" live>
            open
          </Badge>
        )}
        {state.kind === 'closed' && (
          <>
            <span class={state.isGood ? 'note' : 'note bad'} role="status">
              {state.text}
            </span>
            <button type="button" class="button first" onClick={() => setRound(round + 1)}>
              Open again
            </button>
          </>
        )}
        <Link class="button" href="/terminal">
          Another pod
        </Link>
      </PageHead>
      <div class="terminal-place" ref={place} />
    </div>
  )
}

function Choose() {
  const { api } = useConsole()
  const [, go] = useLocation()
  const targets = useLoad('targets', (signal) => api.listTargets({ query: { limit: 200 }, signal }))
  const open = (event: SubmitEvent): void => {
    event.preventDefault()
    const target = String(new FormData(event.currentTarget as HTMLFormElement).get('target')).trim()
    go(`/terminal?target=${encodeURIComponent(target)}`)
  }
  return (
    <>
      <PageHead title="Terminal" lead="A shell in a pod, under the same rules as over ssh, recorded the same." />
      <Answered answer={targets}>
        {({ items }) =>
          items.length === 0 ? (
            <section class="panel">
              <Empty icon="terminal" title="No pod to enter">
                <p>No rule lets you see a container.</p>
              </Empty>
            </section>
          ) : (
            <form class="panel body choose" onSubmit={open}>
              <label class="field">
                <span>Pod</span>
                <input name="target" list="targets" required autocomplete="off" spellcheck={false} data-search="" />
              </label>
              <datalist id="targets">
                {items.map(({ address, name }) => (
                  <option key={name} value={address} />
                ))}
              </datalist>
              <button type="submit" class="button first">
                Open
              </button>
            </form>
          )
        }
      </Answered>
    </>
  )
}

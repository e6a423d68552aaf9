/** Who may see what where: the log-in page, or the frame with the page that the address names. */
import { useEffect } from 'preact/hooks'
import { Redirect, Route, Switch, useLocation } from 'wouter-preact'
import { Frame } from './frame.js'
import { Later } from './later.js'
import { ApprovalsPage } from './pages/approvals.js'
import { AuditPage } from './pages/audit.js'
import { HealthPage } from './pages/health.js'
import { LoginPage } from './pages/login.js'
import { NowherePage } from './pages/nowhere.js'
import { RulesPage } from './pages/rules.js'
import { SessionsPage } from './pages/sessions.js'
import { TargetsPage } from './pages/targets.js'
import { UsersPage } from './pages/users.js'
import { Problem } from './parts/messages.js'
import { useConsole } from './state/console.js'

export function App() {
  const { me } = useConsole()
  switch (me.value.kind) {
    case 'asking':
      return null
    case 'nobody':
      return <LoginPage />
    case 'unknown':
      return <Unknown error={me.value.error} />
    case 'known':
      return (
        <Frame>
          <Pages />
        </Frame>
      )
  }
}

function Unknown({ error }: { readonly error: unknown }) {
  const console = useConsole()
  return (
    <main>
      <Problem error={error} retry={() => void console.ask()} />
    </main>
  )
}

/** After the first page has come, and before anybody has read it. */
const PRELOAD_MS = 500

/** The player and the terminal are large, and come when they are needed. */
const loadSession = () => import('./pages/session.js').then(({ SessionPage }) => SessionPage)
const loadTerminal = () => import('./pages/terminal.js').then(({ TerminalPage }) => TerminalPage)

function Pages() {
  const [path] = useLocation()
  useEffect(() => {
    window.scrollTo(0, 0)
  }, [path])
  useEffect(() => {
    // whoever finds something opens its replay next: what draws it is there by then
    const timer = setTimeout(() => void loadSession().catch(() => undefined), PRELOAD_MS) // the page that needs it says so
    return () => clearTimeout(timer)
  }, [])
  return (
    <Switch>
      <Route path="/">
        <Redirect to="/sessions" replace />
      </Route>
      <Route path="/sessions" component={SessionsPage} />
      <Route path="/sessions/:id">{({ id }) => <Later key={id} load={loadSession} props={{ id: id ?? '' }} />}</Route>
      <Route path="/audit" component={AuditPage} />
      <Route path="/targets" component={TargetsPage} />
      <Route path="/approvals" component={ApprovalsPage} />
      <Route path="/terminal">
        <Later load={loadTerminal} props={{}} />
      </Route>
      <Route path="/users" component={UsersPage} />
      <Route path="/rules" component={RulesPage} />
      <Route path="/health" component={HealthPage} />
      <Route component={NowherePage} />
    </Switch>
  )
}

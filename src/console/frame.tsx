/** What stands around every page: the way to the others, who is logged in, keys that work everywhere. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Link, useLocation } from 'wouter-preact'
import { Help } from './help.js'
import { Icon, type IconName } from './parts/icon.js'
import { type Console, useConsole } from './state/console.js'
import { useKeys } from './state/keys.js'
import { useLoad } from './state/load.js'
import type { ThemeName } from './state/theme.js'

export interface View {
  readonly path: string
  readonly label: string
  readonly icon: IconName
  /** After `g`. */
  readonly key: string
  readonly isFor: (console: Console) => boolean
  readonly startsGroup?: true
}
const all = (): boolean => true
const auditors = (console: Console): boolean => console.mayAudit()
export const VIEWS: readonly View[] = [
  { path: '/sessions', label: 'Sessions', icon: 'sessions', key: 's', isFor: all },
  { path: '/audit', label: 'Audit', icon: 'audit', key: 'a', isFor: all },
  { path: '/approvals', label: 'Approvals', icon: 'approvals', key: 'p', isFor: all },
  { path: '/targets', label: 'Targets', icon: 'targets', key: 't', isFor: all, startsGroup: true },
  { path: '/terminal', label: 'Terminal', icon: 'terminal', key: 'x', isFor: all },
  { path: '/users', label: 'Users', icon: 'users', key: 'u', isFor: auditors, startsGroup: true },
  { path: '/rules', label: 'Rules', icon: 'rules', key: 'r', isFor: auditors },
  { path: '/health', label: 'Health', icon: 'health', key: 'h', isFor: auditors },
]
const APPROVALS_MS = 10_000
const NEWS_MS = 4000

export function Frame({ children }: { readonly children: ComponentChildren }) {
  const console = useConsole()
  const [path, go] = useLocation()
  const [isOpen, setOpen] = useState(false)
  const views = VIEWS.filter(({ isFor }) => isFor(console))
  useEffect(() => setOpen(false), [path])
  useKeys({
    '?': () => {
      console.helpShown.value = true
    },
    '/': () => document.querySelector<HTMLInputElement>('[data-search]')?.focus(),
    ...Object.fromEntries(views.map(({ path: to, key }) => [`g ${key}`, () => go(to)])),
  })
  return (
    <div class="frame">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <div class="side" data-open={isOpen}>
        <Link href="/sessions" class="brand">
          <img src="/favicon.svg" alt="" /> Dockin Ops
        </Link>
        <button type="button" class="icon-button menu-button" aria-label="Menu" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <Icon name={isOpen ? 'close' : 'menu'} />
        </button>
        <nav aria-label="Pages">
          <ul>
            {views.map((view) => (
              <li key={view.path} class={view.startsGroup ? 'gap' : ''}>
                <Link href={view.path} aria-current={path === view.path || path.startsWith(`${view.path}/`) ? 'page' : undefined}>
                  <Icon name={view.icon} /> {view.label}
                  {view.path === '/approvals' && <WaitForMe />}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <Foot />
      </div>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <News />
      {console.helpShown.value && <Help views={views} />}
    </div>
  )
}

/** How many lines wait for this person's word. */
function WaitForMe() {
  const { api } = useConsole()
  const { data } = useLoad('approvals', (signal) => api.listApprovals({ signal }), APPROVALS_MS)
  const count = data?.items.filter(({ mine }) => mine).length ?? 0
  return count === 0 ? null : <span class="badge accent count">{count} wait</span>
}

const THEME_TEXT: Readonly<Record<ThemeName, string>> = { auto: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' }

function Foot() {
  const console = useConsole()
  const me = console.me.value
  if (me.kind !== 'known') return null
  const theme = console.theme.name.value
  const logout = () => console.logout().catch((error: Error) => (console.news.value = `Not logged out: ${error.message}`))
  return (
    <div class="foot">
      <div class="cut">
        <strong>{me.user}</strong> <span class="quiet small">{me.roles.at(-1) ?? 'user'}</span>
      </div>
      <div class="row">
        <button type="button" class="icon-button" aria-label={THEME_TEXT[theme]} title={THEME_TEXT[theme]} onClick={() => console.theme.next()}>
          <Icon name={theme} />
        </button>
        <button type="button" class="icon-button" aria-label="Keys" title="Keys (?)" onClick={() => (console.helpShown.value = true)}>
          <Icon name="help" />
        </button>
        <button type="button" class="icon-button" aria-label="Log out" title="Log out" onClick={logout}>
          <Icon name="leave" />
        </button>
      </div>
    </div>
  )
}

function News() {
  const { news } = useConsole()
  const text = news.value
  useEffect(() => {
    if (text === '') return
    const timer = setTimeout(() => (news.value = ''), NEWS_MS)
    return () => clearTimeout(timer)
  }, [text, news])
  return <div role="status">{text !== '' && <div class="toast">{text}</div>}</div>
}

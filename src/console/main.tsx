/** The console: a program of the browser that `opserver` serves from dist/console. */
import { render } from 'preact'
import './styles/tokens.css'
import './styles/base.css'
import './styles/layout.css'
import './styles/controls.css'
import './styles/parts.css'
import './styles/session.css'
import './styles/pages.css'
import { z } from 'zod'
import { App } from './app.js'
import { Console, ConsoleContext } from './state/console.js'

// zod would try whether it may compile code, which the page's policy forbids and a browser would report
z.config({ jitless: true })

const console = new Console()
void console.ask()
const root = document.getElementById('app')
if (root)
  render(
    <ConsoleContext.Provider value={console}>
      <App />
    </ConsoleContext.Provider>,
    root,
  )

/** The terminal's colours of tokens.css as xterm.js takes them, and a terminal that stands in the page's own type. */
import type { ITheme, Terminal } from '@xterm/xterm'

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const

export function terminalTheme(): ITheme {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(`--tty-${name}`).trim()
  const theme: Record<string, string> = { background: colour('background'), foreground: colour('foreground'), cursor: colour('foreground') }
  NAMES.forEach((name, index) => {
    theme[name] = colour(String(index))
    theme[`bright${name.charAt(0).toUpperCase()}${name.slice(1)}`] = colour(String(index + 8))
  })
  return theme
}

export function terminalFont(): string {
  return getComputedStyle(document.documentElement).getPropertyValue('--mono').trim()
}

const MIN_FONT_PX = 5
const MAX_FONT_PX = 15
/** The largest letters with which the whole of `terminal` fits into `place`. */
export function fitFont(terminal: Terminal, place: HTMLElement): void {
  const screen = terminal.element?.querySelector('.xterm-screen')
  const now = terminal.options.fontSize ?? MAX_FONT_PX
  if (!screen || screen.clientWidth === 0 || place.clientWidth === 0) return
  const scale = Math.min((place.clientWidth - 24) / screen.clientWidth, (place.clientHeight - 16) / screen.clientHeight)
  const next = Math.max(MIN_FONT_PX, Math.min(MAX_FONT_PX, Math.floor(now * scale * 4) / 4))
  if (next !== now) terminal.options.fontSize = next
}

/** Frames -> bytes for a terminal (pure): only the rows that changed. ECMA-48 and xterm's private modes. */
import type { Frame, Line, LineStyle } from './picker-view.js'

/** Alternate screen (1049 keeps the user's own screen and cursor), no wrapping, cleared. */
export const ENTER_SCREEN = '\x1b[?1049h\x1b[?7l\x1b[0m\x1b[H\x1b[2J'
/** Everything back as a shell expects it. */
export const LEAVE_SCREEN = '\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l'

const STYLES: Readonly<Record<LineStyle, string>> = {
  plain: '\x1b[0m',
  heading: '\x1b[0;1m',
  chosen: '\x1b[0;7m',
  faint: '\x1b[0;2m',
  urgent: '\x1b[0;1;33m',
}

/** @param before what the terminal shows; undefined when that is not known, as after a resize */
export function paint(frame: Frame, before: Frame | undefined): string {
  const rows = frame.lines.map((line, i) => (same(line, before?.lines[i]) ? '' : `\x1b[${i + 1};1H${STYLES.plain}\x1b[2K${STYLES[line.style]}${line.text}`))
  const cursor = `\x1b[0m\x1b[${frame.cursor.row + 1};${frame.cursor.column + 1}H`
  const drawn = rows.join('')
  if (before === undefined) return `\x1b[0m\x1b[2J${drawn}${cursor}`
  const moved = before.cursor.row !== frame.cursor.row || before.cursor.column !== frame.cursor.column
  return drawn === '' && !moved ? '' : drawn + cursor
}

function same(a: Line, b: Line | undefined): boolean {
  return b !== undefined && a.text === b.text && a.style === b.style
}

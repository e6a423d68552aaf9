/** Terminals as clients describe them (RFC 4254 s6.2, s6.7), made safe to pass on. */
import type { PtyRequest, WindowSize } from '../core/types.js'

/** A pty-req or window-change as ssh2 decodes it. */
export interface RawWindow {
  readonly cols: number
  readonly rows: number
  readonly width: number
  readonly height: number
}
export interface RawTerminal extends RawWindow {
  readonly term: string
  readonly modes: Readonly<Record<string, number>>
}

/** Cells per side: far above any screen, and far below what makes line editors allocate without end. */
const MAX_CELLS = 4096
const MAX_PIXELS = 0xffff
const DEFAULT_SIZE = { columns: 80, rows: 24 }

/** A client whose input is no terminal says 0x0 and still wants a pty (`ssh -tt` from a script): 80x24, as sshd does. */
export function terminal({ term, modes, ...window }: RawTerminal): PtyRequest {
  const size = windowSize(window)
  return {
    term: /^[\w.+-]{1,64}$/.test(term) ? term : 'dumb',
    size: { ...size, columns: size.columns || DEFAULT_SIZE.columns, rows: size.rows || DEFAULT_SIZE.rows },
    modes,
  }
}

export function windowSize({ cols, rows, width, height }: RawWindow): WindowSize {
  return {
    columns: Math.min(cols, MAX_CELLS),
    rows: Math.min(rows, MAX_CELLS),
    widthPx: Math.min(width, MAX_PIXELS),
    heightPx: Math.min(height, MAX_PIXELS),
  }
}

/** Cells of text on a terminal: wide characters (CJK) take two. */
import stringWidth from 'string-width'

const graphemes = new Intl.Segmenter()

/** Cells that `text` takes. */
export function cellsOf(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : stringWidth(text)
}

/** `text` and spaces up to `width` cells. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - cellsOf(text)))
  return align === 'left' ? text + space : space + text
}

/** At most `width` cells; what is cut away shows as "…". The middle keeps the end of a name, which tells pods of one workload apart. */
export function cut(text: string, width: number, where: 'end' | 'middle' = 'end'): string {
  if (cellsOf(text) <= width) return text
  if (width <= 0) return ''
  const after = where === 'middle' ? Math.floor((width - 1) / 2) : 0
  const parts = [...graphemes.segment(text)].map(({ segment }) => segment)
  return `${take(parts, width - 1 - after).join('')}…${take(parts.reverse(), after).reverse().join('')}`
}

function take(parts: readonly string[], width: number): string[] {
  const taken: string[] = []
  let used = 0
  for (const part of parts) {
    used += cellsOf(part)
    if (used > width) break
    taken.push(part)
  }
  return taken
}

/** How many cells a character takes on a terminal, and where one character ends. */
import stringWidth from 'string-width'

/** Stateless, and costly to make. */
const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' })
/** UTF-16 units looked at on each side of a cursor. Longer clusters exist only as jokes, and are walked in steps. */
const WINDOW = 64

/**
 * Cells of one code point: 0 for combining and other zero-width ones, 2 for wide ones, else 1. Not for control characters.
 * Counted per code point and not per emoji sequence, as wcwidth does in the terminals and multiplexers people use.
 */
export function cellsOf(codePoint: number): 0 | 1 | 2 {
  if (codePoint < 0x300) return codePoint === 0xad ? 0 : 1
  if (codePoint >= 0x4e00 && codePoint <= 0x9fff) return 2
  const cells = stringWidth(String.fromCodePoint(codePoint))
  return cells > 1 ? 2 : cells === 1 ? 1 : 0
}

/** True when `text` holds nothing but printable ASCII: one unit, one cell each. */
export function isPlain(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text)
}

/** Cells of a text without control characters. */
export function textCells(text: string): number {
  if (isPlain(text)) return text.length
  let cells = 0
  for (const character of text) cells += cellsOf(character.codePointAt(0) ?? 0)
  return cells
}

/** Index after the character at `at`. */
export function nextCharacter(text: string, at: number): number {
  if (at >= text.length) return text.length
  if (text.charCodeAt(at) < 0x300 && (at + 1 >= text.length || text.charCodeAt(at + 1) < 0x300)) return at + 1
  const [first] = GRAPHEMES.segment(text.slice(at, at + WINDOW))
  return at + (first?.segment.length ?? 1)
}

/** Index of the character that ends at `at`. */
export function previousCharacter(text: string, at: number): number {
  if (at <= 0) return 0
  if (text.charCodeAt(at - 1) < 0x300 && (at < 2 || text.charCodeAt(at - 2) < 0x300)) return at - 1
  const from = Math.max(0, at - WINDOW)
  let start = from
  for (const part of GRAPHEMES.segment(text.slice(from, at))) start = from + part.index
  return start
}

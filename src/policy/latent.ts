/**
 * Text that is data now and may be read as a subscript later: `a[$(cmd)]` in a variable that arithmetic, `test -v`, `read` or
 * `unset` will look at. What stands inside is vetted as if it ran.
 */

const SUBSCRIPT = /(?<!\w)[A-Za-z_]\w*\[/
/** More than this many substitutions in one text are not told apart any more. */
const MAX_SCRIPTS = 16

/** The commands that hide behind a subscript of `text`, each to be vetted; `undefined` in the list: one that cannot be read. */
export function hiddenScripts(text: string): (string | undefined)[] {
  if (!text.includes('[')) return []
  const decoded = decodeEscapes(text)
  let at = decoded.search(SUBSCRIPT)
  const scripts: (string | undefined)[] = []
  while (at >= 0 && scripts.length < MAX_SCRIPTS) {
    const open = nextSubstitution(decoded, at)
    if (!open) return scripts
    const end = open.backtick ? decoded.indexOf('`', open.start) : closingParen(decoded, open.start)
    if (end < 0) return [...scripts, undefined]
    scripts.push(decoded.slice(open.start, end))
    at = end + 1
  }
  return scripts.length < MAX_SCRIPTS ? scripts : [undefined]
}

function nextSubstitution(text: string, from: number): { readonly start: number; readonly backtick: boolean } | undefined {
  const paren = text.indexOf('$(', from)
  const backtick = text.indexOf('`', from)
  if (paren < 0 && backtick < 0) return undefined
  return paren >= 0 && (backtick < 0 || paren < backtick) ? { start: paren + 2, backtick: false } : { start: backtick + 1, backtick: true }
}

/** printf and echo -e make `\x24(` a `$(`. */
function decodeEscapes(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(?:x([0-9a-fA-F]{1,2})|0?([0-7]{3})|[uU]0*([0-9a-fA-F]{2}))/g, (_, hex?: string, octal?: string, unicode?: string) =>
    String.fromCharCode(hex ? Number.parseInt(hex, 16) : octal ? Number.parseInt(octal, 8) & 0xff : Number.parseInt(unicode ?? '0', 16)),
  )
}
function closingParen(text: string, start: number): number {
  let depth = 0
  for (let i = start; i < text.length; i++) {
    if (text[i] === '(') depth++
    else if (text[i] === ')' && depth-- === 0) return i
  }
  return -1
}

/**
 * Text that is data now and may be read as a subscript later: `a[$(cmd)]` in a variable that arithmetic, `test -v`, `read` or
 * `unset` will look at. What stands inside is vetted as if it ran.
 */

const SUBSCRIPT = /[A-Za-z_]\w*\[[^\]]*?(\$\(|\$\{|`)/

/** The commands that hide in a subscript of `text`: `script` to vet, or `true` when there is something that cannot be read. */
export function hiddenScript(text: string): string | true | undefined {
  const match = SUBSCRIPT.exec(decodeEscapes(text))
  if (!match) return undefined
  const decoded = decodeEscapes(text)
  const start = match.index + match[0].length
  if (match[1] === '${') return undefined
  const end = match[1] === '`' ? decoded.indexOf('`', start) : closingParen(decoded, start)
  return end < 0 ? true : decoded.slice(start, end)
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

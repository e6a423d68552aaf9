/** Text that came from a server, a pod or a file, made safe for this terminal. */
import { escapePeerText } from '../../core/log.js'

/** Longest cell or line that is printed of one value. */
const MAX_CHARACTERS = 16 * 1024
/** Controls, and what reorders or hides text. Line feeds are the printer's own business. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** One line without control characters: tables, messages. */
export function safe(text: string): string {
  return escapePeerText(text, MAX_CHARACTERS)
}

/** Several lines: as `safe`, but line feeds and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(UNSAFE, (character) => (character === '\n' || character === '\t' ? character : safe(character)))
}

/** Whether `text` holds anything that `safeLines` would escape. */
export function isUnsafe(text: string): boolean {
  return safeLines(text) !== text
}

/**
 * Inside JSON and double-quoted YAML: what is unsafe as `\uXXXX`, which both read back as the same text. JSON.stringify
 * escapes C0 only, and 0x9b alone starts a control sequence on some terminals.
 */
export function escapeUnicode(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === '\n') return character
    return [...Array(character.length).keys()].map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')
  })
}

/** Whether bytes look like no text: a NUL, or more than a tenth control characters and broken UTF-8. Looks at the first 8 KiB, as grep and git do. */
export function isBinary(bytes: Buffer): boolean {
  const head = bytes.subarray(0, 8192)
  if (head.includes(0)) return true
  const text = head.toString('utf8')
  let odd = 0
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    if (point === 0xfffd || (point < 0x20 && ![0x07, 0x08, 0x09, 0x0a, 0x0c, 0x0d, 0x1b].includes(point))) odd++
  }
  return odd * 10 > text.length
}

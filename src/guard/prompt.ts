/** What stands before the line: who, where, and that the shell is guarded. */

import { textCells } from './cells.js'
import type { Search } from './edit-state.js'
import type { Prompt } from './screen.js'
import { searchPrompt } from './search.js'

export interface PromptFacts {
  readonly user: string
  readonly targetLabel: string
  readonly cwd: string
  readonly status: number
  /** False on a terminal that knows no colours. */
  readonly colours: boolean
}

/** Text from a target or a client, made safe to print: no control characters, no direction overrides. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?')
}

/** The end of `text` that fits, with a sign that something is missing. */
function endOf(text: string, cells: number): string {
  if (textCells(text) <= cells) return text
  let end = text
  while (end !== '' && textCells(end) > cells - 1) end = [...end].slice(1).join('')
  return `…${end}`
}

/** `alice@shop/web-0:/srv [guarded]$ `: green after success, red after failure; shorter on a narrow terminal. */
export function shellPrompt(facts: PromptFacts, columns: number): Prompt {
  const who = printable(`${facts.user}@${facts.targetLabel}`)
  const cwd = printable(facts.cwd)
  const room = Math.floor(columns * 0.6)
  const marker = columns >= 40 ? ' [guarded]' : ''
  const left = room - textCells(who) - marker.length - 3
  const place = left >= 8 ? `${who}:${endOf(cwd, left)}` : room - marker.length - 2 >= 4 ? endOf(cwd, Math.min(24, room - marker.length - 2)) : ''
  const cells = textCells(place) + marker.length + 2
  if (!facts.colours) return { text: `${place}${marker}$ `, cells }
  const colour = facts.status === 0 ? '\x1b[32m' : '\x1b[31m'
  return { text: `${colour}${place}\x1b[36m${marker}\x1b[m$ `, cells }
}

/** While searching; the end of the pattern when it does not fit. */
export function promptOfSearch(search: Search, columns: number): Prompt {
  const text = endOf(printable(searchPrompt(search)), Math.max(1, columns - 2))
  return { text, cells: textCells(text) }
}

/** Tab: names of commands and files, asked of the target beside the shell, so that no key waits for them. */

import { textCells } from './cells.js'
import type { Clock } from './clock.js'
import { printable } from './prompt.js'

export interface CompletionRequest {
  readonly text: string
  readonly cursor: number
  readonly cwd: string
  /** Command names of a white list; then only these are offered. */
  readonly allowed: readonly string[] | undefined
}
export interface Completion {
  /** To be put in at the cursor; empty when nothing is certain. */
  readonly insert: string
  /** What it could be, when several. */
  readonly names: readonly string[]
}
type Ask = (argv: readonly string[], signal: AbortSignal) => Promise<string>

/** A directory's names are asked again after this long; commands are asked once. */
const FRESH_MS = 3000
const MAX_CACHED = 32
const MAX_NAMES = 2000
const NOTHING: Completion = { insert: '', names: [] }

/** $1 directory, $2 start of the names. A slash after a directory; a name is one line, so names with newlines are left out below. */
const LIST_FILES = [
  'cd -- "$1" 2>/dev/null || exit 0',
  'for f in "$2"*; do [ -e "$f" ] || [ -L "$f" ] || continue; [ -d "$f" ] && f=$f/; printf "%s\\n" "$f"; done',
].join('\n')
const LIST_COMMANDS = [
  'for d in /usr/local/bin /usr/bin /bin /usr/local/sbin /usr/sbin /sbin; do',
  'cd "$d" 2>/dev/null && for f in *; do [ -x "$f" ] && printf "%s\\n" "$f"; done; done',
].join('\n')
const BUILTINS = [
  'cd',
  'echo',
  'exit',
  'export',
  'jobs',
  'kill',
  'printf',
  'pwd',
  'read',
  'test',
  'true',
  'false',
  'type',
  'umask',
  'unset',
  'wait',
  'bg',
  'fg',
]

/** The word before the cursor: its text without quotes, whether it is a command, and how what is added must be quoted. */
interface Word {
  readonly text: string
  readonly isCommand: boolean
  readonly quote: '' | "'" | '"'
}

/** Reads the line up to the cursor as a shell would cut it; undefined inside what completion does not understand ($, `). */
export function wordBefore(text: string): Word | undefined {
  let word = ''
  let quote: Word['quote'] = ''
  let isCommand = true
  let started = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (quote === "'") {
      if (character === "'") quote = ''
      else word += character
    } else if (character === '\\') {
      at += 1
      word += text[at] ?? ''
      started = true
    } else if (quote === '"') {
      if (character === '"') quote = ''
      else word += character
    } else if (character === "'" || character === '"') {
      quote = character
      started = true
    } else if (/[\s;&|()<>]/.test(character)) {
      if (/[;&|(\n]/.test(character)) isCommand = true
      else if (started && !/^[A-Za-z_]\w*=/.test(word)) isCommand = false
      if (/[<>]/.test(character)) isCommand = false
      word = ''
      started = false
    } else {
      word += character
      started = true
    }
  }
  return /[$`*?[]/.test(word) && quote !== "'" ? undefined : { text: word, isCommand, quote }
}

/** `name` as it must be typed inside `quote`. */
export function quoted(name: string, quote: Word['quote']): string {
  if (quote === "'") return name.replaceAll("'", "'\\''")
  if (quote === '"') return name.replace(/["\\$`!]/g, '\\$&')
  return name.replace(/[^A-Za-z0-9_./,:@%+=~-]/gu, (character) => (character.charCodeAt(0) < 0x80 ? `\\${character}` : character))
}

function commonStart(names: readonly string[]): string {
  let start = names[0] ?? ''
  for (const name of names) while (!name.startsWith(start)) start = [...start].slice(0, -1).join('')
  return start
}

/** Lines of a target's answer that may be shown and typed: no control characters, nothing that hides or turns text. */
function cleanNames(answer: string): string[] {
  const names = answer.split('\n').filter((name) => name !== '' && name === printable(name) && !name.includes('\ufffd'))
  return [...new Set(names)].sort().slice(0, MAX_NAMES)
}

export class Completer {
  readonly #ask: Ask
  readonly #clock: Clock
  readonly #files = new Map<string, { readonly at: number; readonly names: Promise<string[]> }>()
  #commands: Promise<string[]> | undefined

  constructor(ask: Ask, clock: Clock) {
    this.#ask = ask
    this.#clock = clock
  }

  /** What Tab would put in at the cursor. Rejects when the target does not answer. */
  async complete(request: CompletionRequest, signal: AbortSignal): Promise<Completion> {
    const word = wordBefore(request.text.slice(0, request.cursor))
    if (!word || (word.isCommand && word.text === '')) return NOTHING
    const names = word.isCommand && !word.text.includes('/') ? await this.#commandNames(request, signal) : await this.#fileNames(word.text, request.cwd, signal)
    const typed = word.isCommand && !word.text.includes('/') ? word.text : word.text.slice(word.text.lastIndexOf('/') + 1)
    const matching = names.filter((name) => name.startsWith(typed) && (typed.startsWith('.') || !name.startsWith('.')))
    const [only] = matching
    if (only === undefined) return NOTHING
    const start = commonStart(matching)
    const added = quoted(start.slice(typed.length), word.quote)
    if (matching.length > 1) return { insert: added, names: matching }
    return { insert: added + (only.endsWith('/') ? '' : `${word.quote} `), names: matching }
  }

  /** The names in columns, as `ls` lays them out. */
  columns(names: readonly string[], width: number): string {
    const cell = Math.max(...names.map((name) => textCells(name))) + 2
    const perRow = Math.max(1, Math.floor(width / cell))
    const rows = Math.ceil(names.length / perRow)
    let out = ''
    for (let row = 0; row < rows; row++) {
      const line = names.filter((_, index) => index % rows === row).map((name) => name + ' '.repeat(cell - textCells(name)))
      out += `${line.join('').trimEnd()}\r\n`
    }
    return out
  }

  async #commandNames({ allowed }: CompletionRequest, signal: AbortSignal): Promise<readonly string[]> {
    if (allowed) return [...new Set([...allowed, ...BUILTINS])].sort()
    this.#commands ??= this.#ask(['/bin/sh', '-c', LIST_COMMANDS], signal).then(
      (answer) => cleanNames(`${answer}\n${BUILTINS.join('\n')}`),
      (error) => {
        this.#commands = undefined
        throw error
      },
    )
    return this.#commands
  }

  #fileNames(word: string, cwd: string, signal: AbortSignal): Promise<readonly string[]> {
    const slash = word.lastIndexOf('/') + 1
    const directory = word.slice(0, slash)
    const start = word.slice(slash)
    // Without a leading dot all names are asked at once, so that the next letters need no question.
    const asked = start.startsWith('.') ? '.' : ''
    const where = directory.startsWith('/') ? directory : `${cwd}/${directory}`
    const key = `${asked}\0${where}`
    const known = this.#files.get(key)
    if (known && this.#clock.now() - known.at < FRESH_MS) return known.names
    const names = this.#ask(['/bin/sh', '-c', LIST_FILES, 'sh', where, asked], signal).then(cleanNames)
    this.#files.delete(key)
    this.#files.set(key, { at: this.#clock.now(), names })
    names.catch(() => this.#files.delete(key))
    for (const oldest of this.#files.keys()) {
      if (this.#files.size <= MAX_CACHED) break
      this.#files.delete(oldest)
    }
    return names
  }
}

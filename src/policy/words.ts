/**
 * A word of the shell -> the arguments it becomes, as far as its text says. Quotes, escapes, `$'..'` and brace expansion
 * are resolved; what only the running shell knows (variables, substitutions, globs) makes the argument dynamic.
 */
import type { ArrayValue, Assignment, Word, WordPart } from 'unbash'

export type ArgKind = 'constant' | 'glob' | 'dynamic'
/** One argument of a command. */
export interface Arg {
  readonly kind: ArgKind
  /** The constant text; for a glob its pattern; for dynamic what is constant, with "…" for each part that is not. */
  readonly text: string
  /** The constant text before the first part that is not; all of it when constant. */
  readonly prefix: string
  /** A dynamic argument that may become none or several (unquoted, or "$@"). */
  readonly splits: boolean
  /** Whatever it becomes, it is no path that anybody could choose: a number, a stamp, `$HOME`, what find found below a folder. */
  readonly settled?: true
  /** The one variable that is all of this argument, if it is nothing else: `$f`, `"$f"`, `${f}`. */
  readonly variable?: string
}

export interface WordContext {
  readonly home: string | undefined
  /** dash and ash have no brace expansion. */
  readonly braces: boolean
}

/** One character and whether quoting took its meaning, or a hole that only the shell can fill. */
type Item = { readonly char: string; readonly quoted: boolean } | Hole
interface Hole {
  readonly hole: true
  readonly splits: boolean
  readonly variable?: string
  readonly settled?: boolean
}

const HOLE: Item = { hole: true, splits: false }
/** An array of the line's own syntax; its elements are looked at where they stand. */
const ARRAY_HOLE: Item = { hole: true, splits: false, settled: true }
/** More alternatives than this make the word dynamic: bounds `{a,b}{a,b}{a,b}…`. */
const MAX_BRACE_WORDS = 64
/** More opening braces than this make the word dynamic: bounds the search for their partners. */
const MAX_BRACES = 64
/** A word of more parts is not worth its time. */
const MAX_PARTS = 1024
const SPECIAL = /[\\{*?[~]/

/** The arguments of a word; more than one only through brace expansion. */
export function expandWord(word: Word, context: WordContext): Arg[] {
  if ((word.parts?.length ?? 0) > MAX_PARTS) return [unknownArg(true)]
  if (!word.parts && !SPECIAL.test(word.text)) return [constant(word.value)]
  return expandItems(itemsOf(word), context)
}

/** The argument that an assignment-like word (`of=x`, `A=1` after env) is; array values are dynamic. */
export function expandAssignment(assignment: Assignment, context: WordContext): Arg {
  if (assignment.index) return argOf([...plain(`${assignment.name}[`), HOLE], context, false)
  if (isArray(assignment.value)) return argOf([...plain(`${assignment.name}=`), ARRAY_HOLE], context, false)
  // bash expands a tilde there too (Bash manual 3.5.2), dash does not: both readings are the same text or dynamic.
  const value = expandTilde(itemsOf(assignment.value), context.home)
  const lead: Item[] = value.dynamic ? [{ hole: true, splits: false }] : plain(value.lead)
  return argOf([...plain(`${assignment.name}${assignment.append ? '+=' : '='}`), ...lead, ...value.items], context, false)
}

export function constant(text: string): Arg {
  return { kind: 'constant', text, prefix: text, splits: false }
}
/** An argument of which nothing is known: what xargs reads, what find finds. */
export function unknownArg(splits: boolean): Arg {
  return { kind: 'dynamic', text: '…', prefix: '', splits }
}
export function isArray(value: Word | ArrayValue): value is ArrayValue {
  return value.type === 'ArrayValue'
}

/** True for an argument that may become none or several: unquoted, or a pattern, which the names of files decide. */
export function several(arg: Arg): boolean {
  return arg.splits || arg.kind === 'glob'
}

function plain(text: string): Item[] {
  return Array.from(text, (char) => ({ char, quoted: false }))
}
function quoted(text: string): Item[] {
  return Array.from(text, (char) => ({ char, quoted: true }))
}

/** Unquoted text: a backslash quotes the next character, and joins lines before a newline. */
function unquoted(text: string): Item[] {
  const items: Item[] = []
  const chars = Array.from(text)
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string
    if (char !== '\\' || i + 1 >= chars.length) items.push({ char, quoted: false })
    else if (chars[++i] !== '\n') items.push({ char: chars[i] as string, quoted: true })
  }
  return items
}

function itemsOf(word: Word): Item[] {
  return word.parts ? word.parts.flatMap((part) => itemsOfPart(part)) : unquoted(word.text)
}

function itemsOfPart(part: WordPart): Item[] {
  switch (part.type) {
    case 'Literal':
      return unquoted(part.text)
    case 'SingleQuoted':
      return quoted(part.value)
    case 'AnsiCQuoted':
      // bash ends the string at a NUL; nobody needs one, so it is a hole.
      return /\\(?:0|x0|u0|U0|c@)/.test(part.text) || part.value.includes('\0') ? [{ hole: true, splits: false }] : quoted(part.value)
    case 'DoubleQuoted':
      return part.parts.length === 0 ? [] : part.parts.flatMap((child) => (child.type === 'Literal' ? quoted(child.value) : hole(child, true)))
    case 'Glob':
      return part.parts ? enclose('[', part.parts, ']') : unquoted(part.text)
    case 'BraceExpansion':
      return part.parts ? enclose('{', part.parts, '}') : unquoted(part.text)
    default:
      return hole(part, false)
  }
}

/** The parser's parts of a bracket or brace are what stands inside it. */
function enclose(open: string, parts: readonly WordPart[], close: string): Item[] {
  return [...plain(open), ...parts.flatMap((part) => itemsOfPart(part)), ...plain(close)]
}

/** Digits, which no IFS that a line may set takes apart. */
const NUMBER = /^\$(?:[?#$!]|\{[?#$!]\}|\{#\w+\})$/
const MANY = /^\$(?:[@*]|\{[@*]|\{[^}]*\[[@*]\])/
/** No line may set these (variables.ts). */
const FIXED = /^(?:HOME|PWD|OLDPWD|PATH|SHELL)$/
/** Prints one word without blanks, or an error: a stamp in a file's name. */
const ONE_WORD =
  /^(?:\$\( *|`)(?:date (?:-u |-I *)?(?:["']?\+(?:[\w.:-]|%[YmdHMSsFTNjyuV])+["']?|-I|\+%F)|hostname(?: -s)?|whoami|nproc|uname -[nrmsp]|id -u(?:n)?)(?: *\)|`)$/
function hole(part: WordPart, inQuotes: boolean): Item[] {
  const oneWord = part.type === 'ProcessSubstitution' || NUMBER.test(part.text) || (part.type === 'CommandExpansion' && ONE_WORD.test(part.text))
  const splits = oneWord ? false : !inQuotes || MANY.test(part.text)
  const variable = /^\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})$/.exec(part.text)
  const name = variable?.[1] ?? variable?.[2]
  const settled = oneWord || part.type === 'ArithmeticExpansion' || (name !== undefined && FIXED.test(name))
  return [{ hole: true, splits, settled, ...(name !== undefined && { variable: name }) }]
}

function expandItems(items: readonly Item[], context: WordContext): Arg[] {
  // `{}` is left as it is, wherever it stands: find and xargs put names there.
  const braces = context.braces ? items.filter((item, index) => is(item, '{') && !is(items[index + 1], '}')).length : 0
  if (braces === 0) return [argOf(items, context, true)]
  // bash looks for braces before it reads expansions, and by rules of its own: `{a,${x:-{1..3}}}`. Only a plain $x is safe inside.
  const safe = items.every((item) => !('hole' in item) || item.variable !== undefined)
  const words = safe && braces <= MAX_BRACES ? expandBraces(items) : undefined
  if (!words) return [unknownArg(true)]
  // bash drops a word that a brace expansion left empty and unquoted.
  return words.filter((word) => word.length > 0).map((word) => argOf(word, context, true))
}

function argOf(items: readonly Item[], context: WordContext, tilde: boolean): Arg {
  let text = ''
  let prefix: string | undefined
  let kind: ArgKind = 'constant'
  let splits = false
  const rest = tilde ? expandTilde(items, context.home) : { lead: '', items, dynamic: false }
  if (rest.dynamic) [kind, prefix, text] = ['dynamic', '', '~']
  else text = rest.lead
  const closes = lastBracket(rest.items)
  rest.items.forEach((item, index) => {
    if ('hole' in item) {
      prefix ??= text
      text += '…'
      kind = 'dynamic'
      splits ||= item.splits
      return
    }
    if (!item.quoted && kind === 'constant' && (item.char === '*' || item.char === '?' || (item.char === '[' && index < closes))) {
      prefix ??= text
      kind = 'glob'
    }
    text += item.char
  })
  const settled = rest.items.every((item) => !('hole' in item) || item.settled === true)
  const only = rest.items.length === 1 ? rest.items[0] : undefined
  const variable = only && 'hole' in only ? only.variable : undefined
  return { kind, text, prefix: prefix ?? text, splits, ...(settled && !rest.dynamic && { settled }), ...(variable !== undefined && { variable }) }
}

function lastBracket(items: readonly Item[]): number {
  for (let i = items.length - 1; i >= 0; i--) {
    const item = items[i] as Item
    if ('char' in item && item.char === ']') return i
  }
  return -1
}

/** `~` and `~/x` become the home directory when it is known; `~user`, `~+`, `~-` are the target's to say. */
function expandTilde(items: readonly Item[], home: string | undefined): { lead: string; items: readonly Item[]; dynamic: boolean } {
  const [first, second] = items
  if (!first || !('char' in first) || first.char !== '~' || first.quoted) return { lead: '', items, dynamic: false }
  const alone = second === undefined || ('char' in second && second.char === '/')
  if (alone && home !== undefined) return { lead: home, items: items.slice(1), dynamic: false }
  return { lead: '', items: items.slice(1), dynamic: true }
}

/** bash's brace expansion on unquoted braces, commas and dots; undefined when there are too many words. */
function expandBraces(items: readonly Item[]): Item[][] | undefined {
  const open = findGroup(items)
  if (!open) return [[...items]]
  const heads = items.slice(0, open.start)
  const tails = expandBraces(items.slice(open.end + 1))
  if (!tails) return undefined
  const result: Item[][] = []
  for (const choice of open.choices) {
    const middles = expandBraces(choice)
    if (!middles || middles.length * tails.length + result.length > MAX_BRACE_WORDS) return undefined
    for (const middle of middles) for (const tail of tails) result.push([...heads, ...middle, ...tail])
  }
  return result
}

interface Group {
  readonly start: number
  readonly end: number
  readonly choices: readonly (readonly Item[])[]
}
function is(item: Item | undefined, char: string): boolean {
  return item !== undefined && 'char' in item && !item.quoted && item.char === char
}
/** The first brace group that is one: with a comma at its own level, or a sequence. */
function findGroup(items: readonly Item[]): Group | undefined {
  for (let start = 0; start < items.length; start++) {
    if (!is(items[start], '{')) continue
    const commas: number[] = []
    let depth = 0
    let end = -1
    for (let i = start + 1; i < items.length; i++) {
      if (is(items[i], '{')) depth++
      else if (is(items[i], '}') && depth-- === 0) {
        end = i
        break
      } else if (is(items[i], ',') && depth === 0) commas.push(i)
    }
    if (end < 0) continue
    const choices = commas.length > 0 ? cut(items, [start, ...commas, end]) : sequence(items.slice(start + 1, end))
    if (choices) return { start, end, choices }
  }
  return undefined
}
function cut(items: readonly Item[], at: readonly number[]): Item[][] {
  return at.slice(1).map((stop, i) => items.slice((at[i] as number) + 1, stop))
}
/** `1..5`, `a..e`, `01..10..2`: values of a sequence; undefined when it is none. */
function sequence(items: readonly Item[]): Item[][] | undefined {
  if (items.some((item) => 'hole' in item)) return undefined
  const match = /^(?:(-?\d{1,9})\.\.(-?\d{1,9})|([A-Za-z])\.\.([A-Za-z]))(?:\.\.(-?\d{1,9}))?$/.exec(
    items.map((item) => ('char' in item ? item.char : '')).join(''),
  )
  if (!match) return undefined
  const [low, high] = match[1] !== undefined ? [Number(match[1]), Number(match[2])] : [match[3]?.codePointAt(0) ?? 0, match[4]?.codePointAt(0) ?? 0]
  const step = Math.abs(Number(match[5] ?? 1)) || 1
  const count = Math.floor(Math.abs(high - low) / step) + 1
  if (count > MAX_BRACE_WORDS) return [[{ hole: true, splits: true }]]
  const width = [match[1], match[2]].some((text) => /^-?0\d/.test(text ?? '')) ? Math.max(match[1]?.length ?? 0, match[2]?.length ?? 0) : 0
  return Array.from({ length: count }, (_, i) => {
    const value = low + (high < low ? -1 : 1) * step * i
    return plain(match[1] === undefined ? String.fromCodePoint(value) : String(value).padStart(width, '0'))
  })
}

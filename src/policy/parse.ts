/**
 * The shell parser behind an adapter of our own: unbash 6 (tolerant; pinned). Tolerant means that a broken line still gives
 * a tree, so nothing may look at a tree before `parseLine` or `parseScript` has said that it is whole.
 */
import { forEachChild, type HereDoc, type ParsedScript, type ParseError, parse, type SyntaxNode } from 'unbash'

export type Parsed =
  | { readonly kind: 'whole'; readonly script: ParsedScript }
  /** More lines may complete it: an editor asks for them, every other door refuses. */
  | { readonly kind: 'incomplete'; readonly reason: string }
  | { readonly kind: 'error'; readonly reason: string }

/** UTF-16 units of one line (guarded-shell.md: 64 KiB). Bounds the time of a verdict. */
export const MAX_LINE_LENGTH = 65_536

/**
 * Control characters other than tab and newline, lone surrogates, and the no-character U+FEFF. A terminal or a shell may
 * read them otherwise than we do. C1 controls are one byte in some locales.
 */
const FORBIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/** Characters that make a tree grow. 64 KiB of nothing else cost the parser 60 ms; text and here-documents have few. */
const STRUCTURE = /[;|&$`(<>]/g
const MAX_STRUCTURE = 6_000

/** Parses a line that a person typed. Never throws; 18 us for a usual line. */
export function parseLine(line: string): Parsed {
  if (line.length > MAX_LINE_LENGTH) return { kind: 'error', reason: `the line is longer than ${MAX_LINE_LENGTH} characters` }
  const forbidden = FORBIDDEN.exec(line)
  if (forbidden) return { kind: 'error', reason: `the line holds the control character ${codePoint(forbidden[0])}` }
  if (line.length > MAX_STRUCTURE && (line.match(STRUCTURE)?.length ?? 0) > MAX_STRUCTURE)
    return { kind: 'error', reason: 'the line holds too many commands to vet' }
  const tree = tryParse(line)
  if (typeof tree === 'string') return { kind: 'error', reason: tree }
  if (endsInContinuation(line, tree)) return { kind: 'incomplete', reason: 'the line ends in a backslash' }
  const end = meaningfulEnd(line, tree)
  const fault = faultOf(line, tree, end)
  return fault ?? { kind: 'whole', script: tree }
}

/** Parses text that another command would run (`sh -c`, `eval`): nothing can complete it. */
export function parseScript(text: string): Parsed {
  const parsed = parseLine(text)
  return parsed.kind === 'incomplete' ? { kind: 'error', reason: parsed.reason } : parsed
}

/** What is wrong with a script inside an already parsed line; a nested script keeps errors of its own. */
export function nestedFault(script: ParsedScript | undefined): string | undefined {
  if (!script) return 'a command substitution that the parser did not read'
  const first = script.errors?.[0]
  return first && errorText(first)
}

function tryParse(line: string): ParsedScript | string {
  try {
    return parse(line)
  } catch (error) {
    // unbash promises not to throw; a stack overflow on hostile nesting would still be a refusal, never a pass.
    return `the line cannot be parsed: ${error instanceof Error ? error.message : String(error)}`
  }
}

function codePoint(text: string): string {
  return `U+${(text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}
function errorText(error: ParseError): string {
  return `syntax error: ${error.message}`
}

/** Where the text ends for the grammar: blanks, newlines and a comment after it do not count. */
function meaningfulEnd(line: string, tree: ParsedScript): number {
  let end = line.length
  const last = tree.commands.at(-1)?.end ?? 0
  const comment = /(?:^|[\s;&|()])#[^\n]*$/.exec(line.slice(last))
  if (comment) end = last + comment.index + (comment[0].startsWith('#') ? 0 : 1)
  while (end > 0 && ' \t\n'.includes(line[end - 1] as string)) end--
  return end
}

/** Errors that a closing word or character later on would mend, by the beginning of the parser's message. */
const MENDABLE_ANYWHERE = /^unterminated /
const MENDABLE_AT_END = /^expected (?!redirect target|operand)/
/** Reported at the opening word; followed by a missing `}` or `)` at the end when the line merely stops there. */
const EMPTY_GROUP = /^expected command in (?:brace group|subshell)$/

function faultOf(line: string, tree: ParsedScript, end: number): Parsed | undefined {
  const errors = tree.errors ?? []
  const hard = errors.find((error) => !isMendable(error, errors, end))
  if (hard) return { kind: 'error', reason: errorText(hard) }
  const soft = errors[0]
  if (soft) return { kind: 'incomplete', reason: errorText(soft) }
  // HereDoc.closing is the one thing that the parser does not report as an error.
  if (line.includes('<<') && hasOpenHereDoc(tree)) return { kind: 'incomplete', reason: 'a here-document is not closed' }
  return undefined
}
function isMendable(error: ParseError, errors: readonly ParseError[], end: number): boolean {
  if (MENDABLE_ANYWHERE.test(error.message)) return !/arithmetic for header|array subscript/.test(error.message)
  if (MENDABLE_AT_END.test(error.message) && error.pos >= end) return true
  return EMPTY_GROUP.test(error.message) && errors.some((other) => other !== error && other.pos >= end && MENDABLE_AT_END.test(other.message))
}

function hasOpenHereDoc(tree: ParsedScript): boolean {
  let open = false
  const visit = (node: SyntaxNode): void => {
    if (open) return
    if (node.type === 'HereDoc') open ||= isOpen(node)
    else if (node.type !== 'Word') forEachChild(node, visit)
  }
  visit(tree)
  return open
}
/** True when the closing line of a here-document was never seen. */
export function isOpen(doc: HereDoc): boolean {
  return doc.closing === undefined
}

/** An odd number of backslashes at the very end, outside a comment: the shell would join the next line. */
function endsInContinuation(line: string, tree: ParsedScript): boolean {
  const slashes = /\\+$/.exec(line)?.[0].length ?? 0
  if (slashes % 2 === 0) return false
  const comment = /(?:^|[\s;&|()])#[^\n]*$/.exec(line.slice(tree.commands.at(-1)?.end ?? 0))
  return comment === null
}

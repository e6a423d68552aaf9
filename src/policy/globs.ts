/**
 * Globs as rules write them. `*` stands for any characters, none and "/" included (`/etc/*` covers `/etc/ssh/key`, as in
 * fnmatch without FNM_PATHNAME); `?` for one character; `[a-z]` and `[!a-z]` for one of a set; `\` takes the next
 * character as it is. A rule that forbids must not forbid less than its reader thinks, so `*` is the wide kind.
 * Matching costs at most text x pattern steps: no regular expression, nothing that an argument can make slow.
 */

/** Answers whether a text matches. */
export type Glob = (text: string) => boolean

type Token = { readonly kind: 'any' } | { readonly kind: 'one' } | { readonly kind: 'char'; readonly char: string } | CharSet
interface CharSet {
  readonly kind: 'set'
  readonly negated: boolean
  /** Inclusive ranges; a single character is a range of one. */
  readonly ranges: readonly (readonly [string, string])[]
}

/** Compiles one pattern. Every string is a pattern; a `[` that is never closed stands for itself. */
export function compileGlob(pattern: string): Glob {
  const tokens = tokenize(pattern)
  const open = tokens.at(-1)?.kind === 'any'
  const literal = literalText(open ? tokens.slice(0, -1) : tokens)
  if (literal === '' && open) return () => true
  if (literal !== undefined) return open ? (text) => text.startsWith(literal) : (text) => text === literal
  return (text) => matches(tokens, Array.from(text))
}

/** The text that `tokens` spell; undefined when they hold more than plain characters. */
function literalText(tokens: readonly Token[]): string | undefined {
  return tokens.every((token) => token.kind === 'char') ? tokens.map((token) => token.char).join('') : undefined
}

/** Compiles several; the answer is whether any of them matches. No pattern, no match. */
export function compileGlobs(patterns: readonly string[]): Glob {
  const globs = patterns.map(compileGlob)
  const [only] = globs
  return only && globs.length === 1 ? only : (text) => globs.some((glob) => glob(text))
}

/**
 * What may still follow a text for a pattern to match: two texts with the same rests are continued to matches by the same
 * endings, and a text without rests by none. Each rest is a place in one of the patterns.
 */
export type Rests = (text: string) => ReadonlySet<string>

/** For questions about all that lies below a folder: give its path with a slash at the end. Costs text x patterns' length. */
export function compileRests(patterns: readonly string[]): Rests {
  const compiled = patterns.map(tokenize)
  return (text) => new Set(compiled.flatMap((tokens, index) => [...restsOf(tokens, text)].map((place) => `${index}:${place}`)))
}

function restsOf(tokens: readonly Token[], text: string): ReadonlySet<number> {
  let places = reach(tokens, [0])
  for (const char of text) {
    const next: number[] = []
    for (const place of places) {
      const token = tokens[place]
      if (token?.kind === 'any') next.push(place)
      else if (token && matchesOne(token, char)) next.push(place + 1)
    }
    places = reach(tokens, next)
    if (places.size === 0) break
  }
  return places
}
/** A `*` may stand for nothing. */
function reach(tokens: readonly Token[], places: readonly number[]): Set<number> {
  const reached = new Set<number>()
  for (const place of places) {
    let at = place
    reached.add(at)
    while (tokens[at]?.kind === 'any') reached.add(++at)
  }
  return reached
}

function tokenize(pattern: string): Token[] {
  const chars = Array.from(pattern)
  const lastClose = chars.lastIndexOf(']')
  const tokens: Token[] = []
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string
    if (char === '*') {
      if (tokens.at(-1)?.kind !== 'any') tokens.push({ kind: 'any' })
    } else if (char === '?') {
      tokens.push({ kind: 'one' })
    } else if (char === '\\' && i + 1 < chars.length) {
      tokens.push({ kind: 'char', char: chars[++i] as string })
    } else {
      const set = char === '[' ? readSet(chars, i, lastClose) : undefined
      tokens.push(set?.token ?? { kind: 'char', char })
      if (set) i = set.end
    }
  }
  return tokens
}

/** Reads `[...]` at `start`. A `]` right after the opening (or its `!`) is a member, as in POSIX 2.13.1. */
function readSet(chars: readonly string[], start: number, lastClose: number): { token: CharSet; end: number } | undefined {
  const negated = chars[start + 1] === '!' || chars[start + 1] === '^'
  const first = start + (negated ? 2 : 1)
  // without this, a text of nothing but openings would be searched to its end from each of them
  if (first + 1 > lastClose) return undefined
  const end = chars.indexOf(']', first + 1)
  const ranges: (readonly [string, string])[] = []
  for (let i = first; i < end; i++) {
    const low = chars[i] as string
    const isRange = chars[i + 1] === '-' && i + 2 < end
    ranges.push([low, isRange ? (chars[i + 2] as string) : low])
    if (isRange) i += 2
  }
  return { token: { kind: 'set', negated, ranges }, end }
}

/** Greedy with one point to go back to: the last `*`. Enough, because a later `*` can do all that an earlier one could. */
function matches(tokens: readonly Token[], text: readonly string[]): boolean {
  let t = 0
  let star = -1
  let retry = 0
  let i = 0
  while (i < text.length) {
    const token = tokens[t]
    if (token?.kind === 'any') {
      star = t++
      retry = i
    } else if (token && matchesOne(token, text[i] as string)) {
      t++
      i++
    } else if (star >= 0) {
      t = star + 1
      i = ++retry
    } else {
      return false
    }
  }
  while (tokens[t]?.kind === 'any') t++
  return t === tokens.length
}

function matchesOne(token: Token, char: string): boolean {
  if (token.kind === 'char') return token.char === char
  if (token.kind === 'set') return token.negated !== token.ranges.some(([low, high]) => low <= char && char <= high)
  return token.kind === 'one'
}

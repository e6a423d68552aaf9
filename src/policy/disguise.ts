/**
 * Whether a path that is only known in part may be one that a rule speaks of: patterns against patterns, folders above the file,
 * and ".." behind a name, which a link may lead elsewhere than the text says.
 */

type Step = { readonly kind: 'any' } | { readonly kind: 'one' } | { readonly kind: 'char'; readonly char: string }

/** A set counts as any one character: what forbids may be wider than what is meant. */
function stepsOf(pattern: string, star: boolean): Step[] {
  const steps: Step[] = []
  const chars = Array.from(pattern)
  // without this, a text of nothing but openings would be searched to its end from each of them
  const lastClose = chars.lastIndexOf(']')
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string
    const close = char === '[' && i + 2 <= lastClose ? chars.indexOf(']', i + 2) : -1
    if (star && char === '…') steps.push({ kind: 'any' })
    else if (char === '*') steps.push({ kind: 'any' })
    else if (char === '?') steps.push({ kind: 'one' })
    else if (close > 0) {
      steps.push({ kind: 'one' })
      i = close
    } else if (char === '\\' && i + 1 < chars.length) steps.push({ kind: 'char', char: chars[++i] as string })
    else steps.push({ kind: 'char', char })
  }
  return steps
}

/** True when some text matches both patterns. Costs at most the product of their lengths. */
export function intersects(one: string, other: string): boolean {
  const a = stepsOf(one, true)
  const b = stepsOf(other, false)
  // reach[j]: the first i steps of `a` and the first j of `b` may match the same text.
  let reach = [true]
  for (let j = 1; j <= b.length; j++) reach[j] = (reach[j - 1] ?? false) && b[j - 1]?.kind === 'any'
  for (const step of a) {
    const next = [(reach[0] ?? false) && step.kind === 'any']
    for (let j = 1; j <= b.length; j++) {
      const against = b[j - 1] as Step
      next[j] =
        step.kind === 'any' || against.kind === 'any'
          ? (step.kind === 'any' && ((reach[j] ?? false) || (next[j - 1] ?? false))) ||
            (against.kind === 'any' && ((next[j - 1] ?? false) || (reach[j] ?? false)))
          : (reach[j - 1] ?? false) && (step.kind === 'one' || against.kind === 'one' || step.char === against.char)
    }
    reach = next
  }
  return reach[b.length] ?? false
}

/**
 * `..` behind a name goes up from where that name's link leads (`/var/run/../etc/shadow`), so that only what follows the last
 * `..` is certain. Undefined when the path has none.
 */
export function tailBehindDots(path: string): string | undefined {
  const at = path.lastIndexOf('../')
  if (at < 0 || (at > 0 && path[at - 1] !== '/')) return undefined
  const tail = path.slice(at + 3).replace(/^\/+/, '')
  return tail === '' ? undefined : tail
}

/** Folders that every path of the pattern lies in: `/`, `/etc` of `/etc/shadow`, none of `*` + `/secret`. */
export function foldersAbove(pattern: string): readonly string[] {
  const [head = ''] = pattern.split(/[*?[\\]/)
  const names = head.split('/').slice(1, -1)
  return head.startsWith('/') ? ['/', ...names.map((_, i) => `/${names.slice(0, i + 1).join('/')}`)] : []
}

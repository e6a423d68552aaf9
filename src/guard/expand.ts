/**
 * `!!`, `!-2:$`, `^a^b` (GNU History 8.2, "History Expansion"), done by the editor for those who use bash: the shell
 * has it switched off, and what is vetted, logged and run is the expanded line.
 */
import type { History } from './history.js'

export type Expansion = { readonly text: string } | { readonly problem: string }

class Problem extends Error {}

/** The words of a line, as the history library cuts them: quotes hold words together, operators are words. */
function wordsOf(line: string): string[] {
  return line.match(/(?:\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"?|'[^']*'?|[^\s"'\\;&|()<>])+|&&|\|\||;;|<<<?|>>|[;&|()<>]/g) ?? []
}

class Expander {
  #at = 0
  changed = false

  constructor(
    readonly text: string,
    readonly history: History,
  ) {}

  expand(): string {
    const quick = this.#quick()
    if (quick !== undefined) return quick
    let out = ''
    let single = false
    let double = false
    while (this.#at < this.text.length) {
      const character = this.text[this.#at] ?? ''
      if (character === '\\' && !single) {
        out += this.text.slice(this.#at, this.#at + 2)
        this.#at += 2
      } else if (character === '!' && !single && this.#isEvent(double)) {
        this.changed = true
        out += this.#event()
      } else {
        if (character === "'" && !double) single = !single
        if (character === '"' && !single) double = !double
        out += character
        this.#at += 1
      }
    }
    return out
  }

  /** `^old^new^` at the start of a line: `!!:s^old^new^`. */
  #quick(): string | undefined {
    const match = /^\^((?:[^^\\]|\\.)+)\^((?:[^^\\]|\\.)*)(?:\^([\s\S]*))?$/.exec(this.text)
    if (!match) return undefined
    this.changed = true
    return substitute(this.#entry(-1), unescaped(match[1] ?? '', '^'), unescaped(match[2] ?? '', '^'), false) + (match[3] ?? '')
  }

  #isEvent(inDoubleQuotes: boolean): boolean {
    const next = this.text[this.#at + 1]
    return next !== undefined && !/[\s=(]/.test(next) && !(inDoubleQuotes && next === '"')
  }

  #take(pattern: RegExp): RegExpExecArray | null {
    const match = new RegExp(pattern.source, 'uy').exec(this.text.slice(this.#at))
    if (match) this.#at += match[0].length
    return match
  }

  #entry(index: number): string {
    const line = this.history.entries.at(index)
    if (line === undefined) throw new Problem('event not found')
    return line
  }

  #event(): string {
    const from = this.#at
    this.#at += 1
    try {
      return this.#modified(this.#words(this.#line()))
    } catch (error) {
      if (error instanceof Problem) throw new Problem(`bash: ${this.text.slice(from, Math.max(this.#at, from + 1))}: ${error.message}`)
      throw error
    }
  }

  #line(): string {
    if (this.#take(/!/)) return this.#entry(-1)
    if (this.#take(/#/)) return this.text.slice(0, this.#at - 2)
    const number = this.#take(/(-?)(\d+)/)
    if (number) {
      const n = Number(number[2])
      if (n === 0) throw new Problem('event not found')
      return this.#entry(number[1] === '-' ? -n : n - 1)
    }
    // `!$`, `!^`, `!*` and `!:2` speak of the last line.
    if (/^[$^*:]/.test(this.text.slice(this.#at))) return this.#entry(-1)
    const inside = this.#take(/\?([^?\n]+)\??/)
    const start = inside ? undefined : this.#take(/[^\s:^$*?"'|&;()<>!]+/)
    const wanted = inside?.[1] ?? start?.[0]
    if (wanted === undefined) throw new Problem('event not found')
    const found = this.history.entries.findLast((line) => (inside ? line.includes(wanted) : line.startsWith(wanted)))
    if (found === undefined) throw new Problem('event not found')
    return found
  }

  #words(line: string): string {
    const match = this.#take(/:?([\^$*])/) ?? this.#take(/:(\d+-\d+|\d+-\$|\d+\*|\d+-|-\d+|\d+)/)
    if (!match) return line
    const words = wordsOf(line)
    const last = words.length - 1
    const spec = match[1] ?? ''
    const number = (text: string | undefined, otherwise: number) => (text === undefined || text === '' ? otherwise : text === '$' ? last : Number(text))
    let [from, to] = [0, 0]
    if (spec === '^') [from, to] = [1, 1]
    else if (spec === '$') [from, to] = [last, last]
    else if (spec === '*') [from, to] = [1, last]
    else if (spec.endsWith('*')) [from, to] = [Number(spec.slice(0, -1)), last]
    else if (spec.endsWith('-')) [from, to] = [Number(spec.slice(0, -1)), last - 1]
    else {
      const [first, second] = spec.split('-')
      from = number(first, 0)
      to = spec.includes('-') ? number(second, last) : from
    }
    if (from > words.length - (spec.endsWith('*') ? 0 : 1) || to > last) throw new Problem('bad word specifier')
    return words.slice(from, to + 1).join(' ')
  }

  #modified(text: string): string {
    let result = text
    for (;;) {
      const swap = this.#take(/:(g|a|)s(.)((?:(?!\2)[^\\]|\\.)*)\2((?:(?!\2)[^\\\n]|\\.)*)(?:\2|$)/) ?? undefined
      if (swap) {
        result = substitute(result, unescaped(swap[3] ?? '', swap[2] ?? '/'), unescaped(swap[4] ?? '', swap[2] ?? '/'), swap[1] !== '')
        continue
      }
      const modifier = this.#take(/:([htreq])/)?.[1]
      if (modifier === undefined) break
      if (modifier === 'h') result = result.replace(/\/[^/]*$/, '')
      else if (modifier === 't') result = result.replace(/^[\s\S]*\//, '')
      else if (modifier === 'r') result = result.replace(/\.[^./]*$/, '')
      else if (modifier === 'e') result = /\.[^./]*$/.exec(result)?.[0] ?? ''
      else result = `'${result.replaceAll("'", "'\\''")}'`
    }
    if (this.#take(/:[a-zA-Z&]/)) throw new Problem('unrecognized history modifier')
    return result
  }
}

const unescaped = (text: string, delimiter: string) => text.replaceAll(`\\${delimiter}`, delimiter)

function substitute(text: string, old: string, replacement: string, all: boolean): string {
  if (old === '' || !text.includes(old)) throw new Problem('substitution failed')
  const put = replacement.replace(/(?<!\\)&/g, () => old)
  return all ? text.replaceAll(old, () => put) : text.replace(old, () => put)
}

/** The expanded line, or why there is none, as bash words it. A line without events comes back as it is. */
export function expandHistory(text: string, history: History): Expansion {
  if (!text.includes('!') && !text.startsWith('^')) return { text }
  try {
    return { text: new Expander(text, history).expand() }
  } catch (error) {
    if (error instanceof Problem) return { problem: error.message.startsWith('bash: ') ? error.message : `bash: ${error.message}` }
    throw error
  }
}

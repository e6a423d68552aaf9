/** Which trigrams are rare, as a sample tells: of a text that is looked for, the rare ones lead to few events. */

/** One event of so many is looked at. */
const EVERY = 40
/** Trigrams counted at once; beyond it all counts are halved and the rare ones forgotten. */
const MAX_GRAMS = 50_000
/** Trigrams asked for at once: more would narrow little further. */
const ASKED = 3

export class GramSample {
  readonly #counts = new Map<string, number>()
  #turn = 0

  /** @param isSample it was chosen already */
  look(text: string, isSample = false): void {
    if (!isSample && this.#turn++ % EVERY !== 0) return
    for (const gram of gramsOf(text.slice(0, 2000))) this.#counts.set(gram, (this.#counts.get(gram) ?? 0) + 1)
    if (this.#counts.size > MAX_GRAMS) this.#halve()
  }

  /** A question to FTS5 that every event with `text` answers, and few others do. Undefined where it has no trigram. */
  match(text: string): string | undefined {
    if (text.includes('\0')) return undefined
    const grams = [...gramsOf(text)].sort((a, b) => (this.#counts.get(a) ?? 0) - (this.#counts.get(b) ?? 0)).slice(0, ASKED)
    // quotes are doubled, so nothing in it is syntax
    return grams.length === 0 ? undefined : grams.map((gram) => `"${gram.replaceAll('"', '""')}"`).join(' AND ')
  }

  #halve(): void {
    for (const [gram, count] of this.#counts) {
      if (count <= 1) this.#counts.delete(gram)
      else this.#counts.set(gram, count >> 1)
    }
  }
}

/** Three characters each, as FTS5's tokenizer cuts them, in small letters. */
function gramsOf(text: string): ReadonlySet<string> {
  const letters = [...text.toLowerCase()]
  const grams = new Set<string>()
  for (let i = 0; i + 3 <= letters.length; i++) grams.add(letters.slice(i, i + 3).join(''))
  return grams
}

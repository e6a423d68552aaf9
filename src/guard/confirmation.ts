/** A question that the user answers by typing a word: what is typed never reaches the editor's history or the shell. */
import type { Key } from './keys.js'
import { KeyDecoder } from './keys.js'

/** Longer than any pod's name (RFC 1123: 253). */
const MAX_ANSWER = 300

export type ConfirmationEnd = { readonly kind: 'answer'; readonly text: string } | { readonly kind: 'withdrawn' }

export class Confirmation {
  readonly #decoder = new KeyDecoder()
  readonly #write: (text: string) => void
  readonly #end: (end: ConfirmationEnd) => void
  #text = ''

  constructor(write: (text: string) => void, end: (end: ConfirmationEnd) => void) {
    this.#write = write
    this.#end = end
  }

  /** @returns the bytes behind the key that ended it, which belong to whatever comes next; undefined while it goes on */
  feed(bytes: Buffer): Buffer | undefined {
    this.#decoder.feed(bytes)
    for (let key = this.#decoder.next(); key !== undefined; key = this.#decoder.next()) {
      const end = this.#press(key)
      if (!end) continue
      this.#write(end.kind === 'answer' ? '\r\n' : '^C\r\n')
      this.#end(end)
      return this.#decoder.take()
    }
    return undefined
  }

  #press(key: Key): ConfirmationEnd | undefined {
    // pasted text counts: who pastes a pod's name has looked for it
    if ((key.kind === 'text' || key.kind === 'paste') && !/\n/.test(key.text) && this.#text.length + key.text.length <= MAX_ANSWER) {
      this.#text += key.text
      this.#write(key.text)
    } else if (key.kind === 'key' && key.name === 'enter') return { kind: 'answer', text: this.#text.trim() }
    else if (key.kind === 'key' && (key.name === 'C-c' || key.name === 'C-d')) return { kind: 'withdrawn' }
    else if (key.kind === 'key' && key.name === 'backspace' && this.#text !== '') {
      this.#text = [...this.#text].slice(0, -1).join('')
      this.#write('\b \b')
    } else if (key.kind === 'key' && key.name === 'C-u') {
      this.#write('\b \b'.repeat([...this.#text].length))
      this.#text = ''
    }
    return undefined
  }
}

/**
 * What was typed in a terminal, as far as the terminal showed it. Nobody here sees whether the terminal echoes, so a line counts
 * only when each of its characters came back as output, in order; of a line of which one did not (a password, a key of an editor)
 * no character is told, only the keys that are no characters. So what is told is on the screen of the recording as well.
 */
import { StringDecoder } from 'node:string_decoder'

/** Lines longer than this are not told. */
const MAX_LINE = 4096
/** Keys that wait for their echo; more than this was not typed by hand, or is not echoed. */
const MAX_WAITING = 4096
/** CSI and SS3 sequences of keys, the brackets of a paste among them; then each other control character. */
const KEYS = /\x1b\[[0-9;?]*[A-Za-z~]|\x1bO[A-Za-z]|[\x00-\x1f\x7f]/g
/** Sequences in output that show nothing by themselves: colours, modes, titles, the cursor. */
const UNSEEN = /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][0-9A-B]|\x1b[=>78]|\x07/g
const ENDS_LINE = /[\r\n\x03\x04]/

type Key = { readonly kind: 'character' | 'key'; readonly text: string }

export class TypedLines {
  readonly #keys = new StringDecoder('utf8')
  readonly #output = new StringDecoder('utf8')
  #waiting: Key[] = []
  /** Of the line that is being typed: characters that were shown, and keys. */
  #line: Key[] = []
  #lineLength = 0
  /** A character of it was not shown. */
  #isSecret = false
  /** A key may answer with anything, once: a line drawn anew, a completion. */
  #isOwed = false

  /** @returns lines that are whole by it */
  typed(bytes: Buffer): readonly string[] {
    const text = this.#keys.write(bytes)
    let from = 0
    for (const { 0: key, index } of text.matchAll(KEYS)) {
      this.#wait(text.slice(from, index))
      this.#waiting.push({ kind: 'key', text: key })
      from = index + key.length
    }
    this.#wait(text.slice(from))
    if (this.#waiting.length > MAX_WAITING) this.#giveUp()
    return this.#settle()
  }

  /** @returns lines that are whole by it */
  shown(bytes: Buffer): readonly string[] {
    const seen = this.#output.write(bytes).replace(UNSEEN, '')
    const [first] = this.#waiting
    if (first?.kind === 'character' && seen !== '') this.#compare(seen)
    return this.#settle()
  }

  #wait(text: string): void {
    for (const each of text) this.#waiting.push({ kind: 'character', text: each })
  }

  /** Output while a character waits: it is that character's echo, with what follows of the line, or it is not. */
  #compare(seen: string): void {
    let rest = seen
    let matched = 0
    while (rest !== '') {
      const next = this.#waiting[matched]
      if (next?.kind !== 'character' || !rest.startsWith(next.text)) break
      rest = rest.slice(next.text.length)
      matched++
    }
    // output of its own that happens to begin with what was typed is no echo
    const isEcho = matched > 0 && (rest === '' || this.#waiting[matched]?.kind === 'key')
    if (isEcho) {
      for (const key of this.#waiting.splice(0, matched)) this.#keep(key)
      this.#isOwed = false
    } else if (this.#isOwed) this.#isOwed = false
    else this.#hide()
  }

  /** The characters that wait were not shown. */
  #hide(): void {
    const end = this.#waiting.findIndex(({ kind }) => kind === 'key')
    this.#waiting.splice(0, end < 0 ? this.#waiting.length : end)
    this.#isSecret = true
  }

  #giveUp(): void {
    this.#isSecret = true
    this.#waiting = this.#waiting.filter(({ kind }) => kind === 'key').slice(-MAX_LINE)
  }

  /** Keys need no echo; those behind characters that wait, wait with them. */
  #settle(): string[] {
    const lines: string[] = []
    for (let key = this.#waiting[0]; key?.kind === 'key'; key = this.#waiting[0]) {
      this.#waiting.shift()
      this.#keep(key)
      this.#isOwed = true
      if (ENDS_LINE.test(key.text)) {
        lines.push(this.#taken())
        this.#isOwed = false
      }
    }
    return lines
  }

  #keep(key: Key): void {
    this.#lineLength += key.text.length
    if (this.#lineLength <= MAX_LINE) this.#line.push(key)
    else this.#isSecret = true
  }

  #taken(): string {
    const told = this.#isSecret ? this.#line.filter(({ kind }) => kind === 'key') : this.#line
    this.#line = []
    this.#lineLength = 0
    this.#isSecret = false
    return told.map(({ text }) => text).join('')
  }
}

/** Where the line is written: the editor's state, what of it stands on the terminal, and Tab. Knows nothing of shells. */
import type { Completer } from './completion.js'
import { type EditorState, edited, newLine } from './edit-state.js'
import { press } from './editor.js'
import { remember } from './history.js'
import type { Key } from './keys.js'
import { OutputTail } from './output-tail.js'
import { promptOfSearch, shellPrompt } from './prompt.js'
import { Screen, type View } from './screen.js'

export interface DeskParts {
  readonly user: string
  readonly targetLabel: string
  readonly term: string
  readonly columns: number
  readonly rows: number
  /** Command names of a white list, for Tab. */
  readonly allowed: readonly string[] | undefined
  readonly completer: Completer
  readonly write: (bytes: Buffer | string) => void
  readonly signal: AbortSignal
  /** Tab was answered: keys that waited may go on. */
  readonly completed: () => void
}

/** What only the caller can do. */
export type DeskEffect = 'accept' | 'eof' | 'interrupt'

/** Columns and rows of a client that does not know its size (RFC 4254 s6.2 allows zero). */
const COLUMNS = 80
const ROWS = 24
const PASTE_ON = '\x1b[?2004h'
const PASTE_OFF = '\x1b[?2004l'

export class LineDesk {
  readonly #parts: DeskParts
  readonly #screen: Screen
  readonly #tail = new OutputTail()
  #editor: EditorState = newLine()
  #cwd = '/'
  #status = 0
  /** A line is being edited, and its prompt stands or is about to. */
  #open = false
  #dirty = false
  #tabs = 0
  /** The question of the last Tab that keys wait for. */
  #asked: object | undefined

  constructor(parts: DeskParts) {
    this.#parts = parts
    this.#screen = new Screen(parts.columns || COLUMNS, parts.rows || ROWS)
  }

  /** Tab was pressed and not yet answered: what is typed next means the completed line. */
  get completing(): boolean {
    return this.#asked !== undefined
  }
  /** The answer took too long; it still counts when it comes and the line is the same. */
  goOnWithoutCompletion(): void {
    this.#asked = undefined
  }

  get line(): EditorState {
    return this.#editor
  }

  /** Opens a new line below what was printed last. `text` stands in it already: a line that was held. */
  open(cwd: string, status: number, text?: string): void {
    this.#cwd = cwd
    this.#status = status
    const editor = newLine(this.#editor)
    this.#editor = text === undefined ? editor : { ...editor, text, cursor: text.length }
    this.#parts.write(`${this.#tail.atLineStart ? '' : '\r\n'}${this.#isDumb ? '' : PASTE_ON}`)
    this.#tail.clear()
    this.#open = true
    this.#dirty = true
  }

  press(key: Key): DeskEffect | undefined {
    const { state, effect } = press(this.#editor, key)
    this.#editor = state
    this.#dirty = true
    this.#tabs = effect === 'complete' ? this.#tabs + 1 : 0
    if (effect === 'accept' || effect === 'eof' || effect === 'interrupt') return effect
    if (effect === 'bell') this.#parts.write('\x07')
    else if (effect === 'complete') this.#complete()
    else if (effect === 'clear') {
      this.#screen.forget()
      this.#parts.write('\x1b[H\x1b[2J')
    }
    return undefined
  }

  /** Shows what has changed since it was shown last. */
  draw(): void {
    if (!this.#dirty || !this.#open) return
    this.#dirty = false
    this.#parts.write(this.#screen.render(this.#view()))
  }

  /** CONT: the line goes on in another one below. */
  goOn(): void {
    const { text } = this.#editor
    this.#editor = edited(this.#editor, `${text}\n`, text.length + 1)
  }

  /** Leaves the whole line standing, followed by `after`, and goes below it. */
  close(after = ''): void {
    const view = this.#view()
    const shown = this.#open ? this.#screen.render({ ...view, cursor: view.text.length }) : ''
    this.#parts.write(`${shown}${after}${this.#isDumb ? '' : PASTE_OFF}${this.#screen.leave()}`)
    this.#tail.clear()
    this.#open = false
    this.#dirty = false
  }

  /** Ctrl-C: the line is left as it is and forgotten. */
  abandon(): void {
    this.#editor = { ...this.#editor, search: undefined, next: undefined }
    this.close('^C')
  }

  keep(line: string): void {
    this.#editor = { ...this.#editor, history: remember(this.#editor.history, line) }
  }

  /** Output of the target. While a line is open it goes above it, and the line is drawn again. */
  show(bytes: Buffer): void {
    if (this.#open) this.#parts.write(this.#screen.erase())
    this.#parts.write(bytes)
    this.#tail.note(bytes)
    if (!this.#open) return
    if (!this.#tail.atLineStart) this.#parts.write('\r\n')
    this.#tail.clear()
    this.#dirty = true
    this.draw()
  }

  resize(columns: number, rows: number): void {
    this.#parts.write(this.#screen.resize(columns || COLUMNS, rows || ROWS, this.#open ? this.#viewAt(columns || COLUMNS) : undefined))
  }

  get #isDumb(): boolean {
    return this.#parts.term === 'dumb'
  }

  #view(): View {
    return this.#viewAt(this.#screen.columns)
  }

  #viewAt(columns: number): View {
    const { user, targetLabel } = this.#parts
    const { search, text, cursor } = this.#editor
    const facts = { user, targetLabel, cwd: this.#cwd, status: this.#status, colours: !this.#isDumb }
    return { prompt: search ? promptOfSearch(search, columns) : shellPrompt(facts, columns), text, cursor }
  }

  /** Asks; the answer counts only while the line is still the one that was asked about. */
  #complete(): void {
    const { text, cursor } = this.#editor
    const again = this.#tabs > 1
    const { completer, allowed, signal, write, completed } = this.#parts
    const asked = {}
    this.#asked = asked
    const answered = (): void => {
      if (this.#asked !== asked) return
      this.#asked = undefined
      completed()
    }
    completer.complete({ text, cursor, cwd: this.#cwd, allowed }, signal).then(
      ({ insert, names }) => {
        if (this.#open && this.#editor.text === text && this.#editor.cursor === cursor && !this.#editor.search) {
          if (insert !== '') {
            this.#editor = edited(this.#editor, text.slice(0, cursor) + insert + text.slice(cursor), cursor + insert.length)
            this.#tabs = 0
          } else if (again && names.length > 1) this.#list(names)
          else write('\x07')
          this.#dirty = true
          this.draw()
        }
        answered()
      },
      // A target that does not answer completes nothing; the bell says so.
      () => {
        write('\x07')
        answered()
      },
    )
  }

  #list(names: readonly string[]): void {
    const view = this.#view()
    this.#parts.write(this.#screen.render({ ...view, cursor: view.text.length }) + this.#screen.leave())
    this.#parts.write(this.#parts.completer.columns(names, this.#screen.columns))
  }
}

/**
 * Command lines as a screen shows them: what stands between the prompt and the cursor when Enter is pressed. Good enough to
 * say what somebody did in a plain shell, and no more: whoever tries can make a screen show anything.
 *
 * The prompt's end is where the cursor stands at the first key of a line, or where the shell says so (OSC 133;B). What is
 * not echoed is not on the screen, so a password is never read; the alternate screen (vi, less) is not looked at.
 */
import xterm from '@xterm/headless'

type Terminal = InstanceType<typeof xterm.Terminal>

export interface AdvisoryLine {
  readonly line: string
  /** From OSC 7, or from a prompt that shows a directory. */
  readonly cwd?: string
}

/** Rows above the screen that are kept: a long line may begin there. */
const SCROLLBACK = 50
const MAX_LINE = 4096
/** Newlines looked at for one Enter; a program that reads lines and prints none of them would cost more for ever. */
const MAX_NEWLINES = 200
const MAX_ENTERS = 1000
const PROMPT_END = /[$#%>❯»]\s?$/
/** `root@web-0:/etc# ` and busybox' `/etc # `. */
const DIRECTORY_IN_PROMPT = /(?:^|:)(\/\S*?)\s?[#$%>]\s?$/
const PASTED = /\x1b\[200~[\s\S]*?\x1b\[201~/g

const CR_CR = Buffer.from('\r\r')

interface Start {
  /** Absolute row; the marker moves with the buffer and is gone when the row is. */
  readonly marker: { readonly line: number; dispose(): void }
  readonly column: number
}

export class AdvisoryLines {
  readonly #terminal: Terminal
  readonly #found: AdvisoryLine[] = []
  #start: Start | undefined
  #prompt = ''
  /** The last two bytes that were shown, wherever a chunk ended. */
  #last: Buffer = Buffer.alloc(0)
  #cwd: string | undefined
  #enters = 0
  #newlines = 0
  /** The shell marks its prompts: lines count only between 133;B and 133;C or D. */
  #marks = false
  #marked = false

  constructor(columns: number, rows: number) {
    this.#terminal = new xterm.Terminal({ cols: Math.max(2, columns), rows: Math.max(1, rows), scrollback: SCROLLBACK, allowProposedApi: true })
    this.#terminal.parser.registerOscHandler(133, (data) => this.#onMark(data))
    this.#terminal.parser.registerOscHandler(7, (data) => this.#onDirectory(data))
  }

  /** What the user typed, in the order in which output was shown. */
  keys(bytes: Buffer): void {
    if (this.#terminal.buffer.active.type === 'alternate') return
    const text = bytes.toString('latin1').replace(PASTED, '')
    if (/[\x03\x04]/.test(text)) {
      this.#forget()
      this.#enters = 0
      return
    }
    if (!this.#marks) this.#beginAtPrompt()
    const enters = text.length - text.replace(/[\r\n]/g, '').length
    if (enters > 0 && this.#enters === 0) this.#newlines = 0
    this.#enters = Math.min(MAX_ENTERS, this.#enters + enters)
  }

  /** What was shown; resolves with the lines that were entered meanwhile. */
  async shown(bytes: Buffer): Promise<readonly AdvisoryLine[]> {
    let rest = bytes
    while (this.#enters > 0 && rest.length > 0) {
      const newline = rest.indexOf(0x0a)
      if (newline < 0) break
      await this.#write(rest.subarray(0, newline))
      if (!this.#isWrap()) this.#inspect()
      await this.#write(rest.subarray(newline, newline + 1))
      rest = rest.subarray(newline + 1)
    }
    if (rest.length > 0) await this.#write(rest)
    return this.#found.splice(0)
  }

  resize(columns: number, rows: number): void {
    this.#forget()
    this.#terminal.resize(Math.max(2, columns), Math.max(1, rows))
  }

  dispose(): void {
    this.#terminal.dispose()
  }

  #write(bytes: Buffer): Promise<void> {
    if (bytes.length > 0) this.#last = Buffer.concat([this.#last, bytes.subarray(-2)]).subarray(-2)
    return new Promise((resolve) => this.#terminal.write(bytes, resolve))
  }

  /** At the first key of a line; or when a prompt stands there again, and what was entered before went to a program that did not echo it. */
  #beginAtPrompt(): void {
    if (this.#enters === 0 && !this.#start) {
      this.#begin()
      return
    }
    const { cursorX, cursorY, baseY } = this.#terminal.buffer.active
    if (this.#prompt === '' || this.#text(baseY + cursorY, 0, cursorX) !== this.#prompt) return
    this.#forget()
    this.#enters = 0
    this.#begin()
  }

  #begin(): void {
    const marker = this.#terminal.registerMarker(0)
    const { cursorX, cursorY, baseY } = this.#terminal.buffer.active
    if (!marker) return
    this.#start = { marker, column: cursorX }
    const prompt = this.#text(baseY + cursorY, 0, cursorX)
    if (PROMPT_END.test(prompt)) this.#prompt = prompt
  }

  #forget(): void {
    this.#start?.marker.dispose()
    this.#start = undefined
  }

  #onMark(data: string): boolean {
    this.#marks = true
    const [kind] = data
    if (kind === 'B') {
      this.#forget()
      this.#begin()
      this.#marked = true
    } else if (kind === 'C' || kind === 'D') {
      this.#marked = false
      this.#enters = 0
    }
    return true
  }

  #onDirectory(url: string): boolean {
    const path = /^file:\/\/[^/]*(\/.*)$/.exec(url)?.[1]
    if (path !== undefined) this.#cwd = decoded(path)
    return true
  }

  /** The cursor is about to leave a line while an Enter waits for its echo. */
  #inspect(): void {
    const { active } = this.#terminal.buffer
    this.#newlines++
    if (active.type === 'alternate' || this.#newlines > MAX_NEWLINES) {
      this.#forget()
      this.#enters = 0
      return
    }
    const last = active.baseY + active.cursorY
    let first = last
    while (first > 0 && active.getLine(first)?.isWrapped) first--
    const line = this.#lineAt(first, last)
    if (line === undefined) return
    this.#enters--
    this.#newlines = 0
    this.#forget()
    const text = line.text.trimEnd().slice(0, MAX_LINE)
    if (text.trim() === '' || !line.counts) return
    const cwd = this.#cwd ?? DIRECTORY_IN_PROMPT.exec(line.prompt)?.[1]
    this.#found.push({ line: text, ...(cwd !== undefined && { cwd }) })
  }

  #lineAt(first: number, last: number): { readonly text: string; readonly prompt: string; readonly counts: boolean } | undefined {
    const start = this.#start
    if (start && start.marker.line >= 0 && start.marker.line <= last) {
      const { line: row } = start.marker
      const prompt = this.#text(row, 0, start.column)
      const rows: string[] = []
      for (let each = row; each <= last; each++) {
        const joins = each === row || this.#terminal.buffer.active.getLine(each)?.isWrapped || this.#isFull(each - 1)
        rows.push(`${joins ? '' : '\n'}${this.#text(each, each === row ? start.column : 0)}`)
      }
      return { text: rows.join(''), prompt, counts: this.#marks ? this.#marked : PROMPT_END.test(prompt) }
    }
    // typed ahead: the prompt came later, and is the one seen before
    const whole = Array.from({ length: last - first + 1 }, (_, i) => this.#text(first + i, 0)).join('')
    if (this.#marks || this.#prompt === '' || !whole.startsWith(this.#prompt)) return undefined
    return { text: whole.slice(this.#prompt.length), prompt: this.#prompt, counts: true }
  }

  /** busybox ash goes to the next row by itself when one is full, with CR CR LF: the line is not over. */
  #isWrap(): boolean {
    const { baseY, cursorY } = this.#terminal.buffer.active
    return this.#start !== undefined && this.#last.equals(CR_CR) && this.#isFull(baseY + cursorY)
  }

  #isFull(row: number): boolean {
    return this.#text(row, 0).length >= this.#terminal.cols
  }

  #text(row: number, from: number, to?: number): string {
    return this.#terminal.buffer.active.getLine(row)?.translateToString(to === undefined, from, to) ?? ''
  }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    // a shell that does not escape its percent signs
    return path
  }
}

/**
 * What a recording may do to the terminal of whoever looks at it: draw. Everything that asks the terminal to answer (the
 * answer would arrive as typed keys), writes its clipboard or title, or moves its window is left out. Pure.
 */

/** CSI final bytes that draw, move the cursor or set colours; ECMA-48 s8.3 and xterm. h and l are looked at more closely. */
const DRAWING = new Set([...'@ABCDEFGHIJKLMPSTXZ`abdefgmrsu'])
/** Private modes that are harmless to whoever watches: origin, wrap, blink, cursor, alternate screens, reverse video. */
const HARMLESS_MODES = new Set(['5', '6', '7', '12', '25', '47', '1047', '1048', '1049'])
/** ESC and one byte that draw: save, restore, index, next line, tab stop, reverse index, full reset, keypad is left out. */
const ESC_DRAWING = new Set([...'78DEHMc'])
/** A sequence that is longer is no sequence. */
const MAX_SEQUENCE = 256

export interface FilterOptions {
  /** Only colours pass (for output in a list of results); default: everything that draws. */
  readonly coloursOnly?: boolean
}

type State = 'text' | 'escape' | 'charset' | 'csi' | 'string' | 'string-escape'

/** Keeps its state between pieces: a sequence may be cut anywhere. */
export class DrawingFilter {
  readonly #coloursOnly: boolean
  #state: State = 'text'
  #held = ''

  constructor(options: FilterOptions = {}) {
    this.#coloursOnly = options.coloursOnly ?? false
  }

  push(text: string): string {
    let out = ''
    for (const character of text) out += this.#next(character)
    return out
  }

  #next(character: string): string {
    switch (this.#state) {
      case 'text':
        return this.#text(character)
      case 'escape':
        return this.#escape(character)
      case 'charset':
        this.#state = 'text'
        return this.#coloursOnly || !/[0AB]/.test(character) ? '' : this.#held + character
      case 'csi':
        return this.#csi(character)
      case 'string':
        return this.#string(character)
      case 'string-escape':
        this.#state = character === '\\' ? 'text' : 'string'
        return ''
    }
  }

  #text(character: string): string {
    if (character === '\x1b') {
      this.#state = 'escape'
      return ''
    }
    if (character === '\n' || character === '\t') return character
    if (character === '\r' || character === '\b' || character === '\x0e' || character === '\x0f') return this.#coloursOnly ? '' : character
    if (character === '\x9b') {
      this.#held = '\x1b['
      this.#state = 'csi'
      return ''
    }
    // C1 strings: DCS, SOS, OSC, PM, APC
    if (/[\x90\x98\x9d-\x9f]/.test(character)) this.#state = 'string'
    return /[\0-\x1f\x7f-\x9f]/.test(character) ? '' : character
  }

  #escape(character: string): string {
    this.#state = 'text'
    if (character === '[') {
      this.#held = '\x1b['
      this.#state = 'csi'
    } else if (/[\]PX^_]/.test(character)) this.#state = 'string'
    else if (/[()*+]/.test(character)) {
      this.#held = `\x1b${character}`
      this.#state = 'charset'
    } else if (character === '\x1b') this.#state = 'escape'
    else if (!this.#coloursOnly && ESC_DRAWING.has(character)) return `\x1b${character}`
    return ''
  }

  #csi(character: string): string {
    if (/[ -?]/.test(character)) {
      this.#held += character
      if (this.#held.length > MAX_SEQUENCE) this.#state = 'text'
      return ''
    }
    this.#state = 'text'
    // a control inside a sequence cuts it; what it is by itself is looked at by itself
    if (!/[@-~]/.test(character)) return this.#text(character)
    return this.#isAllowed(this.#held.slice(2), character) ? this.#held + character : ''
  }

  #isAllowed(parameters: string, final: string): boolean {
    if (final === 'm') return /^[\d;:]*$/.test(parameters)
    if (this.#coloursOnly) return false
    if (final === 'h' || final === 'l') {
      const modes = /^(\??)([\d;]+)$/.exec(parameters)
      return modes !== null && (modes[2] ?? '').split(';').every((mode) => (modes[1] === '?' ? HARMLESS_MODES.has(mode) : mode === '4'))
    }
    // "?" makes other things of most of them: CSI ? u asks for the keyboard's mode
    return DRAWING.has(final) && (final === 'J' || final === 'K' ? /^\??[\d;]*$/ : /^[\d;]*$/).test(parameters)
  }

  #string(character: string): string {
    if (character === '\x07' || character === '\x9c' || character === '\x18' || character === '\x1a') this.#state = 'text'
    else if (character === '\x1b') this.#state = 'string-escape'
    return ''
  }
}

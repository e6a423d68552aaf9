/** ssh's escape keys: "~" at the beginning of a line. Pure. */

export type EscapeAction = 'disconnect' | 'help'
export interface EscapeRead {
  /** What goes to the program. */
  readonly send: Buffer
  /** In the order typed; nothing follows a `disconnect`. */
  readonly actions: readonly EscapeAction[]
}

const TILDE = 0x7e
const ENTER = new Set([0x0d, 0x0a])
const ACTIONS: Readonly<Record<number, EscapeAction>> = { 46: 'disconnect', 63: 'help' }

export const ESCAPE_HELP = 'Supported escape sequences:\r\n ~.   end this connection\r\n ~?   this message\r\n ~~   send a "~"\r\n(only right after Enter)\r\n'

/** Watches what is typed; a "~" after Enter waits for the key behind it. */
export class EscapeKeys {
  #state: 'line-start' | 'tilde' | 'text' = 'line-start'

  push(typed: Buffer): EscapeRead {
    const send: number[] = []
    const actions: EscapeAction[] = []
    for (const byte of typed) {
      if (this.#state === 'line-start' && byte === TILDE) {
        this.#state = 'tilde'
        continue
      }
      const action = this.#state === 'tilde' ? ACTIONS[byte] : undefined
      if (action) {
        actions.push(action)
        this.#state = 'line-start'
        if (action === 'disconnect') break
        continue
      }
      // "~~" is one tilde; before any other key the one that waited goes first
      if (this.#state === 'tilde' && byte !== TILDE) send.push(TILDE)
      send.push(byte)
      this.#state = ENTER.has(byte) ? 'line-start' : 'text'
    }
    return { send: Buffer.from(send), actions }
  }
}

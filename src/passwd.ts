/** `opserver passwd`: a password in, a hash for users.yaml out. */
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { type HashCost, hashPassword, MAX_PASSWORD_BYTES, verifyPassword } from './identity/password.js'

export { hashPassword, verifyPassword }

export interface PasswdStreams {
  /** A terminal (then the password is asked for twice and not shown) or anything else (then its first line is the password). */
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown }
  /** Gets the hash and a newline, nothing else. */
  readonly stdout: Writable
  /** Gets the questions and what went wrong. */
  readonly stderr: Writable
}

/**
 * Runs the command to its end.
 * @param cost cheaper for tests
 * @returns the exit code: 0, 1 when there is no password to hash or the two differ, 130 after Ctrl-C
 */
export async function runPasswd(streams: PasswdStreams = process, cost: HashCost = {}): Promise<number> {
  const { stdin, stdout, stderr } = streams
  const complain = (text: string): number => {
    stderr.write(`passwd: ${text}\n`)
    return 1
  }
  const password = stdin.isTTY === true ? await askTwice(streams) : await firstLine(stdin)
  if (password === CANCELLED) return 130
  if (password === DIFFERENT) return complain('the two are not the same')
  if (password === undefined || password === '') return complain('no password given')
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) return complain(`longer than ${MAX_PASSWORD_BYTES} bytes`)
  stdout.write(`${await hashPassword(password, cost)}\n`)
  return 0
}

const CANCELLED = Symbol('cancelled')
const DIFFERENT = Symbol('different')

async function firstLine(stdin: Readable): Promise<string | undefined> {
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
  try {
    for await (const line of lines) return line
    return undefined
  } finally {
    lines.close()
  }
}

async function askTwice({ stdin, stderr }: PasswdStreams): Promise<string | typeof CANCELLED | typeof DIFFERENT> {
  const keys = new Keys()
  // a character of several bytes may come in two chunks
  const decoder = new StringDecoder('utf8')
  const onData = (bytes: Buffer): void => keys.push(decoder.write(bytes))
  // without raw mode the terminal would show what is typed; it goes back however this ends
  stdin.setRawMode?.(true)
  stdin.on('data', onData)
  const onEnd = (): void => keys.push('\u0003')
  stdin.once('end', onEnd)
  try {
    stderr.write('Password: ')
    const first = await keys.line()
    stderr.write('\n')
    if (first === CANCELLED || first === '') return first
    stderr.write('Once more: ')
    const second = await keys.line()
    stderr.write('\n')
    return second === CANCELLED || second === first ? second : DIFFERENT
  } finally {
    stdin.off('data', onData)
    stdin.off('end', onEnd)
    stdin.setRawMode?.(false)
    stdin.pause()
  }
}

/** Typed characters as lines: Enter ends one, Backspace and Ctrl-U mend it, Ctrl-C (or Ctrl-D on an empty line) gives up. */
class Keys {
  #typed: string[] = []
  #waiting: (() => void) | undefined

  push(text: string): void {
    // what is far longer than a password is not kept
    if (this.#typed.length < 64 * 1024) this.#typed.push(...text)
    this.#waiting?.()
  }

  async line(): Promise<string | typeof CANCELLED> {
    const line: string[] = []
    for (;;) {
      const char = this.#typed.shift()
      if (char === undefined) {
        await new Promise<void>((resolve) => {
          this.#waiting = resolve
        })
      } else if (char === '\r' || char === '\n') return line.join('')
      else if (char === '\u0003' || (char === '\u0004' && line.length === 0)) return CANCELLED
      else if (char === '\u007f' || char === '\b') line.pop()
      else if (char === '\u0015') line.length = 0
      else if (char !== '\u0004') line.push(char)
    }
  }
}

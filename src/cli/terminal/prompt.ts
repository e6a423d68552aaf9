/** Questions to the person at the terminal. */

import { createInterface } from 'node:readline'
import { StringDecoder } from 'node:string_decoder'
import { type CliStreams, isTerminal } from '../streams.js'
import { TerminalHold } from './hold.js'

/** Ctrl-C at a question. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled'
}

/** Longest answer that is kept. */
const MAX_CHARACTERS = 4096

/**
 * Asks on stderr and reads a line that is not shown.
 * @throws Cancelled at Ctrl-C, and at the end of input
 * @throws Error when stdin is no terminal
 */
export async function askSecret(streams: CliStreams, question: string): Promise<string> {
  const { stdin, stderr } = streams
  if (!isTerminal(stdin)) throw new Error('cannot ask for a password: stdin is not a terminal (use --password-stdin)')
  // raw mode first: what is typed in answer to the question must find the echo switched off
  const hold = new TerminalHold(streams)
  try {
    stderr.write(question)
    return await readSecret(stdin)
  } finally {
    hold.release()
    stderr.write('\n')
  }
}

/** In raw mode: Enter ends, Backspace and Ctrl-U mend, Ctrl-C and Ctrl-D on an empty line give up. */
async function readSecret(stdin: NodeJS.ReadableStream): Promise<string> {
  const decoder = new StringDecoder('utf8')
  const typed: string[] = []
  // leaving a for-await would destroy stdin, which others still read
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      stdin.off('data', onData).off('end', onEnd)
      stdin.pause()
      settle()
    }
    const onEnd = (): void => finish(() => reject(new Cancelled('no answer')))
    const onData = (bytes: Buffer): void => {
      for (const char of decoder.write(bytes)) {
        const gaveUp = char === '\x03' || (char === '\x04' && typed.length === 0)
        if (gaveUp || char === '\r' || char === '\n') {
          finish(() => (gaveUp ? reject(new Cancelled('cancelled')) : resolve(typed.join(''))))
          return
        }
        if (char === '\x7f' || char === '\b') typed.pop()
        else if (char === '\x15') typed.length = 0
        else if (char >= ' ' && typed.length < MAX_CHARACTERS) typed.push(char)
      }
    }
    stdin.on('data', onData).on('end', onEnd)
    stdin.resume()
  })
}

/** Asks on stderr, reads a line. @throws Cancelled at Ctrl-C and at the end of input */
export async function askLine({ stdin, stderr }: CliStreams, question: string): Promise<string> {
  const lines = createInterface({ input: stdin, output: stderr, terminal: isTerminal(stdin) })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('close', () => reject(new Cancelled('no answer')))
      lines.once('SIGINT', () => reject(new Cancelled('cancelled')))
      lines.question(question, resolve)
    })
  } finally {
    lines.close()
  }
}

/** True for y and yes; anything else, and the end of input, is no. Without a terminal nobody can say yes. */
export async function confirm(streams: CliStreams, question: string): Promise<boolean> {
  if (!isTerminal(streams.stdin)) return false
  try {
    return /^y(es)?$/i.test((await askLine(streams, `${question} [y/N] `)).trim())
  } catch (error) {
    if (error instanceof Cancelled) return false
    throw error
  }
}

/** The first line of stdin that is no terminal, for `--password-stdin`. */
export async function firstLine({ stdin }: CliStreams): Promise<string> {
  const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
  try {
    for await (const line of lines) return line
    return ''
  } finally {
    lines.close()
  }
}

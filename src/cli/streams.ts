/** What a client program reads and writes, so that a test can hand it other streams. */
import type { Readable, Writable } from 'node:stream'

export interface TerminalInput extends Readable {
  readonly isTTY?: boolean
  setRawMode?(on: boolean): unknown
}
export interface TerminalOutput extends Writable {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}
export interface CliStreams {
  readonly stdin: TerminalInput
  readonly stdout: TerminalOutput
  readonly stderr: TerminalOutput
  readonly env: NodeJS.ProcessEnv
}

/** Whether stdout is a terminal. */
export function isTerminal(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true
}

/** Cells of a terminal's line; undefined when it is none, and 80 when it does not say. */
export function widthOf(stream: TerminalOutput): number | undefined {
  return isTerminal(stream) ? stream.columns || 80 : undefined
}

/** Writes with back-pressure; resolves when more may be written, and at once when the reader has gone. */
export function writeOut(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return Promise.resolve()
  if (stream.write(chunk)) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done).off('close', done).off('error', done)
      resolve()
    }
    stream.on('drain', done).on('close', done).on('error', done)
  })
}

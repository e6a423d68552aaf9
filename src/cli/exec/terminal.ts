/** A pod's terminal in this terminal: raw mode, sizes, escape keys. */
import { Transform } from 'node:stream'
import type { WindowSize } from '../../core/types.js'
import type { Connection } from '../api/connection.js'
import type { CliStreams, TerminalOutput } from '../streams.js'
import { ESCAPE_HELP, EscapeKeys } from '../terminal/escape.js'
import { TerminalHold } from '../terminal/hold.js'
import { runOverWebSocket } from './channel.js'

export interface TerminalAsk {
  readonly target: string
  readonly container?: string | undefined
  readonly argv: readonly string[]
  /** Whether `~.` and `~?` are looked for; exec has none, as kubectl's. */
  readonly escapes: boolean
}

/** Size of a terminal in cells; 80x24 when it does not say. */
export function sizeOf(stream: TerminalOutput): WindowSize {
  return { columns: stream.columns || 80, rows: stream.rows || 24, widthPx: 0, heightPx: 0 }
}

/** Calls back at each SIGWINCH. */
export function onResizeOf(stream: TerminalOutput): (listener: (size: WindowSize) => void) => () => void {
  return (listener) => {
    const onResize = (): void => listener(sizeOf(stream))
    stream.on('resize', onResize)
    return () => {
      stream.off('resize', onResize)
    }
  }
}

class Disconnected extends Error {}

/** @returns the exit code; 255 after `~.` @throws GatewayError; the terminal is back by then */
export async function runInTerminal(streams: CliStreams, connection: Connection, ask: TerminalAsk, signal?: AbortSignal): Promise<number> {
  const { stdin, stdout, stderr } = streams
  const left = new AbortController()
  const hold = new TerminalHold(streams)
  const keys = new EscapeKeys()
  const typed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const { send, actions } = ask.escapes ? keys.push(chunk) : { send: chunk, actions: [] }
      for (const action of actions) {
        if (action === 'help') stderr.write(`\r\n${ESCAPE_HELP}`)
        else left.abort(new Disconnected())
      }
      done(null, send)
    },
  })
  stdin.pipe(typed)
  try {
    const channel = { ...ask, tty: true, stdin: true, size: sizeOf(stdout), term: streams.env.TERM }
    const signals = signal ? AbortSignal.any([left.signal, signal]) : left.signal
    return await runOverWebSocket(connection, channel, { stdin: typed, stdout, stderr, onResize: onResizeOf(stdout) }, signals)
  } catch (error) {
    if (!(error instanceof Disconnected)) throw error
    stderr.write('\r\nConnection closed.\r\n')
    return 255
  } finally {
    stdin.unpipe(typed)
    typed.destroy()
    hold.release()
  }
}

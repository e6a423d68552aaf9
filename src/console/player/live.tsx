/** A session as it happens: what its user sees, drawn as it comes. Nothing typed here goes anywhere. */
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../parts/icon.js'
import { useConsole } from '../state/console.js'
import { fitFont, terminalFont, terminalTheme } from '../terminal/theme.js'
import { parseCastEvent, parseCastHead, parseSize, shownText } from './cast.js'

export interface LiveProps {
  readonly id: string
  /** A command was marked. */
  readonly onCommand: () => void
  readonly onEnded: () => void
}
type State = 'connecting' | 'watching' | 'lost' | 'ended'
const STATE_TEXT: Readonly<Record<State, string>> = {
  connecting: 'Connecting …',
  watching: 'Live',
  lost: 'The connection was lost. Trying again …',
  ended: 'The session has ended',
}
/** RFC 6455: the session's own end. */
const ENDED = 1000
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 15_000

export function Live({ id, onCommand, onEnded }: LiveProps) {
  const { api } = useConsole()
  const place = useRef<HTMLDivElement>(null)
  const [state, setState] = useState<State>('connecting')
  const calls = useRef({ onCommand, onEnded })
  calls.current = { onCommand, onEnded }
  useEffect(() => {
    if (!place.current) return
    return watch(api.watchSession({ params: { id } }), place.current, {
      state: setState,
      command: () => calls.current.onCommand(),
      ended: () => calls.current.onEnded(),
    })
  }, [id, api])
  return (
    <div class="player live-view">
      <div class="stage" ref={place} />
      <p class="controls row" role="status">
        {state === 'watching' ? <span class="badge good live">Live</span> : <Icon name={state === 'lost' ? 'warn' : 'sessions'} />}
        {state === 'watching' ? <span class="quiet small">You see what the user sees.</span> : STATE_TEXT[state]}
      </p>
    </div>
  )
}

interface Listener {
  readonly state: (state: State) => void
  readonly command: () => void
  readonly ended: () => void
}

/** @returns the way to stop */
function watch(url: string, place: HTMLElement, listener: Listener): () => void {
  const terminal = new Terminal({ disableStdin: true, cursorInactiveStyle: 'outline', scrollback: 2000, fontFamily: terminalFont(), theme: terminalTheme() })
  terminal.open(place)
  const sized = new ResizeObserver(() => fitFont(terminal, place))
  sized.observe(place)
  let socket: WebSocket | undefined
  let retryMs = FIRST_RETRY_MS
  let timer: number | undefined
  let isStopped = false
  const connect = (): void => {
    let hasTerminal: boolean | undefined
    socket = new WebSocket(url)
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      if (hasTerminal === undefined) {
        const head = parseCastHead(data)
        if (!head) return
        hasTerminal = head.hasTerminal
        retryMs = FIRST_RETRY_MS
        terminal.reset()
        terminal.resize(head.columns, head.rows)
        fitFont(terminal, place)
        listener.state('watching')
        return
      }
      const event = parseCastEvent(data)
      if (!event) return
      const text = shownText(event, hasTerminal)
      if (text !== undefined) terminal.write(text)
      const size = event[1] === 'r' ? parseSize(event[2]) : undefined
      if (size) {
        terminal.resize(size.columns, size.rows)
        fitFont(terminal, place)
      }
      if (event[1] === 'm') listener.command()
    }
    socket.onclose = ({ code }) => {
      if (isStopped) return
      listener.state(code === ENDED ? 'ended' : 'lost')
      // a session that has ended answers no more: whoever looks at its facts sees that too
      listener.ended()
      if (code === ENDED) return
      timer = window.setTimeout(connect, retryMs)
      retryMs = Math.min(LAST_RETRY_MS, retryMs * 2)
    }
  }
  connect()
  return () => {
    isStopped = true
    clearTimeout(timer)
    socket?.close()
    sized.disconnect()
    terminal.dispose()
  }
}

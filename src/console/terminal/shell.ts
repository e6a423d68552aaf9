/** A terminal of the page joined with a shell in a pod, through the gateway's WebSocket door. */
import { FitAddon } from '@xterm/addon-fit'
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { bytesMessage, inputMessage, PROTOCOL, readMessage, resizeMessage } from './channel.js'
import { terminalFont, terminalTheme } from './theme.js'

export type ShellState = { readonly kind: 'connecting' | 'open' } | { readonly kind: 'closed'; readonly text: string; readonly isGood: boolean }

const FONT_PX = 14

/**
 * Opens a shell at `address` in `place`.
 * @returns the way to close it; what runs in it is ended then
 */
export function openShell(address: string, place: HTMLElement, onState: (state: ShellState) => void): () => void {
  // macOptionIsMeta: as terminals there do; everything that comes from the pod is drawn, and links are not made of it
  const terminal = new Terminal({ fontFamily: terminalFont(), fontSize: FONT_PX, theme: terminalTheme(), scrollback: 5000, macOptionIsMeta: true })
  const fit = new FitAddon()
  terminal.loadAddon(fit)
  terminal.open(place)
  fit.fit()
  onState({ kind: 'connecting' })
  const socket = new WebSocket(urlOf(address, terminal), PROTOCOL)
  socket.binaryType = 'arraybuffer'
  let end: ShellState | undefined
  const send = (bytes: Uint8Array<ArrayBuffer>): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
  }
  socket.onopen = () => {
    onState({ kind: 'open' })
    send(resizeMessage(terminal.cols, terminal.rows))
    terminal.focus()
  }
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    const read = readMessage(data)
    if (read.kind === 'output') terminal.write(read.bytes)
    if (read.kind === 'status') end = { kind: 'closed', text: read.text, isGood: read.isGood }
  }
  socket.onclose = ({ reason }) => {
    terminal.options.disableStdin = true
    onState(end ?? { kind: 'closed', text: reason === '' ? 'The gateway did not let this terminal in, or the connection was lost.' : reason, isGood: false })
  }
  terminal.onData((text) => send(inputMessage(text)))
  terminal.onBinary((text) => send(bytesMessage(text)))
  terminal.onResize(({ cols, rows }) => send(resizeMessage(cols, rows)))
  const sized = new ResizeObserver(() => fit.fit())
  sized.observe(place)
  return () => {
    socket.onclose = null
    socket.close()
    sized.disconnect()
    terminal.dispose()
  }
}

function urlOf(target: string, { cols, rows }: Terminal): string {
  const query = new URLSearchParams({ target, tty: 'true', stdin: 'true', stdout: 'true', term: 'xterm-256color', columns: String(cols), rows: String(rows) })
  return `${location.origin.replace(/^http/, 'ws')}/api/v1/exec?${query}`
}

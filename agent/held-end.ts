/** Keeps a connection from ending before the work that its end announces is done. */
import type { Duplex } from 'node:stream'

/**
 * Holds back `end()` and `destroy()` of a socket until the returned function is called, once; failures still end it at
 * once. The end of an exec's connection tells the gateway, whose close() waits for it, that nothing of the exec is left:
 * so it has to come after the last process was killed, while SPDY ends the socket as soon as the peer has.
 */
export function holdEnd(socket: Duplex): () => void {
  const end = socket.end.bind(socket)
  const destroy = socket.destroy.bind(socket)
  const held: (() => void)[] = []
  let isHeld = true
  // The overloads of end() all come down to the same arguments.
  const laterEnd = (...words: Parameters<typeof end>) => {
    if (isHeld) held.push(() => void end(...words))
    else end(...words)
    return socket
  }
  socket.end = laterEnd as typeof socket.end
  socket.destroy = (error?: Error) => {
    if (isHeld && !error) held.push(() => void destroy())
    else destroy(error)
    return socket
  }
  return () => {
    if (!isHeld) return
    isHeld = false
    for (const act of held) act()
  }
}

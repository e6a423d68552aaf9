/** A TCP proxy that can cut and block the way: an API server that is away, without stopping one that others use. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface TcpProxy {
  readonly port: number
  /** Cuts every connection and refuses new ones. */
  block(): void
  unblock(): void
  /** Connections that were let through. */
  readonly passed: number
  /** Connections that came while it was blocked. */
  readonly refused: number
}

export async function tcpProxy(t: TestContext, target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isBlocked = false
  let [passed, refused] = [0, 0]
  const server = createServer((client) => {
    if (isBlocked) {
      refused++
      client.resetAndDestroy()
      return
    }
    passed++
    const upstream = connect(target)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    server.close()
    cut()
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    block: () => {
      isBlocked = true
      cut()
    },
    unblock: () => {
      isBlocked = false
    },
    get passed() {
      return passed
    },
    get refused() {
      return refused
    },
  }
}
